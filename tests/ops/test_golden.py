"""Recurrences against numbers of their authors' code (tests/golden/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.ops.delta_rule import delta_rule
from mnesis.ops.exponential_gating import EMPTY, exponential_gating
from mnesis.ops.gated_linear_attention import gated_linear_attention
from mnesis.ops.recurrence import FORMS

from .forms import gap

FOLDER = Path(__file__).resolve().parents[1] / "golden"
every_form = pytest.mark.parametrize("form", FORMS)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    """Within the tolerance of the largest entry, where that is above 1."""
    return gap(found, expected) < tolerance * max(1.0, float(expected.abs().max()))


def start(golden: dict[str, Tensor], case: str, *sizes: int) -> Tensor:
    return golden.get(f"input/{case}/matrix", torch.zeros(2, 2, *sizes))


@every_form
@pytest.mark.parametrize("case", ["plain", "strong", "carried"])
def test_gla(form, case) -> None:
    golden = load_file(FOLDER / "gla.safetensors")
    names = ("query", "key", "value", "log_decay")
    parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in names]
    y, matrix = gated_linear_attention(form, parts[0] * 5**-0.5, *parts[1:], start(golden, case, 5, 4), chunk=7)
    assert close(y, golden[f"output/{case}/y"])
    assert close(matrix, golden[f"state/{case}/matrix"])
    if case == "plain":
        for name, found in zip(
            names, torch.autograd.grad(y.square().sum() + matrix.square().sum(), parts), strict=True
        ):
            assert close(found, golden[f"gradient/plain/{name}"])


@every_form
@pytest.mark.parametrize("case", ["plain", "doubled", "strong", "carried"])
def test_gated_delta_rule(form, case) -> None:
    golden = load_file(FOLDER / "gated_delta_rule.safetensors")
    names = ("query", "key", "value", "strength", "log_decay")
    parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in names]
    y, matrix = delta_rule(form, *parts, start(golden, case, 5, 4), chunk=7)
    assert close(y, golden[f"output/{case}/y"])
    assert close(matrix, golden[f"state/{case}/matrix"])
    if case == "plain":
        for name, found in zip(
            names, torch.autograd.grad(y.square().sum() + matrix.square().sum(), parts), strict=True
        ):
            assert close(found, golden[f"gradient/plain/{name}"])


@every_form
@pytest.mark.parametrize("case", ["plain", "carried"])
def test_retention(form, case) -> None:
    golden = load_file(FOLDER / "retention.safetensors")
    parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in ("query", "key", "value")]
    log_decay = torch.log1p(-(2.0 ** -torch.tensor([5.0, 6.0]))).expand(2, parts[0].shape[1], 2)
    y, matrix = gated_linear_attention(form, parts[0] * 0.5, *parts[1:], log_decay, start(golden, case, 4, 6), chunk=7)
    assert close(y, golden[f"output/{case}/y"])
    assert close(matrix, golden[f"state/{case}/matrix"])
    if case == "plain":
        for name, found in zip(("query", "key", "value"), torch.autograd.grad(y.square().sum(), parts), strict=True):
            assert close(found, golden[f"gradient/plain/{name}"])


@every_form
@pytest.mark.parametrize("case", ["plain", "extreme", "carried"])
def test_mlstm(form, case) -> None:
    golden = load_file(FOLDER / "mlstm.safetensors")
    names = ("query", "key", "value", "input_gate", "forget_gate")
    query, key, value, write, keep = parts = [golden[f"input/{case}/{name}"].requires_grad_() for name in names]
    matrix, maximum = torch.zeros(2, 2, 4, 7).double(), torch.full((2, 2), EMPTY).double()
    if case == "carried":
        columns = [golden[f"input/carried/{name}"] for name in ("matrix", "normaliser")]
        matrix, maximum = torch.cat([columns[0], columns[1][..., None]], -1), golden["input/carried/maximum"]
    y, m, matrix, maximum = exponential_gating(
        form, query, 0.5 * key, value, write, F.logsigmoid(keep), matrix, maximum, chunk=7
    )
    y = y[..., :-1] / (torch.maximum(y[..., -1:].abs(), (-m[..., None]).exp()) + 1e-6)
    name = "steps" if case != "carried" else "y"
    assert close(y, golden[f"output/{case}/{name}"], 1e-6)  # their empty state has m = 0, which shows beside 1e-6
    # Ours stands for the same sums, whatever m it is divided by.
    scale = (maximum - golden[f"state/{case}/maximum"]).exp()[..., None]
    assert close(matrix[..., :-1] * scale[..., None], golden[f"state/{case}/matrix"], 1e-12)
    assert close(matrix[..., -1] * scale, golden[f"state/{case}/normaliser"], 1e-12)
    if case == "plain":
        for name, found in zip(names, torch.autograd.grad(y.square().sum(), parts), strict=True):
            # Theirs also goes through the maximum, on which the ratio depends by the 1e-6 alone.
            assert close(found, golden[f"gradient/plain/{name}"])
