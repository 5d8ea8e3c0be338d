"""The delta rule: the equations, the authors' numbers, near-equal keys."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.ops.delta_rule import delta_rule, unit_length

from .forms import gap, normal

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "delta_rule.safetensors"
PARTS = ("query", "key", "value", "strength")
FORMS = {
    "naive": partial(delta_rule, "naive"),
    "chunk 1": partial(delta_rule, "chunk", chunk=1),
    "chunk 7": partial(delta_rule, "chunk", chunk=7),
    "chunk": partial(delta_rule, "chunk"),
    "parallel": partial(delta_rule, "parallel"),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


def inputs(
    time: int, *, batch: int = 2, seed: int = 0, dtype: torch.dtype = torch.float64, channels: bool = False
) -> list[Tensor]:
    """Query, key, value, strength in (0, 2), log-decay and matrix of 3 heads, K = 4, V = 5."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(normal, generator=generator, dtype=dtype)
    query, key = unit_length(draw(batch, time, 3, 4)), unit_length(draw(batch, time, 3, 4))
    value, strength = draw(batch, time, 3, 5), 2 * draw(batch, time, 3).sigmoid()
    log_decay = -draw(batch, time, 3, *([4] if channels else [])).exp()
    return [query, key, value, strength, log_decay, draw(batch, 3, 4, 5)]


def test_unit_length() -> None:
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert gap(unit_length(x).norm(dim=-1), torch.ones(20)) < 1e-5
    zero = torch.zeros(6, requires_grad=True)
    unit_length(zero).sum().backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


@every_form
@pytest.mark.parametrize("decay", ["none", "head", "channel"])
@pytest.mark.parametrize("time", [1, 2, 13, 70])
def test_equations(form, decay, time) -> None:
    query, key, value, strength, log_decay, matrix = inputs(time, channels=decay == "channel")
    if time > 5:
        log_decay[0, 5] = -torch.inf
    if decay == "none":
        log_decay = torch.zeros_like(log_decay)
    y, after = form(query, key, value, strength, None if decay == "none" else log_decay, matrix)
    eye = torch.eye(4, dtype=torch.float64)
    for b in range(2):
        for h in range(3):
            s = matrix[b, h].clone()
            for t in range(time):
                k, beta = key[b, t, h], strength[b, t, h]
                s = log_decay[b, t, h].exp().reshape(-1, 1) * s
                s = (eye - beta * torch.outer(k, k)) @ s + beta * torch.outer(k, value[b, t, h])
                assert gap(y[b, t, h], s.T @ query[b, t, h] / 2) < 1e-12
            assert gap(after[b, h], s) < 1e-12


@every_form
def test_a_full_write_replaces_what_stood_under_the_key(form) -> None:
    generator = torch.Generator().manual_seed(0)
    key = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 1]][None, :, None]
    value = torch.randn(1, 5, 1, 3, generator=generator, dtype=torch.float64)
    ones, empty = torch.ones(1, 5, 1, dtype=torch.float64), torch.zeros(1, 1, 4, 3, dtype=torch.float64)
    _, matrix = form(key, key, value, ones, None, empty)
    assert gap(matrix[0, 0], value[0, [0, 4, 2, 3], 0]) < 1e-14


@every_form
@pytest.mark.parametrize("case", ["plain", "doubled"])
def test_golden(form, case) -> None:
    golden = load_file(GOLDEN)
    parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in PARTS]
    y, matrix = form(*parts, None, torch.zeros(2, 2, 5, 4, dtype=torch.float64))
    assert gap(y, golden[f"output/{case}/y"]) < 1e-9
    assert gap(matrix, golden[f"state/{case}/matrix"]) < 1e-9
    if case == "plain":
        gradients = torch.autograd.grad(y.square().sum() + matrix.square().sum(), parts)
        for name, gradient in zip(PARTS, gradients, strict=True):
            assert gap(gradient, golden[f"gradient/plain/{name}"]) < 1e-9


@every_form
def test_golden_from_a_carried_state(form) -> None:
    golden = load_file(GOLDEN)
    y, matrix = form(*(golden[f"input/carried/{name}"] for name in PARTS), None, golden["input/carried/matrix"])
    assert gap(y, golden["output/carried/y"]) < 1e-5
    assert gap(matrix, golden["state/carried/matrix"]) < 1e-5


@pytest.mark.parametrize("strongest", [1.0, 1.9, 2.0])
def test_nearly_equal_keys_at_full_strength(strongest) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 256, 2, 16, generator=generator, dtype=torch.float64)
    key = unit_length(noise[:, :1] + 0.01 * noise)
    value = torch.randn(2, 256, 2, 16, generator=generator, dtype=torch.float64)
    strength = torch.full((2, 256, 2), strongest, dtype=torch.float64)
    empty = torch.zeros(2, 2, 16, 16, dtype=torch.float64)
    exact, matrix = delta_rule("naive", key, key, value, strength, None, empty)
    single = [part.float() for part in (key, key, value, strength)]
    y, after = delta_rule("chunk", *single, None, empty.float())
    assert gap(y, exact) < 1e-4 * max(1.0, float(exact.abs().max()))
    assert gap(after, matrix) < 1e-4 * max(1.0, float(matrix.abs().max()))
