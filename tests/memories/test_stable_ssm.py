"""StableSSM as a memory: the layer written out, its parameterizations, how it starts, its state and its options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.stable_ssm import PARAMETERIZATIONS, StableSSM

every_parameterization = pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def mapped(w: Tensor, parameterization: str) -> Tensor:
    return {
        "direct": w,
        "exp": torch.exp(-torch.exp(w)),
        "softplus": torch.exp(-torch.log(1 + torch.exp(w))),
        "best": 1 - 1 / (w**2 + 0.5),
    }[parameterization]


@pytest.mark.parametrize("form", StableSSM.forms)
@pytest.mark.parametrize("activation", ["tanh", "hardtanh", "linear"])
@every_parameterization
def test_the_layer(form, activation, parameterization) -> None:
    torch.manual_seed(0)
    options = {"parameterization": parameterization, "activation": activation, "form": form}
    memory = StableSSM(5, states=8, chunk=7, **options).double()
    nn.init.uniform_(memory.decay, 0.2, 0.9)
    x = draw(2, 30, 5).requires_grad_()
    y, _ = memory(x)
    bend = {"tanh": torch.tanh, "hardtanh": lambda h: h.clamp(-1, 1), "linear": lambda h: h}[activation]
    h, outputs = torch.zeros(2, 8).double(), []
    for t in range(30):
        h = mapped(memory.decay, parameterization) * h + x[:, t] @ memory.input.weight.T + memory.input.bias
        outputs.append(bend(h) @ memory.output.weight.T)
    expected = torch.stack(outputs, 1)
    assert (y - expected).abs().max() < 1e-12
    wanted = (x, *memory.parameters())
    gradients = (torch.autograd.grad(output.square().sum(), wanted) for output in (y, expected))
    for found, other in zip(*gradients, strict=True):
        assert (found - other).abs().max() < 1e-11 * other.abs().max().clamp_min(1.0)


@every_parameterization
def test_it_starts_from_the_same_rates_whatever_they_are_made_of(parameterization) -> None:
    memory = StableSSM(5, states=500, parameterization=parameterization)
    rate = -memory.kept(torch.float64).detach().log()
    assert float(rate.min()) == pytest.approx(0.0005, rel=0.05)
    assert float(rate.max()) == pytest.approx(0.05, rel=0.05)
    assert float(rate.log().mean()) == pytest.approx(-5.3, abs=0.25)
    assert (memory.kept(torch.float64) - mapped(memory.decay.double(), parameterization)).abs().max() < 1e-12


def test_states_start_at_one_size() -> None:
    torch.manual_seed(0)
    memory = StableSSM(50, states=200, least_pace=0.01).double()
    nn.init.zeros_(memory.input.bias)
    _, state = memory(draw(40, 2000, 50))
    sizes = state.hidden.detach().square().mean(0).sqrt()
    assert 0.3 < float(sizes.min()) < float(sizes.max()) < 0.9


def test_the_best_parameterization_balances_gradients() -> None:
    """f' / (1 - f)^2 = 2 w, which the others do not have."""
    for parameterization in PARAMETERIZATIONS:
        memory = StableSSM(2, states=5, parameterization=parameterization).double()
        w = memory.decay.data.copy_(torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
        kept = memory.kept(torch.float64)
        (slope,) = torch.autograd.grad(kept.sum(), memory.decay)
        balanced = slope / (1 - kept.detach()) ** 2 - 2 * w
        assert (float(balanced.abs().max()) < 1e-12) == (parameterization == "best")


def test_direct_never_grows() -> None:
    memory = StableSSM(2, states=3, parameterization="direct")
    with torch.no_grad():
        memory.decay.copy_(torch.tensor([-4.0, 0.5, 4.0]))
    kept = memory.kept(torch.float32).detach()
    assert float(kept.min()) > -1
    assert float(kept.max()) < 1
    assert float(kept[1]) == 0.5


def test_the_state_is_as_large_as_promised_and_never_narrow() -> None:
    memory = StableSSM(12, states=7).bfloat16()
    y, state = memory(draw(2, 9, 12).bfloat16())
    assert y.dtype == torch.bfloat16
    assert state.hidden.dtype == torch.float32
    assert nbytes(state) == 2 * 4 * 7


def test_what_it_keeps_can_be_watched() -> None:
    with recording() as observed:
        StableSSM(6, states=4)(torch.randn(1, 3, 6))
    assert observed["stable_ssm/kept"][0].shape == (4,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"states": 0}, "states=0 is not a whole number of at least 1"),
        ({"parameterization": "relu"}, "no parameterization 'relu'; choose one of direct, exp, softplus, best"),
        ({"activation": "gelu"}, "no activation 'gelu'; choose one of tanh, hardtanh, linear"),
        ({"least_pace": 0.2}, "least_pace=0.2, most_pace=0.1: paces need"),
        ({"form": "fft"}, "StableSSM has no form 'fft'"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        StableSSM(6, **options)
