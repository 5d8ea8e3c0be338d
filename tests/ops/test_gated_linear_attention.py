"""Outer products that decay: the equations, linear attention's numbers, and decays that forget everything."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.memories.linear.linear_attention import elu_features
from mnesis.ops.gated_linear_attention import gated_linear_attention

from .forms import gap, normal

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "linear_attention.safetensors"
FORMS = {
    "naive": partial(gated_linear_attention, "naive"),
    "chunk 1": partial(gated_linear_attention, "chunk", chunk=1),
    "chunk 7": partial(gated_linear_attention, "chunk", chunk=7),
    "chunk": partial(gated_linear_attention, "chunk"),
    "parallel": partial(gated_linear_attention, "parallel"),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def inputs(
    time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64, channels: bool = False
) -> list[Tensor]:
    """Query, key, value, log-decay of a head or of each key channel, and matrix of 3 heads, K = 4, V = 5."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    query, key, value = draw(batch, time, 3, 4), draw(batch, time, 3, 4), draw(batch, time, 3, 5)
    return [query, key, value, -draw(batch, time, 3, *([4] if channels else [])).exp(), draw(batch, 3, 4, 5)]


@every_form
@pytest.mark.parametrize("channels", [False, True], ids=["head", "channel"])
@pytest.mark.parametrize("time", [1, 2, 13, 70])
def test_equations(form, channels, time) -> None:
    query, key, value, log_decay, matrix = inputs(time, channels=channels)
    if time > 5:
        log_decay[0, 5] = -torch.inf
    y, after = form(query, key, value, log_decay, matrix)
    for b in range(2):
        for h in range(3):
            s = matrix[b, h].clone()
            for t in range(time):
                s = log_decay[b, t, h].exp().reshape(-1, 1) * s + torch.outer(key[b, t, h], value[b, t, h])
                assert gap(y[b, t, h], s.T @ query[b, t, h]) < 1e-12
            assert gap(after[b, h], s) < 1e-12


@every_form
def test_without_a_decay_nothing_is_forgotten(form) -> None:
    query, key, value, log_decay, matrix = inputs(30)
    y, after = form(query, key, value, None, matrix)
    expected, expected_after = form(query, key, value, 0 * log_decay, matrix)
    assert gap(y, expected) < 1e-12
    assert gap(after, expected_after) < 1e-12


@every_form
@pytest.mark.parametrize("case", ["plain", "carried"])
def test_golden_of_linear_attention(form, case) -> None:
    """A column of values that are 1 is the normaliser."""
    golden = load_file(GOLDEN)
    plain, tolerance = case == "plain", 1e-9 if case == "plain" else 1e-5
    parts = [golden[f"input/{case}/{name}"].requires_grad_(plain) for name in ("query", "key", "value")]
    matrix = torch.zeros(1, 2, 4, 4).double()
    if not plain:
        matrix = torch.cat([golden["input/carried/matrix"], golden["input/carried/normaliser"][..., None]], -1)
    y, after = form(*parts[:2], F.pad(parts[2], (0, 1), value=1.0), None, matrix)
    y = y[..., :-1] / (y[..., -1:] + 1e-10)
    assert gap(y, golden[f"output/{case}/y"]) < tolerance
    if plain:
        for name, gradient in zip(("query", "key", "value"), torch.autograd.grad(y.square().sum(), parts), strict=True):
            assert gap(gradient, golden[f"gradient/plain/{name}"]) < tolerance
    else:
        assert gap(after[..., :-1], golden["state/carried/matrix"]) < tolerance
        assert gap(after[..., -1], golden["state/carried/normaliser"]) < tolerance


def test_features_are_elu_plus_one() -> None:
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
    assert gap(elu_features(x), torch.where(x > 0, x + 1, x.exp())) < 1e-15
