"""LSSL as a memory: filter and layer written out, the family of its matrix, cuts where it learns, its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.lssl import LSSL
from mnesis.ops.hippo import hippo

from .golden import Weights, compare, gap, load, under

CPU = torch.device("cpu")


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("form", LSSL.forms)
@pytest.mark.parametrize(
    "options",
    [{}, {"measure": "legt"}, {"measure": "random"}, {"learned": True}, {"learned": True, "measure": "lagt"}],
    ids=str,
)
def test_the_layer(form, options) -> None:
    torch.manual_seed(0)
    memory = LSSL(5, states=6, outputs=2, form=form, chunk=7, **options).double()
    x = draw(2, 30, 5)
    y, state = memory(x)
    a, b = memory.continuous(CPU, torch.float64)
    pace, one = memory.log_pace.exp()[:, None, None], torch.eye(6, dtype=torch.float64)
    inverse = torch.linalg.inv(one - pace / 2 * a)
    a, b = inverse @ (one + pace / 2 * a), (pace * inverse @ b[:, None]).squeeze(-1)
    h = torch.zeros(2, 5, 6, dtype=torch.float64)
    for t in range(30):
        h = torch.einsum("dmn, bdn -> bdm", a, h) + b * x[:, t, :, None]
        read = torch.einsum("dmn, bdn -> bdm", memory.read_out, h) + memory.skip * x[:, t, :, None]
        assert (y[:, t] - memory.output(F.gelu(read).flatten(1))).abs().max() < 1e-11
    assert (state.hidden - h).abs().max() < 1e-11


FAMILY = ("lower", "diagonal", "upper", "shift", "left", "right", "write")


def as_ours(theirs: Weights) -> Weights:
    return {
        "read_out": theirs["C"],
        "skip": theirs["D"],
        "output.weight": theirs["output_linear.weight"],
        "output.bias": theirs["output_linear.bias"],
        "log_pace": theirs["dt"].log(),
        **{name: theirs[name] for name in FAMILY if name in theirs},
    }


def of_legt(memory: LSSL) -> Weights:
    """What learns of A and B as LegT has it, with all digits of float64."""
    root = (2 * torch.arange(memory.states, dtype=torch.float64) + 1).sqrt()
    return {name: memory.get_parameter(name).detach() for name in FAMILY} | {"left": root, "right": root}


@pytest.mark.parametrize("form", LSSL.forms)
@pytest.mark.parametrize("learned", [False, True])
def test_golden(form, learned) -> None:
    golden = load("lssl")
    memory = LSSL(4, states=6, outputs=2, measure="legt", learned=learned, form=form, chunk=7).double()
    weights, gradients = under(golden, "weight/"), under(golden, "gradient/")
    if learned:
        # Theirs has no family: what its gradient of A and B asks of ours is the chain rule's.
        weights |= of_legt(memory)
        memory.load_state_dict(as_ours(weights))
        system = memory.continuous(CPU, torch.float64)
        assert gap(system.transition, weights["A"]) < 1e-13
        asked = torch.autograd.grad(
            system, [memory.get_parameter(name) for name in FAMILY], [gradients[n] for n in "AB"]
        )
        gradients |= dict(zip(FAMILY, asked, strict=True))
    for name in "AB":
        del weights[name], gradients[name]
    state = compare(memory, as_ours, weights, golden["input/x"], golden["output/y"], gradients)
    assert gap(state.hidden, golden["state/hidden"]) < 1e-12


@pytest.mark.parametrize("states", [1, 6, 7])
@pytest.mark.parametrize("measure", ["legs", "legt", "lagt"])
def test_what_learns_starts_as_hippo(measure, states) -> None:
    a, b = LSSL(4, states=states, measure=measure, learned=True).double().continuous(CPU, torch.float64)
    expected = hippo(measure, states)
    assert (a - expected.transition).abs().max() < 2e-6
    assert (b - expected.write).abs().max() < 2e-6


@pytest.mark.parametrize("form", LSSL.forms)
def test_cuts_change_nothing_when_all_learns(form) -> None:
    torch.manual_seed(0)
    memory, x = LSSL(4, states=5, learned=True, form=form, chunk=7).double(), draw(2, 40, 4)
    weights = list(memory.parameters())
    whole, _ = memory(x)
    state, parts = None, []
    for piece in x.split([1, 2, 20, 17], 1):
        y, state = memory(piece, state)
        parts.append(y)
    cut = torch.cat(parts, 1)
    assert (whole - cut).abs().max() < 1e-11
    for one, other in zip(*(torch.autograd.grad(y.square().sum(), weights) for y in (whole, cut)), strict=True):
        assert (one - other).abs().max() < 1e-9 * one.abs().max().clamp_min(1)


def test_what_learns_has_a_name() -> None:
    assert LSSL(4, states=5).state_parameters() == []
    assert set(LSSL(4, states=5, learned=True).state_parameters()) == {
        "log_pace", "lower", "diagonal", "upper", "shift", "left", "right", "write",
    }  # fmt: skip


def test_its_state_and_its_pace() -> None:
    memory = LSSL(12, states=6).bfloat16()
    with recording() as observed:
        y, state = memory(torch.randn(2, 9, 12).bfloat16())
    assert y.dtype == torch.bfloat16
    assert state.hidden.dtype == torch.float32
    assert nbytes(state) == 2 * 4 * 12 * 6
    assert observed["lssl/pace"][0].shape == (12,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"measure": "fourier"}, "LSSL has no measure 'fourier'"),
        ({"measure": "random", "learned": True}, "a random matrix has no family to stay in"),
        ({"least_pace": 0.2}, "least_pace=0.2, most_pace=0.1: paces need"),
        ({"form": "fft"}, "LSSL has no form 'fft'"),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        LSSL(6, **options)
