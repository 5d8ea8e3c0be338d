"""Linear attention: the equations, the authors' numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.ops.linear_attention import (
    elu_features,
    linear_attention_chunk,
    linear_attention_naive,
)

from .forms import gap, normal

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "linear_attention.safetensors"
FORMS = {
    "naive": linear_attention_naive,
    "chunk 1": partial(linear_attention_chunk, chunk=1),
    "chunk 7": partial(linear_attention_chunk, chunk=7),
    "chunk 64": linear_attention_chunk,
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def inputs(time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Query, key, value, matrix and normaliser of 3 heads, K = 4, V = 5."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    query, key = elu_features(draw(batch, time, 3, 4)), elu_features(draw(batch, time, 3, 4))
    value, matrix = draw(batch, time, 3, 5), draw(batch, 3, 4, 5)
    return [query, key, value, matrix, elu_features(draw(batch, 3, 4))]


def test_features_are_elu_plus_one() -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
    assert gap(elu_features(x), torch.where(x > 0, x + 1, x.exp())) < 1e-15


@every_form
@pytest.mark.parametrize("time", [1, 2, 13, 70])
def test_equations(form, time) -> None:
    query, key, value, matrix, normaliser = inputs(time)
    y, after, after_normaliser = form(query, key, value, matrix, normaliser)
    for b in range(2):
        for h in range(3):
            s, z = matrix[b, h].clone(), normaliser[b, h].clone()
            for t in range(time):
                s = s + torch.outer(key[b, t, h], value[b, t, h])
                z = z + key[b, t, h]
                expected = query[b, t, h] @ s / (query[b, t, h] @ z + 1e-6)
                assert gap(y[b, t, h], expected) < 1e-12
            assert gap(after[b, h], s) < 1e-12
            assert gap(after_normaliser[b, h], z) < 1e-12


@every_form
def test_without_a_past_it_is_normalised_attention(form) -> None:
    query, key, value, matrix, normaliser = inputs(20)
    y, _, _ = form(query, key, value, 0 * matrix, 0 * normaliser, epsilon=0.0)
    scores = torch.einsum("bthk,bshk->bhts", query, key).tril()
    expected = torch.einsum("bhts,bshv->bthv", scores / scores.sum(-1, keepdim=True), value)
    assert gap(y, expected) < 1e-13


@every_form
def test_golden(form) -> None:
    golden = load_file(GOLDEN)
    parts = [golden[f"input/plain/{name}"].requires_grad_() for name in ("query", "key", "value")]
    y, _, _ = form(*parts, torch.zeros(1, 2, 4, 3).double(), torch.zeros(1, 2, 4).double(), epsilon=1e-10)
    assert gap(y, golden["output/plain/y"]) < 1e-9
    for name, gradient in zip(("query", "key", "value"), torch.autograd.grad(y.square().sum(), parts), strict=True):
        assert gap(gradient, golden[f"gradient/plain/{name}"]) < 1e-9


@every_form
def test_golden_from_a_carried_state(form) -> None:
    golden = load_file(GOLDEN)
    parts = [golden[f"input/carried/{name}"] for name in ("query", "key", "value", "matrix", "normaliser")]
    y, matrix, normaliser = form(*parts, epsilon=1e-10)
    assert gap(y, golden["output/carried/y"]) < 1e-5
    assert gap(matrix, golden["state/carried/matrix"]) < 1e-5
    assert gap(normaliser, golden["state/carried/normaliser"]) < 1e-5
