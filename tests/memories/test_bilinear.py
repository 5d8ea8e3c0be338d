"""Bilinear transitions as a memory: written out from the three-way tensor, automata, its state and its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mnesis.core.laws import check, laws_for
from mnesis.core.state import nbytes
from mnesis.memories.linear.bilinear import TRANSITIONS, Bilinear, BilinearState

OPTIONS: dict[str, dict[str, Any]] = {"factored": {"rank": 5}, "block": {"block": 3}}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def transition(memory: Bilinear, x: Tensor) -> Tensor:
    """A of one unit, entry by entry."""
    weight, matrix = memory.input.weight, torch.zeros(6, 6).double()
    for i in range(6):
        for j in range(6):
            if memory.transition == "full":
                matrix[i, j] = weight[6 * i + j] @ x
            elif memory.transition == "factored":
                matrix[i, j] = sum(memory.left[i, r] * memory.right[r, j] * (weight[r] @ x) for r in range(5))
            elif memory.transition == "block" and i // 3 == j // 3:
                matrix[i, j] = weight[9 * (i // 3) + 3 * (i % 3) + j % 3] @ x
            elif memory.transition == "rotation" and i // 2 == j // 2:
                angle = weight[i // 2] @ x
                matrix[i, j] = angle.cos() if i == j else angle.sin() * (1 if i > j else -1)
            elif memory.transition == "diagonal" and i == j:
                matrix[i, j] = weight[i] @ x
    return matrix


def written_out(memory: Bilinear, x: Tensor) -> Tensor:
    """One row, from the start; lengths are only taken out of what is read."""
    h, outputs = memory.start, []
    for unit in x:
        h = transition(memory, unit) @ h
        outputs.append(memory.output.weight @ (h / h.norm() if memory.normalised else h))
    return torch.stack(outputs)


@pytest.mark.parametrize("form", Bilinear.forms)
@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("kind", TRANSITIONS)
@torch.no_grad()
def test_the_layer(form, normalised, kind) -> None:
    torch.manual_seed(0)
    options = {"normalised": normalised, "form": form, "chunk": 7, **OPTIONS.get(kind, {})}
    memory = Bilinear(4, hidden=6, transition=kind, **options).double()
    x = draw(2, 15, 4)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row])
        assert (y[row] - expected).abs().max() < 1e-11 * expected.abs().max().clamp_min(1.0)


@pytest.mark.parametrize("form", Bilinear.forms)
@pytest.mark.parametrize("kind", TRANSITIONS)
def test_gradients(form, kind) -> None:
    """Of the layer and of what is written out."""
    torch.manual_seed(0)
    memory = Bilinear(4, hidden=6, transition=kind, form=form, chunk=4, **OPTIONS.get(kind, {})).double()
    x = draw(1, 6, 4).requires_grad_()
    wanted = (x, *memory.parameters())
    found = torch.autograd.grad(memory(x)[0].square().sum(), wanted)
    expected = torch.autograd.grad(written_out(memory, x[0]).square().sum(), wanted)
    for gradient, other in zip(found, expected, strict=True):
        assert (gradient - other).abs().max() < 1e-10 * other.abs().max().clamp_min(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "factored", "block"])
def test_blocks_too_large_for_products_obey_the_laws(kind) -> None:
    """Their chunks are read step by step, and those of matrices made anew in the backward pass."""
    torch.manual_seed(0)
    memory = Bilinear(4, hidden=18, transition=kind, block=18, chunk=7)
    laws = [law for law in laws_for(memory) if law != "compiles"]  # run-time type checks do not compile
    for gap in check(memory, dtypes=[torch.float64], forms=["chunk"], laws=laws):
        assert gap.holds, gap


@pytest.mark.parametrize("kind", TRANSITIONS)
@torch.no_grad()
def test_lengths_are_kept_on_average_at_the_start(kind) -> None:
    torch.manual_seed(0)
    memory = Bilinear(64, hidden=64, transition=kind, normalised=False).double()
    before = torch.randn(400, 64).double()
    _, after = memory(draw(400, 1, 64), BilinearState(before))
    assert abs(float(after.hidden.square().mean() / before.square().mean()) - 1) < 0.1


@pytest.mark.parametrize("form", Bilinear.forms)
@torch.no_grad()
def test_any_automaton(form) -> None:
    """States as unit vectors, one matrix of transitions a symbol: exact over 1,000 symbols."""
    generator = torch.Generator().manual_seed(0)
    table = torch.stack([torch.randperm(5, generator=generator) for _ in range(3)])  # symbol, state -> state
    memory = Bilinear(3, hidden=5, form=form)
    memory.input.weight.copy_(torch.nn.functional.one_hot(table, 5).permute(2, 1, 0).reshape(25, 3))
    memory.start.copy_(torch.eye(5)[0])
    symbols = torch.randint(3, (1000,), generator=generator)
    _, state = memory(torch.eye(3)[symbols][None])
    at = 0
    for symbol in symbols.tolist():
        at = int(table[symbol, at])
    assert (state.hidden[0] - torch.eye(5)[at]).abs().max() < 1e-6


@torch.no_grad()
def test_long_streams_stay_in_range() -> None:
    memory = Bilinear(4, hidden=6, form="chunk")
    y, state = memory(10 * draw(1, 1000, 4).float())
    assert y.isfinite().all()
    assert abs(float(state.hidden.norm()) - 1) < 1e-5


def test_the_state_is_as_large_as_promised() -> None:
    memory = Bilinear(12).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.hidden.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transition": "dense"}, "no transition 'dense'; choose one of full, factored, block, rotation, diagonal"),
        ({"transition": "block", "block": 4}, "hidden=6 does not split into blocks of 4"),
        ({"transition": "rotation", "hidden": 5}, "hidden=5 does not split into blocks of 2"),
        ({"hidden": 0}, "hidden=0 is not a whole number of at least 1"),
        ({"transition": "factored", "rank": 0}, "rank=0 is not a whole number of at least 1"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Bilinear(12, **{"hidden": 6, **options})
