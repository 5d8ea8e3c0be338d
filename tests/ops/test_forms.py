"""What every recurrence owes: forms that agree, gradients, a linear backward pass, the state's dtype, extreme gates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from mnesis.ops.delta_rule import delta_rule
from mnesis.ops.diagonal import diagonal
from mnesis.ops.exponential_gating import exponential_gating
from mnesis.ops.gated_linear_attention import gated_linear_attention
from mnesis.ops.recurrence import FORMS, Recurrence

from . import test_delta_rule, test_diagonal, test_exponential_gating, test_gated_linear_attention
from .forms import backward_bytes, gap


class Operation(NamedTuple):
    recurrence: Recurrence
    inputs: Callable[..., list[Tensor]]
    """Sequences, then what is carried, for a number of units."""
    decay: int
    """Which sequence says what is kept."""
    constant: tuple[int, ...] = ()
    """Parts without a gradient."""

    def run(self, form: str, chunk: int | None = 7) -> Callable[..., tuple[Tensor, ...]]:
        return partial(self.recurrence, form, chunk=chunk)

    def learned(self, parts: list[Tensor]) -> list[Tensor]:
        return [part.requires_grad_(at not in self.constant) for at, part in enumerate(parts)]


OPERATIONS = {
    "gated linear attention": Operation(gated_linear_attention, test_gated_linear_attention.inputs, 3),
    "gated linear attention by channels": Operation(
        gated_linear_attention, partial(test_gated_linear_attention.inputs, channels=True), 3
    ),
    "delta rule": Operation(delta_rule, test_delta_rule.inputs, 4),
    "delta rule by channels": Operation(delta_rule, partial(test_delta_rule.inputs, channels=True), 4),
    "exponential gating": Operation(exponential_gating, test_exponential_gating.inputs, 4, constant=(6,)),
    "diagonal": Operation(diagonal, test_diagonal.inputs, 0),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
every_form = pytest.mark.parametrize("form", FORMS)


@every_operation
@pytest.mark.parametrize("form", [form for form in FORMS if form != "naive"])
@pytest.mark.parametrize("time", [1, 2, 63, 100])
def test_forms_agree(operation, form, time) -> None:
    parts = operation.inputs(time)
    parts[operation.decay][0, time // 2] = -torch.inf if operation.recurrence is not diagonal else 0.0  # a reset
    parts = operation.learned(parts)
    wanted = [part for part in parts if part.requires_grad]
    exact = operation.run("naive")(*parts)
    # m has no gradient of its own: only what does not depend on it may be compared.
    own = [y for y in exact if y.requires_grad]
    expected = torch.autograd.grad(sum(y.square().sum() for y in own), wanted)
    for chunk in (1, 7, 16, None):
        found = operation.run(form, chunk)(*parts)
        for a, b in zip(exact, found, strict=True):
            assert gap(a, b) < 1e-9 * max(1.0, float(a.detach().abs().max()))
        gradients = torch.autograd.grad(sum(y.square().sum() for y in found if y.requires_grad), wanted)
        for a, b in zip(expected, gradients, strict=True):
            assert gap(a, b) < 1e-9 * max(1.0, float(a.abs().max()))


@every_operation
@every_form
def test_gradients(operation, form) -> None:
    if operation.recurrence is exponential_gating:
        pytest.skip("m is held fixed; its forms are compared with one another, and ratios in the test of the memory")
    parts = operation.learned(operation.inputs(4, batch=1))
    assert torch.autograd.gradcheck(operation.run(form, 3), parts)


@every_operation
@pytest.mark.parametrize("form", ["naive", "chunk"])
def test_backward_is_linear_in_time(operation, form) -> None:
    run = operation.run(form, 8)

    def learned(*parts: Tensor) -> list[Tensor]:
        return [y for y in run(*parts) if y.requires_grad]

    once, twice, thrice = (backward_bytes(learned, operation.inputs(time)) for time in (64, 128, 192))
    assert thrice - twice == twice - once > 0


@every_operation
@every_form
def test_autocast_changes_nothing(operation, form) -> None:
    parts = operation.inputs(40, dtype=torch.float32)
    expected = operation.run(form)(*parts)
    with torch.autocast("cpu", torch.bfloat16):
        found = operation.run(form)(*parts)
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a, b)


@every_operation
@every_form
def test_accumulates_in_the_dtype_of_the_state(operation, form) -> None:
    parts = operation.inputs(40, dtype=torch.float32)
    sequences = operation.recurrence.sequences
    narrow, carried = [part.bfloat16() for part in parts[:sequences]], parts[sequences:]
    found = operation.run(form)(*narrow, *carried)
    assert {part.dtype for part in found} == {torch.float32}
    assert torch.equal(found[0], operation.run(form)(*(part.float() for part in narrow), *carried)[0])


@every_operation
@pytest.mark.parametrize("chunk", [16, 64])
def test_extreme_gates(operation, chunk) -> None:
    """Gates that forget by e^-200 a unit beside gates that keep nearly all, in float32 over 2,048 units."""
    parts = operation.inputs(2048, batch=1)
    generator = torch.Generator().manual_seed(1)
    gate = parts[operation.decay]
    log_decay = torch.where(torch.rand(gate.shape, generator=generator) < 0.1, -200.0, -1e-3).double()
    parts[operation.decay] = log_decay.exp() if operation.recurrence is diagonal else log_decay
    exact = operation.run("naive")(*parts)
    found = operation.run("chunk", chunk)(*(part.float() for part in parts))
    for a, b in zip(exact, found, strict=True):
        assert b.isfinite().all()
        assert gap(a, b) < 1e-4 * max(1.0, float(a.abs().max()))
