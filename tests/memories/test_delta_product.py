"""DeltaProduct as a memory: the layer written out, the authors' numbers, rotations, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.plastic.delta_product import DeltaProduct
from mnesis.memories.plastic.delta_rule import DeltaRule
from mnesis.ops.delta_rule import delta_rule

from .fla_layers import agrees

every_form = pytest.mark.parametrize("form", DeltaProduct.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: DeltaProduct, x: Tensor, strongest: float) -> Tensor:
    """One row, from an empty past: the product of Householder matrices of every unit and head, then the read."""
    projected = x @ memory.projection.weight.T
    if memory.convolution is not None:
        width, weight = memory.convolution.width, memory.convolution.weight
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    heads, n = memory.heads, memory.writes
    q, k, v = F.silu(projected).split(memory.sizes, -1)
    q, k, v = q.reshape(len(x), heads, -1), k.reshape(len(x), n, heads, -1), v.reshape(len(x), n, heads, -1)
    q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
    beta = strongest * (x @ memory.strength.weight.T).sigmoid().reshape(len(x), n, heads)
    alpha = torch.ones(len(x), heads, dtype=torch.float64)
    if memory.decay is not None:
        alpha = (-memory.log_rate.exp() * F.softplus(x @ memory.decay.weight.T + memory.time_step)).exp()
    eye = torch.eye(memory.width, dtype=torch.float64)
    matrices, outputs = [x.new_zeros(memory.width, v.shape[-1]) for _ in range(heads)], []
    for t in range(len(x)):
        reads = []
        for h in range(heads):
            kept, added = alpha[t, h] * eye, torch.zeros_like(matrices[h])
            for j in range(n):
                householder = eye - beta[t, j, h] * torch.outer(k[t, j, h], k[t, j, h])
                kept = householder @ kept
                added = householder @ added + beta[t, j, h] * torch.outer(k[t, j, h], v[t, j, h])
            matrices[h] = kept @ matrices[h] + added
            read = matrices[h].T @ q[t, h] / memory.width**0.5
            reads.append(read / (read.square().mean() + memory.norm.eps).sqrt() * memory.norm.weight)
        y = torch.cat(reads)
        outputs.append((y if memory.gate is None else y * F.silu(memory.gate(x[t]))) @ memory.output.weight.T)
    return torch.stack(outputs)


@every_form
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("options", [{}, {"writes": 1, "negative_eigenvalues": False}, {"convolution": None}])
def test_the_layer(form, gated, options) -> None:
    torch.manual_seed(0)
    memory = DeltaProduct(
        12, heads=3, width=5, **{"expansion": 2, "writes": 3, **options}, gated=gated, form=form, chunk=7
    )
    memory, x = memory.double(), draw(2, 20, 12)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row], 2.0 if options.get("negative_eigenvalues", True) else 1.0)
        assert (y[row] - expected).abs().max() < 1e-12


@every_form
@pytest.mark.parametrize(("case", "writes"), [("plain", 2), ("doubled", 3), ("carried", 2)])
def test_golden(form, case, writes) -> None:
    """The recurrence as the layer runs it; the official code does not scale queries."""
    golden = load_file(Path(__file__).resolve().parents[1] / "golden" / "gated_delta_product.safetensors")
    names = ("query", "key", "value", "strength", "log_decay")
    parts = {
        name: golden[f"input/{case}/{name}"].requires_grad_() for name in names if f"input/{case}/{name}" in golden
    }
    decay = parts.get("log_decay")
    if decay is not None:
        decay = F.pad(decay[:, :, None], (0, 0, 0, writes - 1)).flatten(1, 2)
    query = (5**0.5 * parts["query"]).repeat_interleave(writes, 1)
    start = golden.get(f"input/{case}/matrix", torch.zeros(2, 2, 5, 4))
    sequences = (query, parts["key"], parts["value"], parts["strength"], decay)
    y, matrix = delta_rule(form, *sequences, start, chunk=7)
    y = y[:, writes - 1 :: writes]
    assert (y - golden[f"output/{case}/y"]).abs().max() < 1e-5
    assert (matrix - golden[f"state/{case}/matrix"]).abs().max() < 1e-5
    if case == "plain":
        gradients = torch.autograd.grad(y.square().sum() + matrix.square().sum(), list(parts.values()))
        for name, found in zip(parts, gradients, strict=True):
            expected = golden[f"gradient/plain/{name}"]
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max().clamp_min(1.0)


@every_form
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_golden_layer(form, gated, writes) -> None:
    options = {"writes": writes, "gated": gated, "negative_eigenvalues": writes > 1, "convolution": 3}
    memory = DeltaProduct(6, heads=2, width=3, **options, form=form, chunk=4)
    agrees(memory, "delta_product_layer", f"{'gated' if gated else 'plain'}_{writes}")


def test_with_one_write_it_is_the_delta_rule() -> None:
    torch.manual_seed(0)
    memory, x = DeltaProduct(12, heads=3, writes=1).double(), draw(2, 30, 12)
    other = DeltaRule(12, heads=3, negative_eigenvalues=True).double()
    weights = memory.state_dict()
    other.load_state_dict({f"query_key_value.{k}" if k[:4] in {"proj", "conv"} else k: v for k, v in weights.items()})
    assert (memory(x)[0] - other(x)[0]).abs().max() < 1e-12


@pytest.mark.parametrize(("writes", "turns"), [(1, False), (2, True)])
def test_two_writes_of_strength_2_can_turn_what_is_held(writes, turns) -> None:
    """A product of two reflections is a rotation by twice the angle of their keys; one never is."""
    memory = DeltaProduct(2, heads=1, writes=writes, convolution=None).double()
    with torch.no_grad():
        memory.strength.weight.fill_(100.0)  # beta = 2
        memory.projection.weight.copy_(draw(2 + 4 * writes, 2).abs())
        memory.projection.weight[-2 * writes :] = 0.0  # values of 0
        state = memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float64)
        matrix = memory(torch.ones(1, 1, 2).double(), state._replace(matrix=torch.eye(2).double()[None, None]))[
            1
        ].matrix
    assert (matrix[0, 0] @ matrix[0, 0].T - torch.eye(2)).abs().max() < 1e-4
    assert (torch.det(matrix[0, 0]) > 0) == turns


@pytest.mark.parametrize("convolution", [None, 4])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = DeltaProduct(12, heads=3, expansion=2, writes=3, convolution=convolution).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 3 * 4 * 8 + 2 * 3 * 4 * (1 + 3 * (1 + 2)) * ((convolution or 1) - 1))


def test_gates_can_be_watched() -> None:
    memory = DeltaProduct(12, heads=3, writes=2, gated=True).double()
    with recording() as observed:
        memory(draw(2, 30, 12))
    kept, strength = (observed[f"delta_product/{name}"][0].detach() for name in ("kept", "write_strength"))
    assert kept.shape == (2, 30, 3)
    assert 0 < float(kept.min()) < float(kept.max()) < 1
    assert strength.shape == (2, 30, 2, 3)
    assert 0 < float(strength.min()) < 1 < float(strength.max()) < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 20}, "heads of width 0, values of 0, 2 writes a unit: give 1 or more of each"),
        ({"writes": 0}, "writes=0 is not a whole number of at least 1"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        DeltaProduct(12, **options)
