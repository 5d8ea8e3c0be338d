"""Window attention: both forms against a loop over units and keys, empty slots, very long calls."""

from __future__ import annotations

import cmath

import pytest
import torch
from torch import Tensor

from mnesis.core.catalog import create_memory
from mnesis.core.state import leaves
from mnesis.ops.window_attention import push, unfilled, window_attention_block, window_attention_naive

FORMS = [window_attention_block, window_attention_naive]
every_form = pytest.mark.parametrize("attention", FORMS)


def inputs(time: int, window: int, *, batch: int = 2, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Query, key and value of 2 heads of width 4."""
    generator = torch.Generator().manual_seed(time)
    sizes = (time, window - 1 + time, window - 1 + time)
    return [torch.randn(batch, n, 2, 4, generator=generator, dtype=torch.float64).to(dtype) for n in sizes]


def turned(vector: Tensor, angle: float) -> Tensor:
    """A vector of width 4 as two complex numbers, turned at rates 1 and 1/100."""
    number = torch.complex(vector[:2], vector[2:])
    phase = torch.tensor([cmath.rect(1, angle * rate) for rate in (1, 0.01)], dtype=number.dtype)
    return torch.view_as_real(number * phase).T.flatten()


def written_out(query: Tensor, key: Tensor, value: Tensor, filled: list[int], window: int) -> Tensor:
    """Unit by unit, head by head, key by key; only the distance between two units is ever used."""
    result = torch.zeros_like(query)
    for b, t, h in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:3])).tolist():
        here = window - 1 + t
        first = max(t, window - 1 - filled[b])
        scores = [torch.dot(turned(query[b, t, h], here - j), key[b, j, h]) / 2 for j in range(first, here + 1)]
        weights = torch.stack(scores).softmax(0)
        result[b, t, h] = weights @ value[b, first : here + 1, h]
    return result


@every_form
@pytest.mark.parametrize("window", [2, 5, 8])
@pytest.mark.parametrize("time", [1, 4, 5, 6, 17, 24])
def test_a_loop_over_keys(attention, window, time) -> None:
    query, key, value = inputs(time, window)
    filled = [0, window - 1] if time % 2 else [1, window // 2]
    y = attention(query, key, value, torch.tensor(filled), window)
    assert (y - written_out(query, key, value, filled, window)).abs().max() < 1e-12


@pytest.mark.parametrize("window", [3, 600])
def test_forms_agree_in_outputs_and_gradients(window) -> None:
    results = []
    for attention in FORMS:
        leaves = [leaf.requires_grad_() for leaf in inputs(1300, window, batch=1)]
        y = attention(*leaves, torch.tensor([window // 2]), window)
        results.append([y, *torch.autograd.grad((y * torch.linspace(-1, 1, 1300)[:, None, None]).sum(), leaves)])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() < 1e-12


@every_form
@pytest.mark.parametrize("time", [1, 3, 13])
def test_empty_slots_get_no_gradient(attention, time) -> None:
    query, key, value = (leaf.requires_grad_() for leaf in inputs(time, 6, batch=3))
    y = attention(query, key, value, torch.tensor([0, 2, 10**7]), 6)
    gradients = torch.autograd.grad(y.square().sum(), (key, value))
    for gradient in gradients:
        assert gradient[0, :5].eq(0).all()
        assert gradient[1, :3].eq(0).all()
        assert gradient[1, 3:].ne(0).all()
        assert gradient[2].ne(0).all()


def test_float32_stays_exact_far_into_a_call() -> None:
    """Positions are relative to the window: the last of 40,000 units is as exact as the first."""
    query, key, value = inputs(40_000, 16, batch=1)
    exact = window_attention_block(query, key, value, torch.tensor([15]), 16)
    rough = window_attention_block(query.float(), key.float(), value.float(), torch.tensor([15]), 16)
    error = (exact - rough).abs().amax((0, 2, 3))
    assert error[-1000:].max() < 2 * error[:1000].max() < 1e-5


@pytest.mark.parametrize("new", [1, 3, 4, 9])
def test_push(new) -> None:
    buffer, units = torch.randn(2, 4, 3), torch.randn(2, new, 3, dtype=torch.float64)
    pushed = push(buffer, units)
    assert torch.equal(pushed, torch.cat([buffer, units.float()], 1)[:, -4:])
    assert pushed.untyped_storage().nbytes() == 2 * 4 * 3 * 4


def test_what_no_row_has_filled() -> None:
    assert unfilled(torch.tensor([0, 3]), 7) == 4
    assert unfilled(torch.tensor([0, 0]), 7) == 7
    assert unfilled(torch.tensor([0, 100]), 7) == 0
    assert unfilled(torch.tensor([0]), 0) == 0


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("window", {"window": 9}, "bank.window"),
        ("window", {"window": 9, "form": "naive"}, "bank.window"),
        ("transformer-xl", {"segment": 4, "memory_length": 6}, "segment.transformer_xl"),
    ],
)
def test_what_is_left_out_is_what_is_masked(name, options, place, monkeypatch) -> None:
    """Rows of which one has filled more than the others, read with gradients."""
    torch.manual_seed(0)
    memory = create_memory(name, dim=8, heads=2, **options).double()
    x = torch.randn(2, 13, 8, dtype=torch.float64, requires_grad=True)
    found, left_out = [], []
    for leave_out in (unfilled, lambda filled, places: 0):
        monkeypatch.setattr(
            f"mnesis.memories.{place}.unfilled", lambda *a, f=leave_out: left_out.append(f(*a)) or left_out[-1]
        )
        _, state = memory(x[:, :3], length=torch.tensor([1, 3]))
        first, state = memory(x[:, 3:5], state)
        rest, state = memory(x[:, 5:], state)
        y = torch.cat([first, rest], 1)
        weights = [weight for weight in memory.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(y.square().sum(), [x, *weights], allow_unused=True)
        found.append((y, *gradients, *leaves(state)))
    assert max(left_out) > 0
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=0, atol=1e-12)
