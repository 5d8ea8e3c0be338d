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
from mnesis.ops.state_space import LinearSystem, state_space
from mnesis.ops.two_sided_gates import joint_gates, separate_gates

from . import (
    test_delta_rule,
    test_diagonal,
    test_exponential_gating,
    test_gated_linear_attention,
    test_two_sided_gates,
)
from .forms import backward_bytes, gap


class Operation(NamedTuple):
    recurrence: Recurrence
    inputs: Callable[..., list[Tensor]]
    """Sequences, then what is carried, for a number of units."""
    decay: int
    """Which sequence says what is kept."""
    constant: tuple[int, ...] = ()
    """Parts without a gradient."""
    of_log: Callable[[Tensor], Tensor] = torch.Tensor.clone
    """What says so of the logarithm of a decay."""

    def reset(self, parts: list[Tensor], unit: int) -> None:
        """Shut the first row's decay there: it forgets everything, but of joint gates, which do so where both are 1."""
        parts[self.decay][0, unit] = self.of_log(torch.tensor(-torch.inf))

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
    "diagonal": Operation(diagonal, test_diagonal.inputs, 0, of_log=torch.exp),
    "separate gates": Operation(separate_gates, test_two_sided_gates.inputs, 2, of_log=lambda log: -log.expm1()),
    "joint gates": Operation(joint_gates, test_two_sided_gates.inputs, 2, of_log=lambda log: -log.expm1()),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
every_form = pytest.mark.parametrize("form", FORMS)


@every_operation
@pytest.mark.parametrize("form", [form for form in FORMS if form != "naive"])
@pytest.mark.parametrize("time", [1, 2, 63, 100])
def test_forms_agree(operation, form, time) -> None:
    parts = operation.inputs(time)
    operation.reset(parts, time // 2)
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
    parts[operation.decay] = operation.of_log(log_decay)
    exact = operation.run("naive")(*parts)
    found = operation.run("chunk", chunk)(*(part.float() for part in parts))
    for a, b in zip(exact, found, strict=True):
        assert b.isfinite().all()
        assert gap(a, b) < 1e-4 * max(1.0, float(a.abs().max()))


@every_operation
@every_form
def test_a_piece_is_summed_up(operation, form) -> None:
    """What the rest of a sequence makes of a state follows from its summary, whatever was carried where it was made."""
    recurrence, parts = operation.recurrence, operation.inputs(63)
    operation.reset(parts, 40)
    sequences, carried = parts[: recurrence.sequences], parts[recurrence.sequences :]
    first, rest = ([part[:, piece] for part in sequences] for piece in (slice(26), slice(26, None)))
    between = recurrence("naive", *first, *carried)[recurrence.outputs :]
    expected = recurrence("naive", *parts)[recurrence.outputs :]
    summary = recurrence.summary(form, *rest, *(torch.randn_like(part) for part in carried), chunk=7)
    for a, b in zip(expected, recurrence.follow(summary, *between), strict=True):
        assert gap(a, b) < 1e-12 * max(1.0, float(a.abs().max()))


def test_what_is_not_linear_has_no_summary() -> None:
    squared = Recurrence(lambda x, h: (h, h * h + x), lambda *parts, chunk: parts, sequences=1)
    with pytest.raises(TypeError, match="no summary of a piece; read the pieces one after the other"):
        squared.summary("naive", torch.ones(1, 2), torch.ones(1))


@every_operation
def test_bad_input_is_one_sentence(operation) -> None:
    parts = operation.inputs(6)
    with pytest.raises(ValueError, match="no form is called 'chunks'; choose one of naive, chunk, parallel"):
        operation.recurrence("chunks", *parts)
    for chunk in (0, -3):
        with pytest.raises(ValueError, match=f"chunk={chunk}: a chunk holds at least one unit"):
            operation.recurrence("chunk", *parts, chunk=chunk)
    with pytest.raises(ValueError, match="give all of them the same, at least one unit"):
        operation.recurrence("chunk", parts[0][:, 1:], *parts[1:])
    with pytest.raises(ValueError, match=r"batches of .* rows; give all of them the same"):
        operation.recurrence("chunk", *parts[:-1], parts[-1][:1])


@every_form
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "diagonal" and "gates" not in name])
@pytest.mark.parametrize("value", [0.25, float("nan")])
def test_a_decay_above_one_is_refused(name, form, value) -> None:
    operation = OPERATIONS[name]
    parts = operation.inputs(6)
    parts[operation.decay][1, 3] = value
    with pytest.raises(ValueError, match=rf"log_decay reaches {value:g}: a decay lies in \[0, 1\]"):
        operation.recurrence(form, *parts)


@every_form
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_state_that_holds_no_complex_numbers_is_refused(form, dtype) -> None:
    decay, update = torch.full((2, 5, 3), 0.5 + 0.5j), torch.ones(2, 5, 3)
    with pytest.raises(ValueError, match=f"a decay of torch.complex64 makes the state complex, and {dtype} holds no"):
        diagonal(form, decay, update, torch.zeros(2, 3, dtype=dtype))
    system = LinearSystem(decay[0, :2], update[0, :2], torch.ones(2, 1, 3))
    with pytest.raises(ValueError, match=r"a transition of torch\.complex64 makes the state complex"):
        state_space(system)(form, torch.ones(1, 4, 2), torch.zeros(1, 2, 3, dtype=dtype))
