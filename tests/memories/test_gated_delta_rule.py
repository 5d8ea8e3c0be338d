"""The gated delta rule as a memory: the layer written out, its state, its observables and its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.plastic.gated_delta_rule import GatedDeltaRule

from .fla_layers import agrees


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: GatedDeltaRule, x: Tensor, strongest: float) -> Tensor:
    """One row, from an empty past, unit by unit and head by head."""
    part = memory.query_key_value
    projected = x @ part.projection.weight.T
    if part.convolution is not None:
        width, weight = part.convolution.width, part.convolution.weight
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    q, k, v = F.silu(projected).split(part.sizes, -1)
    beta = strongest * (x @ memory.strength.weight.T).sigmoid()
    rate = F.softplus(x @ memory.decay.weight.T + memory.time_step)
    alpha = (-memory.log_rate.exp() * rate).exp()
    size, wide = part.width, part.value_width
    matrices, outputs = x.new_zeros(part.heads, size, wide), []
    for t in range(len(x)):
        heads, after = [], []
        for h in range(part.heads):
            own, values = slice(h * size, (h + 1) * size), slice(h * wide, (h + 1) * wide)
            query, key = (part / (part.square().sum() + 1e-6).sqrt() for part in (q[t, own], k[t, own]))
            eye = torch.eye(size, dtype=torch.float64)
            held = alpha[t, h] * (eye - beta[t, h] * torch.outer(key, key)) @ matrices[h]  # equation 10
            after.append(held + beta[t, h] * torch.outer(key, v[t, values]))
            read = after[h].T @ query / size**0.5
            heads.append(read / (read.square().mean() + memory.norm.eps).sqrt() * memory.norm.weight)
        matrices = torch.stack(after)
        outputs.append((torch.cat(heads) * F.silu(x[t] @ memory.gate.weight.T)) @ memory.output.weight.T)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", GatedDeltaRule.forms)
@pytest.mark.parametrize("convolution", [None, 4])
@pytest.mark.parametrize("negative_eigenvalues", [False, True])
def test_the_layer(form, convolution, negative_eigenvalues) -> None:
    torch.manual_seed(0)
    options = {"convolution": convolution, "negative_eigenvalues": negative_eigenvalues, "form": form}
    memory = GatedDeltaRule(12, heads=3, width=4, chunk=7, **options).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row], 2.0 if negative_eigenvalues else 1.0)
        assert (y[row] - expected).abs().max() < 1e-12


@pytest.mark.parametrize("form", GatedDeltaRule.forms)
@pytest.mark.parametrize(
    ("case", "options"),
    [("plain", {"convolution": 3}), ("doubled", {"convolution": None, "negative_eigenvalues": True})],
)
def test_golden_layer(form, case, options) -> None:
    memory = GatedDeltaRule(6, heads=2, width=3, **options, form=form, chunk=4)
    agrees(memory, "gated_delta_rule_layer", case, "query_key_value.")


@pytest.mark.parametrize("convolution", [None, 4])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = GatedDeltaRule(16, heads=3, convolution=convolution).bfloat16()
    assert memory.query_key_value.width == 4
    y, state = memory(draw(2, 30, 16).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * (4 * 3 * 4 * 8 + 2 * 3 * 4 * 4 * ((convolution or 1) - 1))


def test_it_starts_with_the_time_steps_of_mamba_2() -> None:
    torch.manual_seed(0)
    step = F.softplus(GatedDeltaRule(64, heads=32, width=2).double().time_step).detach()
    assert 1e-3 <= float(step.min()) < float(step.max()) <= 0.1


def test_gates_can_be_watched() -> None:
    memory = GatedDeltaRule(12, heads=3).double()
    with recording() as observed:
        memory(draw(2, 30, 12))
    kept, strength = (observed[f"gated_delta_rule/{name}"][0].detach() for name in ("kept", "write_strength"))
    assert kept.shape == strength.shape == (2, 30, 3)
    assert 0 < float(kept.min()) < float(kept.max()) < 1
    assert 0 < float(strength.min()) < float(strength.max()) < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 20}, "heads of width 0 and values of 0: give 1 or more of both"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        GatedDeltaRule(12, **options)
