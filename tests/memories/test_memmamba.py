"""MemMamba as a memory: notes and reads written out unit by unit, its pool, its state and its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.memmamba import MemMamba

SMALL: dict[str, Any] = {"slots": 3, "summary": 4, "states": 2}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def build(**options) -> MemMamba:
    """Scores that lie on both sides of their thresholds."""
    torch.manual_seed(0)
    memory = MemMamba(12, **{**SMALL, **options}).double()
    torch.nn.init.normal_(memory.importance.weight)
    torch.nn.init.normal_(memory.forgetting.weight, std=10.0)
    return memory


def written_out(memory: MemMamba, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One row, from an empty past, with the pool as a list."""
    z, pool, outputs = memory.mamba(x[None])[0][0], [], []
    for t, unit in enumerate(x):
        before = z[t - 1] if t else torch.zeros_like(unit)
        importance, forgetting = memory.importance(unit).sigmoid(), memory.forgetting(before).sigmoid()
        y = z[t]
        if pool and forgetting > memory.thresholds[1]:
            notes = torch.stack(pool)
            found = (notes @ memory.query(unit) / notes.shape[1] ** 0.5).softmax(0) @ notes
            y = y + (forgetting - memory.thresholds[1]) * memory.output(found)
        if importance > memory.thresholds[0]:
            pool = [*pool, importance * memory.summary(unit)][-memory.slots :]
        outputs.append(y)
    return torch.stack(outputs), pool


@pytest.mark.parametrize("form", MemMamba.forms)
@pytest.mark.parametrize(("importance", "forgetting"), [(0.5, 0.3), (0.8, 0.0), (0.0, 0.6)])
@torch.no_grad()
def test_the_layer(form, importance, forgetting) -> None:
    memory = build(importance=importance, forgetting=forgetting, form=form, chunk=7)
    x = draw(2, 30, 12)
    y, state = memory(x)
    for row in range(2):
        expected, pool = written_out(memory, x[row])
        assert (y[row] - expected).abs().max() < 1e-11
        assert state.taken[row].sum() == len(pool)
        for kept, note in zip(reversed(state.notes[row]), reversed(pool), strict=False):
            assert (kept - note).abs().max() < 1e-11
    assert (y - memory.mamba(x)[0]).abs().max() > 1e-2


@pytest.mark.parametrize("form", MemMamba.forms)
def test_gradients(form) -> None:
    """Of the layer and of what is written out."""
    memory, x = build(form=form, chunk=7), draw(1, 20, 12).requires_grad_()
    wanted = (x, *memory.parameters())
    found = torch.autograd.grad(memory(x)[0].square().sum(), wanted)
    expected = torch.autograd.grad(written_out(memory, x[0])[0].square().sum(), wanted)
    for gradient, other in zip(found, expected, strict=True):
        assert (gradient - other).abs().max() < 1e-10 * other.abs().max().clamp_min(1.0)


@torch.no_grad()
def test_an_early_note_is_found_where_little_else_is_noted() -> None:
    """Units below the threshold do not push it out."""
    memory = build(form="chunk")
    x = -0.1 * memory.importance.weight.expand(1, 400, 12).clone()
    x[:, 0] *= -10
    other = x.clone()
    other[:, 0] *= 2
    assert (memory(x)[1].notes[:, -1] - memory(other)[1].notes[:, -1]).abs().max() > 0.1


def test_both_scores_learn() -> None:
    memory = build()
    memory(draw(2, 30, 12))[0].square().sum().backward()
    for scorer in (memory.importance, memory.forgetting):
        assert scorer.weight.grad is not None
        assert scorer.weight.grad.abs().max() > 0


def test_the_state_is_as_large_as_promised() -> None:
    memory = MemMamba(12, slots=5, summary=4, states=2, expansion=3, convolution=2, rank=2).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.notes.dtype is state.last.dtype is torch.bfloat16
    assert state.taken.dtype is torch.float32
    assert memory.mamba.rank == 2
    assert nbytes(state) == 2 * (4 * 36 * 2 + 2 * 36 + 2 * (12 + 5 * 4) + 4 * 5)


def test_scores_can_be_watched() -> None:
    with recording() as observed:
        build()(draw(2, 30, 12))
    for name in ("importance", "forgetting"):
        score = observed[f"memmamba/{name}"][0].detach()
        assert score.shape == (2, 30)
        assert 0 <= float(score.min()) < 0.3 < 0.5 < float(score.max()) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots=0 is not a whole number of at least 1"),
        ({"importance": 1.0}, "importance=1.0, forgetting=0.3: thresholds of a sigmoid lie in"),
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        MemMamba(12, **{**SMALL, **options})
