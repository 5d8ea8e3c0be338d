"""What every operation in several forms owes: gradients, a backward pass linear in time, and the dtype of its state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from mnesis.ops.delta_rule import delta_rule_chunk, delta_rule_naive, delta_rule_step
from mnesis.ops.linear_attention import linear_attention_chunk, linear_attention_naive, linear_attention_step

from . import test_delta_rule, test_linear_attention
from .forms import backward_bytes


class Operation(NamedTuple):
    naive: Callable[..., tuple[Tensor, ...]]
    chunk: Callable[..., tuple[Tensor, ...]]
    step: Callable[..., tuple[Tensor, ...]]
    inputs: Callable[..., list[Tensor]]
    """Sequences, then states, for a number of units."""
    states: int


OPERATIONS = {
    "linear attention": Operation(
        linear_attention_naive, linear_attention_chunk, linear_attention_step, test_linear_attention.inputs, 2
    ),
    "delta rule": Operation(delta_rule_naive, delta_rule_chunk, delta_rule_step, test_delta_rule.inputs, 1),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
every_form = pytest.mark.parametrize("name", ["naive", "chunk"])


def scanned(operation: Operation, name: str, chunk: int) -> Callable[..., tuple[Tensor, ...]]:
    return operation.naive if name == "naive" else partial(operation.chunk, chunk=chunk)


@every_operation
@every_form
def test_gradients(operation, name) -> None:
    parts = [part.requires_grad_() for part in operation.inputs(4, batch=1)]
    assert torch.autograd.gradcheck(scanned(operation, name, 3), parts)


@every_operation
def test_gradients_of_a_step(operation) -> None:
    parts = operation.inputs(1, batch=1)
    sequences, states = parts[: -operation.states], parts[-operation.states :]
    single = [*(part[:, 0] for part in sequences), *states]
    assert torch.autograd.gradcheck(operation.step, [part.requires_grad_() for part in single])


@every_operation
@every_form
def test_backward_is_linear_in_time(operation, name) -> None:
    form = scanned(operation, name, 8)
    once, twice, thrice = (backward_bytes(form, operation.inputs(time)) for time in (64, 128, 192))
    assert thrice - twice == twice - once > 0


@every_operation
@every_form
def test_autocast_changes_nothing(operation, name) -> None:
    form, parts = scanned(operation, name, 7), operation.inputs(40, dtype=torch.float32)
    expected = form(*parts)
    with torch.autocast("cpu", torch.bfloat16):
        found = form(*parts)
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a, b)


@every_operation
@every_form
def test_accumulates_in_the_dtype_of_the_state(operation, name) -> None:
    form, parts = scanned(operation, name, 7), operation.inputs(40, dtype=torch.float32)
    narrow = [part.bfloat16() for part in parts[: -operation.states]]
    states = parts[-operation.states :]
    found = form(*narrow, *states)
    assert {part.dtype for part in found} == {torch.float32}
    assert torch.equal(found[0], form(*(part.float() for part in narrow), *states)[0])
