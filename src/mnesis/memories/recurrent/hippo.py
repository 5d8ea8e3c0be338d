"""HiPPO-RNN: a gated hidden vector beside a polynomial that follows what it writes down."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Positive
from ...core.memory import Memory
from ...core.record import record
from ...layers.constants import Constants
from ...layers.wide_linear import WideLinear, matrices
from ...ops.hippo import ContinuousSystem, discretize, hippo, legs_step
from ...ops.precision import without_autocast

MEASURES = ("legs", "legt", "lagt")


class HiPPOState(NamedTuple):
    """What a HiPPO-RNN carries, in float32 or wider."""

    hidden: Float[Tensor, "B H"]
    memory: Float[Tensor, "B M N"]
    """c, the coefficients of M signals."""
    units: Float[Tensor, " B"]
    """Read so far, by which LegS divides."""


class HiPPO(Memory[HiPPOState]):
    """The gated network around HiPPO memories (Gu et al. 2020, arXiv 2008.07669, section 4.1 and appendix E).

    u_t = W_u [x_t, h_{t-1}] + b is appended to a signal whose best polynomial under a measure has coefficients c_t;
    then h_t = (1 - g) h_{t-1} + g tanh(W_h [x_t, c_t] + b) with g = sigmoid(W_g [x_t, c_t] + b). A measure says which
    past counts:

    - "legs": all of it alike. No time scale has to be chosen, and a signal read at half the pace gives the same c.
    - "legt": the last ``window`` units.
    - "lagt": all, fading with a time constant of ``window`` units.

    How c changes is fixed, not learned: bilinear for "legs", zero-order hold for the others. As h feeds back through a
    nonlinearity there is one form only, unit by unit. State: hidden + signals order + 1 numbers a row in float32.
    Observable: ``hippo/gate`` (g), [B T H].

    Args:
        dim: width of inputs and outputs.
        hidden: width of h; ``dim`` if None, otherwise a linear map leads back to ``dim``.
        signals: M, signals that are written down.
        order: N, coefficients of each.
        measure: "legs", "legt" or "lagt".
        window: units that "legt" and "lagt" look back; "legs" has none.

    Raises:
        ValueError: an unknown measure, no coefficients, no signals, or a window without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden: int | None = None,
        signals: int = 1,
        order: int = 64,
        measure: str = "legs",
        window: Positive = 128.0,
    ) -> None:
        super().__init__()
        if measure not in MEASURES:
            raise ValueError(f"HiPPO has no measure {measure!r}; choose one of {', '.join(MEASURES)}")
        self.dim, self.hidden, self.signals, self.order = dim, hidden or dim, signals, order
        self.measure = measure
        self.fixed = Constants(lambda: _system(measure, order, window))
        self.memory_input = WideLinear(dim + self.hidden, signals)
        self.candidate = WideLinear(dim + signals * order, self.hidden)
        self.gate = WideLinear(dim + signals * order, self.hidden)
        self.output = nn.Linear(self.hidden, dim) if self.hidden != dim else nn.Identity()

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> HiPPOState:
        wide = torch.promote_types(dtype, torch.float32)
        sizes = ((batch, self.hidden), (batch, self.signals, self.order), (batch,))
        return HiPPOState(*(torch.zeros(size, device=device, dtype=wide) for size in sizes))

    def scan(self, x: Float[Tensor, "B T D"], state: HiPPOState, phase: int = 0) -> tuple[Tensor, HiPPOState]:
        if x.shape[1] == 1:
            y, state = self.step(x.squeeze(1), state)
            return y.unsqueeze(1), state
        wide, device, dim = state.memory.dtype, x.device, x.shape[-1]
        with without_autocast(device):
            system = self.fixed.on(device, wide)
            maps = (self.memory_input, self.candidate, self.gate)
            sizes = ((self.signals, dim + self.hidden), *[(self.hidden, dim + self.signals * self.order)] * 2)
            weight, bias = zip(*matrices(maps, [x.new_zeros(size, dtype=wide) for size in sizes]), strict=True)
            # The maps of inputs side by side, of all units at once; those of h and c unit by unit.
            weight, bias = (weight[0], torch.cat(weight[1:])), torch.cat(bias)
            from_input = torch.cat([x.to(wide) @ each[:, :dim].mT for each in weight], -1) + bias
            hidden_to_signal, memory_to_gates = (each[:, dim:].mT for each in weight)
            hidden, memory, units = state
            outputs, gates = [], []
            for unit in from_input.unbind(1):
                u = torch.addmm(unit[:, : self.signals], hidden, hidden_to_signal)
                memory, units = self._remember(system, u, memory, units), units + 1
                h, g = torch.addmm(unit[:, self.signals :], memory.flatten(1), memory_to_gates).chunk(2, -1)
                hidden, g = _moved(hidden, h, g)
                outputs.append(hidden)
                gates.append(g)
            record("hippo/gate", torch.stack(gates, 1))
        return self.output(torch.stack(outputs, 1).to(x.dtype)), HiPPOState(hidden, memory, units)

    def step(self, x: Float[Tensor, "B D"], state: HiPPOState) -> tuple[Tensor, HiPPOState]:
        hidden, memory, units = state
        with without_autocast(x.device):
            read = x.to(memory.dtype)
            u = self.memory_input(torch.cat([read, hidden], -1))
            memory = self._remember(self.fixed.on(x.device, memory.dtype), u, memory, units)
            seen = torch.cat([read, memory.flatten(1)], -1)
            hidden, g = _moved(hidden, self.candidate(seen), self.gate(seen))
            record("hippo/gate", g[:, None])
        return self.output(hidden.to(x.dtype)), HiPPOState(hidden, memory, units + 1)

    def _remember(self, system: ContinuousSystem, u: Tensor, memory: Tensor, units: Tensor) -> Tensor:
        if self.measure == "legs":
            return legs_step(system, u, memory, units)
        return memory @ system.transition.mT + system.write * u[..., None]


def _moved(
    hidden: Float[Tensor, "B H"], candidate: Float[Tensor, "B H"], gate: Float[Tensor, "B H"]
) -> tuple[Tensor, Tensor]:
    """h of the next unit, and g."""
    g = gate.sigmoid()
    return hidden + g * (candidate.tanh() - hidden), g


def _system(measure: str, order: int, window: float) -> ContinuousSystem:
    """A and B; for "legs", whose pace depends on the units read, still to be discretised."""
    system = hippo(measure, order)
    return system if measure == "legs" else discretize(system, 1 / window, "zoh")
