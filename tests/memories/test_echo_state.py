"""Echo states: the equation written out, what a cycle holds, and what the radius says."""

from __future__ import annotations

import pytest
import torch

from mnesis.memories.reservoir.echo_state import EchoState
from mnesis.tasks.signals.memory_capacity import MemoryCapacity, capacity

from .golden import close, in_pieces, load, under


def make(dim: int = 6, **options) -> EchoState:
    torch.manual_seed(0)
    return EchoState(dim, **options).double()


@pytest.mark.parametrize("options", [{}, {"leak": 0.3, "bias_scale": 0.5}, {"activation": "linear"}])
def test_equation(options) -> None:
    memory, x = make(**options), torch.randn(2, 9, 6, dtype=torch.float64)
    y, state = memory(x)
    leak, units = options.get("leak", 1.0), torch.zeros(2, 6, dtype=torch.float64)
    for t in range(9):
        drive = units @ memory.recurrent.T + x[:, t] @ memory.input.T + memory.bias
        units = (1 - leak) * units + leak * (drive if "activation" in options else drive.tanh())
        assert (y[:, t] - units).abs().max() < 1e-14
    assert torch.equal(state.units, y[:, -1])


@pytest.mark.parametrize("activation", ["tanh", "linear"])
@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_golden(activation, leak) -> None:
    arrays, memory = load("echo_state"), make(5, leak=leak, activation=activation)
    memory.load_state_dict(under(arrays, "weight/"))
    expected = arrays[f"output/{'identity' if activation == 'linear' else 'tanh'}_{leak}/y"]
    y, state = memory(arrays["input/x"])
    close("y", y, expected, 1e-14)
    close("state", state.units, expected[:, -1], 1e-14)
    close("y in pieces", in_pieces(memory, arrays["input/x"], 7, 1)[0], expected, 1e-14)


@pytest.mark.parametrize("density", [1.0, 0.2])
def test_radius(density) -> None:
    memory = make(50, spectral_radius=0.7, density=density)
    assert float(torch.linalg.eigvals(memory.recurrent).abs().max()) == pytest.approx(0.7, rel=1e-5)
    assert float((memory.recurrent != 0).double().mean()) == pytest.approx(density, abs=0.05)
    cycle = make(50, spectral_radius=0.7, topology="cycle").recurrent
    assert torch.allclose(torch.linalg.matrix_power(cycle, 50), 0.7**50 * torch.eye(50, dtype=torch.float64))


@pytest.mark.parametrize("dim", [20, 50])
def test_a_linear_cycle_holds_as_many_inputs_as_it_has_units(dim) -> None:
    """Within a hundredth of N, and nothing holds more: Jaeger 2001, proposition 2."""
    memory = make(dim, spectral_radius=0.95, topology="cycle", activation="linear")
    z = MemoryCapacity().episodes(1, 20_000, torch.Generator().manual_seed(1)).inputs[0, :, 0].double()
    mask = torch.randn(dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y, _ = memory((z[:, None] * mask)[None])
    held = capacity(y[0], z, 3 * dim, washout=1000).sum()
    assert dim * 0.99 <= held <= dim + 0.5


def test_nothing_is_trained_and_all_is_saved() -> None:
    memory = make()
    assert not list(memory.parameters())
    assert set(memory.state_dict()) == {"recurrent", "input", "bias"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topology": "ring"}, "choose 'random' or 'cycle'"),
        ({"activation": "relu"}, "'tanh' or 'linear'"),
        ({"leak": 0.0}, "leak=0.0"),
        ({"density": 1.5}, "shares above 0 and at most 1"),
        ({"spectral_radius": -1.0}, "a radius of 0 or more"),
    ],
)
def test_bad_input(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)
