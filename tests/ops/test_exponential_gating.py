"""Exponential weights: the equations without a maximum, softmax as a special case, weights out of range."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from mnesis.ops.exponential_gating import EMPTY, exponential_gating

from .forms import gap, normal

FORMS = {
    "naive": partial(exponential_gating, "naive"),
    "chunk 1": partial(exponential_gating, "chunk", chunk=1),
    "chunk 7": partial(exponential_gating, "chunk", chunk=7),
    "chunk": partial(exponential_gating, "chunk"),
    "parallel": partial(exponential_gating, "parallel"),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def inputs(time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Query, key, value, log-weight, log-decay, matrix and maximum of 3 heads, K = 4, V = 5."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    query, key, value = draw(batch, time, 3, 4), draw(batch, time, 3, 4), draw(batch, time, 3, 5)
    log_weight, log_decay = 2 * draw(batch, time, 3), -draw(batch, time, 3).exp()
    return [query, key, value, log_weight, log_decay, draw(batch, 3, 4, 6), draw(batch, 3)]


@every_form
@pytest.mark.parametrize("time", [1, 2, 13, 70])
def test_equations(form, time) -> None:
    query, key, value, log_weight, log_decay, matrix, maximum = inputs(time)
    if time > 5:
        log_decay[0, 5] = -torch.inf
    y, m, after, after_maximum = form(query, key, value, log_weight, log_decay, matrix, maximum)
    for b in range(2):
        for h in range(3):
            s, largest = matrix[b, h] * maximum[b, h].exp(), maximum[b, h]
            for t in range(time):
                one = torch.cat([value[b, t, h], value.new_ones(1)])
                s = log_decay[b, t, h].exp() * s + log_weight[b, t, h].exp() * torch.outer(key[b, t, h], one)
                largest = torch.maximum(log_decay[b, t, h] + largest, log_weight[b, t, h])
                assert gap(m[b, t, h], largest) < 1e-12
                assert gap(y[b, t, h] * largest.exp(), s.T @ query[b, t, h]) < 1e-10
            assert gap(after[b, h] * after_maximum[b, h].exp(), s) < 1e-10


@every_form
def test_with_one_key_it_is_a_softmax(form) -> None:
    _, _, value, log_weight, log_decay, _, _ = inputs(30)
    one, empty = torch.ones(2, 30, 3, 1).double(), torch.zeros(2, 3, 1, 6).double()
    y, *_ = form(one, one, value, log_weight, 0 * log_decay, empty, torch.full((2, 3), EMPTY).double())
    scores = log_weight[:, None].expand(-1, 30, -1, -1).transpose(2, 3)
    future = torch.ones(30, 30, dtype=torch.bool).triu(1)[:, None]
    expected = torch.einsum("bths,bshv->bthv", scores.masked_fill(future, -torch.inf).softmax(-1), value)
    assert gap(y[..., :-1] / y[..., -1:], expected) < 1e-12


@every_form
@pytest.mark.parametrize("shift", [-500.0, 500.0])
def test_weights_out_of_range(form, shift) -> None:
    """exp(500) is no number in float32; ratios do not know of it."""
    query, key, value, log_weight, log_decay, matrix, maximum = inputs(40, dtype=torch.float32)
    empty, least = 0 * matrix, torch.full_like(maximum, EMPTY)
    y, *_ = form(query, key, value, log_weight, log_decay, empty, least)
    shifted, *_ = form(query, key, value, log_weight + shift, log_decay, empty, least)
    assert gap(shifted, y) < 1e-3 * float(y.abs().max())
