"""Relative attention: the shift against a lookup for every pair, and one unit against many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.ops.relative_attention import (
    relative_attention,
    relative_attention_naive,
    relative_attention_step,
    sinusoids,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("time", "total"), [(1, 1), (1, 6), (5, 5), (4, 11)])
def test_shift_and_lookup_agree_in_outputs_and_gradients(time, total) -> None:
    shapes = [(2, time, 3, 4), (2, total, 3, 4), (2, total, 3, 5), (total + 1, 3, 4), (3, 4), (3, 4)]
    seen = torch.ones(time, total, dtype=torch.bool).tril(total - time).repeat(2, 1, 1)
    seen[1, :, : total - time] = False
    results = []
    for attention in (relative_attention, relative_attention_naive):
        leaves = [draw(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes)]
        y = attention(*leaves, seen)
        results.append([y, *torch.autograd.grad((y * draw(*y.shape)).sum(), leaves)])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() < 1e-12
    assert results[0][2][1, : total - time].eq(0).all()  # keys that row 1 may not see


def test_one_unit_among_stored_vectors() -> None:
    """Projections moved to the query's side, and distances that differ from row to row."""
    units, key, value, position = draw(2, 7, 6), draw(3, 4, 6, seed=1), draw(3, 4, 6, seed=2), draw(3, 4, 6, seed=3)
    query, biases = draw(2, 3, 4, seed=4), (draw(3, 4, seed=5), draw(3, 4, seed=6))
    own = torch.tensor([6, 3])  # row 1 stands at the fourth of seven slots; later ones are empty
    slots = torch.arange(7)
    distance, seen = (own[:, None] - slots).clamp(min=0), slots <= own[:, None]
    table = sinusoids(slots, 6, torch.float64)
    pulled = (
        torch.einsum("bhk,hkd->bhd", (query + bias) / 2, weight)
        for bias, weight in zip(biases, (key, position), strict=True)
    )
    y = torch.einsum("bhd,hkd->bhk", relative_attention_step(*pulled, units, table, distance, seen), value)
    for row, last in enumerate(own.tolist()):
        k, v = (torch.einsum("nd,hkd->nhk", units[row, : last + 1], weight)[None] for weight in (key, value))
        r = torch.einsum("nd,hkd->nhk", sinusoids(torch.arange(last + 1, -1, -1), 6, torch.float64), position)
        every = torch.ones(1, 1, last + 1, dtype=torch.bool)
        expected = relative_attention_naive(query[row][None, None], k, v, r, *biases, every)
        assert (y[row] - expected[0, 0]).abs().max() < 1e-12


def test_sinusoids() -> None:
    table = sinusoids(torch.tensor([0, 3]), 4, torch.float64)
    angle = torch.tensor([3.0, 0.03], dtype=torch.float64)
    assert torch.allclose(table[0], torch.tensor([0.0, 0, 1, 1], dtype=torch.float64))
    assert torch.allclose(table[1], torch.cat([angle.sin(), angle.cos()]), atol=1e-15)
