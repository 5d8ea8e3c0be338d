"""Outer products that fade at gates of both sides: the equations, gates of exactly 0 and 1, and values outside."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from mnesis.ops.recurrence import FORMS
from mnesis.ops.two_sided_gates import joint_gates, separate_gates

from .forms import gap, normal

every_form = pytest.mark.parametrize("form", FORMS)


def inputs(time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Query, key, its gate, value, its gate, and matrix of 3 heads, K = 4, V = 5."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    query, key, key_gate = (draw(batch, time, 3, 4) for _ in range(3))
    value, value_gate = draw(batch, time, 3, 5), draw(batch, time, 3, 5)
    return [query, key, key_gate.sigmoid(), value, value_gate.sigmoid(), draw(batch, 3, 4, 5)]


@every_form
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("time", [1, 2, 13, 70])
def test_equations(form, joint, time) -> None:
    query, key, g, value, b, matrix = parts = inputs(time)
    y, after = (joint_gates if joint else separate_gates)(form, *parts)
    for row in range(2):
        for h in range(3):
            c = matrix[row, h].clone()
            for t in range(time):
                at = row, t, h
                kept = 1 - torch.outer(g[at], b[at]) if joint else torch.outer(1 - g[at], 1 - b[at])
                c = kept * c + torch.outer(key[at], value[at])
                assert gap(y[at], c.T @ query[at]) < 1e-12
            assert gap(after[row, h], c) < 1e-12


@every_form
@pytest.mark.parametrize("joint", [False, True])
def test_gates_that_are_open_or_shut_have_their_gradients(form, joint) -> None:
    """Where a sigmoid has come to its ends, a logarithm of what is kept would have none."""
    parts = inputs(40)
    for at in (2, 4):
        parts[at] = torch.where(parts[at] < 0.3, 0.0, torch.where(parts[at] > 0.7, 1.0, parts[at]))
    learned = [part.requires_grad_() for part in parts]
    recurrence = joint_gates if joint else separate_gates
    exact, found = recurrence("naive", *parts), recurrence(form, *parts, chunk=16)
    pairs = zip(
        *(torch.autograd.grad(sum(y.square().sum() for y in ys), learned) for ys in (exact, found)), strict=True
    )
    for a, b in pairs:
        assert gap(a, b) < 1e-9 * max(1.0, float(a.abs().max()))


@pytest.mark.parametrize(("at", "name"), [(2, "key_gate"), (4, "value_gate")])
@pytest.mark.parametrize("value", [1.5, -0.5, float("nan")])
def test_what_is_no_gate_is_refused(at, name, value) -> None:
    parts = inputs(6)
    parts[at][1, 3] = value
    with pytest.raises(ValueError, match=rf"{name} reaches from .*: a gate lies in \[0, 1\]; give sigmoid\(x\)"):
        separate_gates("chunk", *parts)
