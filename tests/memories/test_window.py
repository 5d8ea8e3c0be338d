"""The window: where it ends, what it stores, what stands in empty slots."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.state import clone, nbytes, tree_map
from mnesis.memories.bank.window import Window


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(**options) -> Window:
    torch.manual_seed(0)
    return Window(12, heads=3, window=5, **options).double()


@pytest.mark.parametrize("form", Window.forms)
def test_a_unit_is_seen_window_minus_one_units_later_and_never_after(form) -> None:
    memory = make(form=form)
    x = draw(1, 20, 12)
    changed = x.clone()
    changed[:, 7] += 1
    moved = (memory(x)[0] - memory(changed)[0]).abs().amax((0, 2))
    assert moved[7:12].min() > 1e-3
    assert moved[:7].eq(0).all()
    assert moved[12:].max() < 1e-12
    start, state, state_changed = 8, memory(x[:, :8])[1], memory(changed[:, :8])[1]
    for t in range(start, 20):
        y, state = memory.step(x[:, t], state)
        y_changed, state_changed = memory.step(x[:, t], state_changed)
        assert bool((y - y_changed).abs().max() > 1e-3) is (t < 12)


def test_a_convolution_sees_further_by_its_width() -> None:
    memory = make(convolution=3)
    x = draw(1, 20, 12)
    changed = x.clone()
    changed[:, 7] += 1
    moved = (memory(x)[0] - memory(changed)[0]).abs().amax((0, 2))
    assert moved[7:14].min() > 1e-3
    assert moved[14:].max() < 1e-12


@pytest.mark.parametrize("convolution", [None, 3])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = Window(12, heads=3, window=5, convolution=convolution)
    numbers = 2 * 4 * 12 + 12 * ((convolution or 1) - 1)
    state = None
    for time in (1, 3, 30):
        _, state = memory(torch.randn(2, time, 12), state)
        assert nbytes(state) == 2 * (4 * numbers + 8)


@pytest.mark.parametrize("form", Window.forms)
@pytest.mark.parametrize("time", [1, 4, 13])
def test_what_stands_in_empty_slots_is_not_read(form, time) -> None:
    memory, x = make(form=form), draw(2, time, 12)
    _, state = memory(draw(2, 2, 12, seed=2))
    dirty = clone(state)
    dirty.key[:, :2] = dirty.value[:, :2] = float("nan")
    start = tree_map(lambda leaf: leaf.requires_grad_(leaf.is_floating_point()), dirty)
    (y, after), (expected, expected_after) = memory(x, start), memory(x, state)
    assert torch.equal(y, expected)
    assert torch.equal(after.key, expected_after.key)
    outputs = y.square().sum() + after.key.sum() + after.value.sum()
    for gradient in torch.autograd.grad(outputs, (start.key, start.value)):
        assert gradient[:, :2].eq(0).all()
        assert gradient[:, 2:].ne(0).any()


def test_keys_are_stored_as_projected() -> None:
    memory, x = make(), draw(1, 9, 12)
    _, state = memory(x)
    key = (x @ memory.query_key_value.weight.T)[:, -4:, 12:24].unflatten(-1, (3, 4))
    assert (state.key - key).abs().max() < 1e-12


def dense(memory: Window, x: Tensor) -> Tensor:
    """One row from an empty past: all scores at once, pairs of channels turned by absolute positions, then a mask."""
    width = 12 // memory.heads
    q, k, v = (
        (x @ memory.query_key_value.weight.T)
        .unflatten(-1, (-1, width))
        .split((memory.heads, memory.key_value_heads, memory.key_value_heads), -2)
    )
    half = int(width * memory.config["rotary_fraction"]) // 2

    def turned(units: Tensor) -> Tensor:
        first, second, rest = units.split((half, half, width - 2 * half), -1)
        angle = torch.outer(torch.arange(len(x)).double(), 10_000.0 ** -(torch.arange(half).double() / max(half, 1)))
        number = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)[:, None]
        return torch.cat([number.real, number.imag, rest], -1)

    q, k = turned(q), turned(k)
    place = torch.arange(len(x))
    seen = (place <= place[:, None]) & (place > place[:, None] - memory.window)
    heads = []
    for head in range(memory.heads):
        shared = head * memory.key_value_heads // memory.heads
        scores = (q[:, head] @ k[:, shared].T / width**0.5).masked_fill(~seen, float("-inf"))
        heads.append(scores.softmax(-1) @ v[:, shared])
    y = torch.cat(heads, -1) @ memory.output.weight.T
    return y if memory.output.bias is None else y + memory.output.bias


@pytest.mark.parametrize("form", Window.forms)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotary_fraction": 0.5, "output_bias": True},
        {"rotary_fraction": 1 / 3, "key_value_heads": 1},
        {"rotary_fraction": 0.0},
    ],
)
def test_dense_attention_with_gradients(form, options) -> None:
    torch.manual_seed(0)
    few = options.get("rotary_fraction") == 1 / 3
    memory = Window(12, **{"heads": 2 if few else 3, "window": 5, "form": form} | options).double()
    parameters = [parameter.requires_grad_() for parameter in memory.parameters()]
    x, weight = draw(2, 17, 12).requires_grad_(), draw(2, 17, 12, seed=2)
    expected = torch.stack([dense(memory, row) for row in x])
    wanted = torch.autograd.grad((expected * weight).sum(), [x, *parameters])
    for cuts in ([17], [3, 1, 9, 4]):
        outputs, state = [], None
        for piece in x.split(cuts, 1):
            y, state = memory(piece, state)
            outputs.append(y)
        y = torch.cat(outputs, 1)
        assert (y - expected).abs().max() < 1e-12
        for found, gradient in zip(torch.autograd.grad((y * weight).sum(), [x, *parameters]), wanted, strict=True):
            assert (found - gradient).abs().max() < 1e-11


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=16 does not split into 5 heads of even width"),
        ({"heads": 16}, "make dim a multiple of 32"),
        ({"window": 1}, "window=1 sees no earlier unit"),
        ({"form": "dense"}, "no form 'dense'; choose one of naive, block"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
        ({"rotary_fraction": 0.25}, r"rotary_fraction=0\.25 turns 1 of a head's 4 channels, which turn in pairs"),
        ({"rotary_fraction": 0.4}, r"rotary_fraction=0\.4 turns 1\.6 of a head's 4 channels"),
        ({"rotary_fraction": 1.5}, r"rotary_fraction=1\.5 is not a finite number between 0 and 1"),
    ],
)
def test_options_that_cannot_be(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Window(16, **options)


@pytest.mark.parametrize("form", Window.forms)
@pytest.mark.parametrize("shared", [1, 2])
def test_shared_keys_are_those_of_equal_heads(form, shared) -> None:
    torch.manual_seed(0)
    few = Window(16, heads=4, window=5, key_value_heads=shared, form=form).double()
    full = Window(16, heads=4, window=5, form=form).double()
    q, k, v = few.query_key_value.weight.unflatten(0, (-1, 4)).split((4, shared, shared))
    k, v = (part.repeat_interleave(4 // shared, 0) for part in (k, v))
    full.load_state_dict(few.state_dict() | {"query_key_value.weight": torch.cat([q, k, v]).flatten(0, 1)})
    x = draw(2, 23, 16)
    (y, state), (expected, _) = few(x), full(x)
    assert (y - expected).abs().max() < 1e-12
    assert nbytes(state) == 2 * (2 * 8 * 4 * 4 * shared + 8)
    step, _ = few(draw(2, 1, 16, seed=2), state)
    assert (step - full(torch.cat([x, draw(2, 1, 16, seed=2)], 1))[0][:, -1:]).abs().max() < 1e-12


def test_key_heads_divide_heads() -> None:
    with pytest.raises(ValueError, match="key_value_heads=3 do not divide 4 heads"):
        Window(16, heads=4, key_value_heads=3)
