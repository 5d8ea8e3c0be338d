"""GaLiTe and AGaLiTe as memories: the layers written out, clocks, states, observables and options."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.agalite import AGaLiTe, AGaLiTeState, GaLiTe, GaLiTeState, GatedFeatures

from .golden import Weights, compare, gap, load, under

SMALL: dict[str, Any] = {"heads": 2, "width": 3, "expansion": 2}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def features(part: GatedFeatures, x: Tensor, head: int) -> tuple[Tensor, ...]:
    """phi_k, phi_q, v, beta and gamma of one unit and head."""
    narrow, few = part.narrow(x).unflatten(-1, (2, 5, 3))[head], part.few(x).unflatten(-1, (2, 3, 2))[head]
    key, query = (torch.outer(few[i].relu(), narrow[i].relu()).flatten() for i in (0, 1))
    return key, query, narrow[2], narrow[3].sigmoid(), torch.outer(few[2].sigmoid(), narrow[4].sigmoid()).flatten()


def galite(memory: GaLiTe, x: Tensor) -> Tensor:
    """One row, from an empty past, with C as the paper has it: values by keys."""
    matrices, sums, outputs = [torch.zeros(3, 6).double()] * 2, [torch.zeros(6).double()] * 2, []
    for unit in x:
        heads = []
        for h in range(2):
            key, query, value, beta, gamma = features(memory.features, unit, h)
            kept = 1 - torch.outer(beta, gamma) if memory.joint else torch.outer(1 - beta, 1 - gamma)
            matrices[h] = kept * matrices[h] + torch.outer(beta * value, gamma * key)
            sums[h] = (1 - gamma) * sums[h] + gamma * key
            heads.append(matrices[h] @ query / (sums[h] @ query + 1e-10))
        outputs.append(memory.features.output(torch.cat(heads)))
    return torch.stack(outputs)


def agalite(memory: AGaLiTe, x: Tensor) -> Tensor:
    """One row, from an empty past, with the clock as it is."""
    size, outputs = memory.cosines, []
    omega = torch.linspace(-math.pi, math.pi, size, dtype=torch.float64)
    values, keys, sums = torch.zeros(2, size, 3).double(), torch.zeros(2, size, 6).double(), torch.zeros(2, 6).double()
    for t, unit in enumerate(x, 2):
        heads = []
        for h in range(2):
            key, query, value, beta, gamma = features(memory.features, unit, h)
            sums[h] = (1 - gamma) * sums[h] + gamma * key
            for j in range(size):
                values[h, j] = (1 - beta) * values[h, j] + torch.cos(omega[j] * t) * beta * value
                keys[h, j] = (1 - gamma) * keys[h, j] + torch.cos(omega[j] * t) * gamma * key
            read = sum(values[h, j] * (keys[h, j] @ query) for j in range(size))
            heads.append(read / (2 * size * (sums[h] @ query) + 1e-5))
        outputs.append(memory.features.output(torch.cat(heads)))
    return torch.stack(outputs)


@pytest.mark.parametrize("form", GaLiTe.forms)
@pytest.mark.parametrize("joint", [False, True])
def test_galite(form, joint) -> None:
    torch.manual_seed(0)
    memory = GaLiTe(12, joint=joint, form=form, chunk=7, **SMALL).double()
    x = draw(2, 30, 12)
    weights = list(memory.parameters())
    y, _ = memory(x.requires_grad_())
    expected = torch.stack([galite(memory, row) for row in x])
    assert (y - expected).abs().max() < 1e-11
    for found, wanted in zip(
        *(torch.autograd.grad(part.square().sum(), [x, *weights]) for part in (y, expected)), strict=True
    ):
        assert gap(found, wanted) < 1e-11


@pytest.mark.parametrize("form", AGaLiTe.forms)
@pytest.mark.parametrize("cosines", [1, 2, 7])
@torch.no_grad()
def test_agalite(form, cosines) -> None:
    torch.manual_seed(0)
    memory = AGaLiTe(12, cosines=cosines, form=form, chunk=7, **SMALL).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - agalite(memory, x[row])).abs().max() < 1e-11


def test_what_is_carried_of_the_clock_stays_within_its_period() -> None:
    memory, state = AGaLiTe(12, cosines=4, **SMALL), None
    for units in (5, 1, 7):
        _, state = memory(torch.zeros(2, units, 12), state)
    assert state is not None
    assert state.unit.tolist() == [(1 + 13) % 6] * 2


def galite_as_ours(theirs: Weights) -> Weights:
    """Theirs makes queries of one map after another."""

    def part(name: str) -> tuple[Tensor, Tensor]:
        return theirs[f"{name}.kernel"], theirs[f"{name}.bias"]

    def query(name: str) -> tuple[Tensor, Tensor]:
        (before, shift), (kernel, bias) = part("Dense_0"), part(f"ParameteredProjection_0.{name}")
        return before @ kernel, (shift[:, None] @ kernel).squeeze(1) + bias

    def together(*parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        kernels, biases = zip(*parts, strict=True)  # [H, D, channels] and [H, channels] of each
        return torch.stack(kernels, 1).mT.flatten(0, 2), torch.stack(biases, 1).flatten()

    key, gate = "csop.ParameteredProjection_0", "csop.ParameteredProjection_1"
    narrow = together(
        part(f"{key}.Dense_0"), query("Dense_0"), part("csop.Dense_0"), part("csop.Dense_1"), part(f"{gate}.Dense_0")
    )
    few = together(part(f"{key}.Dense_1"), query("Dense_1"), part(f"{gate}.Dense_1"))
    kernel, bias = part("Dense_1")
    pairs = {"narrow": narrow, "few": few, "output": (kernel.T, bias)}
    return {f"features.{n}.{k}": v for n, pair in pairs.items() for k, v in zip(("weight", "bias"), pair, strict=True)}


def galite_state(of: Weights) -> Tensor:
    """Keys of theirs are outer products the other way round, and C is values by keys."""
    matrix = torch.cat([of["C"], of["s"][:, :, None]], 2)
    return matrix.unflatten(-1, (3, 2)).mT.flatten(-2).mT


@pytest.mark.parametrize("form", GaLiTe.forms)
@pytest.mark.parametrize("case", ["plain", "carried"])
def test_golden_galite(form, case) -> None:
    golden = load("galite")
    weights, gradients = under(golden, "weight/"), under(golden, f"gradient/{case}/")
    start = GaLiTeState(galite_state(under(golden, "input/carried/"))) if case == "carried" else None
    memory = GaLiTe(6, joint=True, form=form, chunk=7, **SMALL).double()
    x, y = golden["input/x"], golden[f"output/{case}/y"]
    state = compare(memory, galite_as_ours, weights, x, y, gradients, start)
    assert gap(state.matrix, galite_state(under(golden, f"state/{case}/"))) < 1e-12


def agalite_as_ours(theirs: Weights) -> Weights:
    names = {"narrow": "linear_kqvbetagammas", "few": "linear_p1p2p3", "output": "project"}
    weights = {f"features.{ours}.weight": theirs[f"{name}.kernel"].T for ours, name in names.items()}
    return weights | {f"features.{ours}.bias": theirs[f"{name}.bias"] for ours, name in names.items()}


def agalite_state(of: Weights, period: int) -> AGaLiTeState:
    keys = torch.cat([of["keys"], of["normaliser"][:, None]], 1).transpose(1, 2)
    return AGaLiTeState(keys, of["values"].transpose(1, 2), of["tick"][:, 0] % period)


@pytest.mark.parametrize("form", AGaLiTe.forms)
@pytest.mark.parametrize("case", ["cosines_1", "cosines_2", "cosines_3", "cosines_4", "carried"])
def test_golden_agalite(form, case) -> None:
    golden = load("agalite")
    weights, gradients = under(golden, "weight/"), under(golden, f"gradient/{case}/")
    memory = AGaLiTe(6, cosines=4 if case == "carried" else int(case[-1]), form=form, chunk=7, **SMALL).double()
    start = agalite_state(under(golden, "input/carried/"), 6) if case == "carried" else None
    x, y = golden["input/x"], golden[f"output/{case}/y"]
    state = compare(memory, agalite_as_ours, weights, x, y, gradients, start)
    expected = agalite_state(under(golden, f"state/{case}/"), memory.common_period)
    assert all(gap(found, wanted) < 1e-12 for found, wanted in zip(state, expected, strict=True))


@pytest.mark.parametrize(("cosines", "seen"), [(1, False), (2, False), (3, False), (4, True)])
@torch.no_grad()
def test_where_the_clock_begins_is_seen_from_four_cosines_on(cosines, seen) -> None:
    x, outputs = draw(2, 30, 12), []
    for first_tick in (1, 2):
        torch.manual_seed(0)
        outputs.append(AGaLiTe(12, cosines=cosines, first_tick=first_tick, **SMALL).double()(x)[0])
    assert bool((outputs[0] - outputs[1]).abs().max() > 1e-3) is seen
    assert seen or torch.allclose(*outputs, rtol=0, atol=1e-12)


def test_weights_start_orthogonal() -> None:
    weight = GaLiTe(12, **SMALL).features.output.weight.detach()
    assert torch.allclose(weight.T @ weight, 2 * torch.eye(6), atol=1e-5)


def test_states_are_as_large_as_promised() -> None:
    x = draw(2, 30, 12).bfloat16()
    for memory, numbers in ((GaLiTe(12, **SMALL), 2 * 6 * 4), (AGaLiTe(12, **SMALL), 2 * 3 * (2 * 3 + 2) + 1)):
        y, state = memory.bfloat16()(x)
        assert y.dtype is torch.bfloat16
        assert state[0].dtype is torch.float32
        assert nbytes(state) == 2 * 4 * numbers


@pytest.mark.parametrize("member", [GaLiTe, AGaLiTe])
def test_gates_can_be_watched(member) -> None:
    with recording() as observed:
        member(12, **SMALL)(torch.zeros(2, 9, 12))
    assert torch.equal(observed["galite/key_gate"][0].detach(), torch.full((2, 9, 2, 6), 0.25))
    assert torch.equal(observed["galite/value_gate"][0].detach(), torch.full((2, 9, 2, 3), 0.5))


@pytest.mark.parametrize(
    ("member", "options", "message"),
    [
        (GaLiTe, {"heads": 0}, "heads=0 is not a whole number of at least 1"),
        (AGaLiTe, {"expansion": 0}, "expansion=0 is not a whole number of at least 1"),
        (AGaLiTe, {"cosines": 0}, "cosines=0 is not a whole number of at least 1"),
        (AGaLiTe, {"first_tick": 0}, "first_tick=0 is not a whole number of at least 1"),
        (GaLiTe, {"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        (AGaLiTe, {"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(member, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        member(12, **{**SMALL, **options})
