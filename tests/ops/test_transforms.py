"""What small functions have beside their values: every kind of derivative, and a rule for vmap."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from mnesis.ops.attention import attend
from mnesis.ops.complex_pairs import as_complex
from mnesis.ops.diagonal import diagonal
from mnesis.ops.sequence_split import from_processes, split_over
from mnesis.ops.spiking import Spike
from mnesis.ops.transforms import readable, transformed
from mnesis.ops.weight_norm import normalised


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_what_is_at_work() -> None:
    x = draw(2)
    assert (transformed(), readable(x)) == (False, True)
    seen: list[bool] = []

    def look(x: Tensor) -> Tensor:
        seen.extend((transformed(), readable(x)))
        return x.sum()

    torch.func.grad(look)(x)
    torch.func.vmap(look)(x)
    torch.func.jvp(look, (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        look(x)
    assert seen == [True, False] * 4
    assert (transformed(), readable(x.to("meta"))) == (False, False)


def test_weights_of_length_one_twice_derived() -> None:
    """The second derivative of torch's own kernel leaves out what |V| has to do with V."""
    parts = [draw(3, 2, 4).requires_grad_(), draw(3, 1, 1, seed=1).requires_grad_()]
    assert torch.equal(normalised(*parts), torch._weight_norm(*parts, 0))
    assert torch.autograd.gradcheck(normalised, parts, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(normalised, parts, check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize(("masked", "causal"), [(False, False), (True, False), (False, True)])
def test_attention_written_out(masked, causal) -> None:
    q, k, v = draw(2, 3, 4, 6), draw(2, 3, 4, 6, seed=1), draw(2, 3, 4, 5, seed=2)
    mask = torch.ones(4, 4, dtype=torch.bool).tril(1) if masked else None
    plain = attend(q, k, v, mask=mask, causal=causal)
    mapped = torch.func.vmap(lambda q: attend(q, k, v, mask=mask, causal=causal))(q[None])[0]
    torch.testing.assert_close(mapped, plain, rtol=0, atol=1e-14)


@pytest.mark.parametrize("surrogate", ["arctangent", "sigmoid"])
def test_a_spike_s_slope_is_its_surrogate_s_in_every_mode(surrogate) -> None:
    v, way = draw(5), draw(5, seed=1)
    likely = (4 * v).sigmoid()
    slope = 1 / (1 + (torch.pi * v).square()) if surrogate == "arctangent" else 4 * likely * (1 - likely)
    _, forward = torch.func.jvp(lambda v: Spike.apply(v, surrogate), (v,), (way,))
    each = torch.func.vmap(torch.func.grad(lambda v: Spike.apply(v, surrogate)))(v)
    torch.testing.assert_close(forward, slope * way)
    torch.testing.assert_close(each, slope)


@pytest.mark.parametrize("offset", [0, 1])
def test_pairs_that_do_not_lie_side_by_side(offset) -> None:
    pairs = draw(3, 2)
    apart = draw(offset + 2 * pairs.numel())[offset:].view(3, 2, 2)[..., 0].copy_(pairs)
    beside = draw(offset + pairs.numel())[offset:].view(3, 2).copy_(pairs)
    for given in (apart, beside, pairs.T.contiguous().T):
        assert torch.equal(as_complex(given), torch.complex(pairs[:, 0], pairs[:, 1]))
    assert as_complex(pairs).data_ptr() == pairs.data_ptr()


def test_what_is_kept_for_derivatives_goes_with_them() -> None:
    """The output is kept for forward mode too, which must not tie it to itself."""
    held, _ = diagonal("chunk", draw(1, 9, 2).sigmoid().requires_grad_(), draw(1, 9, 2), draw(1, 2))
    gc.disable()
    try:
        gone = weakref.ref(held)
        del held
        assert gone() is None
    finally:
        gc.enable()


def test_what_processes_exchange(tmp_path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        assert dist.group.WORLD is not None
        with split_over(dist.group.WORLD):
            x = draw(3, 2).requires_grad_()
            assert torch.autograd.gradcheck(from_processes, [x], check_forward_ad=True, fast_mode=True)
            assert torch.autograd.gradgradcheck(lambda x: from_processes(x).sin(), [x], fast_mode=True)
            each = torch.func.vmap(torch.func.grad(lambda x: from_processes(x).sin().sum()), in_dims=1)(x.detach())
            torch.testing.assert_close(each, x.detach().T.cos())
    finally:
        dist.destroy_process_group()
