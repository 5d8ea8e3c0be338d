"""Diagonal recurrences: the equation, real and complex, and decays of 0 and 1."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from mnesis.ops.associative_scan import associative_scan
from mnesis.ops.diagonal import diagonal

from .forms import gap, normal

FORMS = {
    "naive": partial(diagonal, "naive"),
    "chunk 1": partial(diagonal, "chunk", chunk=1),
    "chunk 7": partial(diagonal, "chunk", chunk=7),
    "chunk": partial(diagonal, "chunk"),
    "parallel": partial(diagonal, "parallel"),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def inputs(
    time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64, turning: bool = False
) -> list[Tensor]:
    """Decay inside the unit disk, update and h of 3 x 4 channels; complex ones where ``turning``."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    decay, update, h = draw(batch, time, 3, 4).sigmoid(), draw(batch, time, 3, 4), draw(batch, 3, 4)
    if turning:
        decay = torch.polar(decay, draw(batch, time, 3, 4))
        update, h = torch.complex(update, draw(batch, time, 3, 4)), torch.complex(h, draw(batch, 3, 4))
    return [decay, update, h]


@every_form
@pytest.mark.parametrize("turning", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("time", [1, 2, 13, 63, 100])
def test_equation(form, turning, time) -> None:
    decay, update, h = inputs(time, turning=turning)
    decay[0, time // 2] = 0  # a reset
    held, last = form(decay, update, h)
    for t in range(time):
        h = decay[:, t] * h + update[:, t]
        assert torch.allclose(held[:, t], h, rtol=0, atol=1e-13)
    assert torch.equal(last, held[:, -1])


@every_form
def test_a_decay_of_one_sums_up(form) -> None:
    _, update, h = inputs(100)
    held, _ = form(torch.ones_like(update), update, h)
    assert gap(held, h[:, None] + update.cumsum(1)) < 1e-12


@every_form
def test_one_decay_for_all_units(form) -> None:
    decay, update, h = inputs(50)
    fixed = decay[:1, :1].clone().requires_grad_()
    held, _ = form(fixed.expand_as(update), update, h)
    (gradient,) = torch.autograd.grad(held.square().sum(), fixed)
    each = fixed.detach().expand_as(update).clone().requires_grad_()
    held, _ = form(each, update, h)
    (expected,) = torch.autograd.grad(held.square().sum(), each)
    assert gap(gradient, expected.sum((0, 1), keepdim=True)) < 1e-11


def test_second_derivatives() -> None:
    parts = [part.requires_grad_() for part in inputs(5, batch=1)]
    assert torch.autograd.gradgradcheck(partial(diagonal, "chunk", chunk=2), parts)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_any_associative_operation_can_be_scanned(length) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(2, length, 3, 3, generator=generator, dtype=torch.float64)
    found, maxima = associative_scan(
        lambda a, b: (b[0] @ a[0], torch.maximum(a[1], b[1])), (matrices, matrices[..., 0, 0]), dim=1
    )
    product = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    for t in range(length):
        product = matrices[:, t] @ product
        assert gap(found[:, t], product) < 1e-10
    assert torch.equal(maxima, matrices[..., 0, 0].cummax(1).values)


def test_lengths_that_differ_cannot_be_scanned() -> None:
    with pytest.raises(ValueError, match=r"elements of lengths \[2, 3\] along dim 1 cannot be scanned"):
        associative_scan(lambda a, b: a, (torch.zeros(1, 2), torch.zeros(1, 3)))


@pytest.mark.parametrize("turning", [False, True], ids=["real", "complex"])
def test_derivatives_of_every_kind(turning) -> None:
    """Backwards, forwards, and both after one another; chunks of 3 of 7 units."""
    parts = [part[..., :1, :2].detach().requires_grad_() for part in inputs(7, turning=turning)]

    def run(decay: Tensor, update: Tensor, h: Tensor) -> Tensor:
        return diagonal("chunk", decay, update, h, chunk=3)[0]

    assert torch.autograd.gradcheck(run, parts, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, parts, check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize("axes", [(0, None, None), (None, 1, 0), (3, 2, None), (None, None, 2), (1, 4, 3)])
def test_mapped_over_any_axis(axes) -> None:
    parts = [torch.stack([part, 0.5 * part, -part], axis or 0) for part, axis in zip(inputs(9), axes, strict=True)]
    parts = [part if axis is not None else part[0] for part, axis in zip(parts, axes, strict=True)]

    def run(decay: Tensor, update: Tensor, h: Tensor) -> Tensor:
        return torch.func.grad(lambda a: diagonal("chunk", a, update, h, chunk=4)[0].sin().sum())(decay)

    found = torch.func.vmap(run, in_dims=axes)(*parts)
    for index in range(3):
        one = (part if axis is None else part.select(axis, index) for part, axis in zip(parts, axes, strict=True))
        assert gap(found[index], run(*one)) < 1e-12
