"""Legendre memory unit: a hidden vector beside polynomials that follow a window of what it writes down."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Positive
from ...core.memory import Memory
from ...layers.constants import Constants
from ...ops.hippo import ContinuousSystem, discretize, hippo
from ...ops.precision import without_autocast


class LMUState(NamedTuple):
    """What an LMU carries, in float32 or wider."""

    hidden: Float[Tensor, "B H"]
    memory: Float[Tensor, "B M N"]
    """m, the coefficients of M signals."""


class LMU(Memory[LMUState]):
    """The Legendre memory unit (Voelker, Kajic and Eliasmith 2019).

    u_t = e_x . x_t + e_h . h_{t-1} + e_m . m_{t-1} is written to m_t = A m_{t-1} + B u_t (zero-order hold), the
    Legendre coefficients of the last ``window`` units of u; then h_t = tanh(W_x x_t + W_h h_{t-1} + W_m m_t). A and B
    are fixed. As h feeds back through a nonlinearity there is one form only, unit by unit; ``parallel-lmu`` is the one
    without feedback. State: hidden + signals order numbers a row in float32.

    Args:
        dim: width of inputs and outputs.
        hidden: width of h; ``dim`` if None, otherwise a linear map leads back to ``dim``.
        signals: M, signals that are written down; 1 in the paper.
        order: N, coefficients of each.
        window: theta, units that a memory spans.

    Raises:
        ValueError: no coefficients, no signals, or a window without units.
    """

    def __init__(
        self, dim: int, *, hidden: int | None = None, signals: int = 1, order: int = 64, window: Positive = 128.0
    ) -> None:
        super().__init__()
        self.fixed = Constants(lambda: window_of_signals(order, window))
        self.dim, self.hidden, self.signals, self.order = dim, hidden or dim, signals, order
        width = signals * order
        self.input_encoder = nn.Parameter(_lecun_uniform(signals, dim))
        self.hidden_encoder = nn.Parameter(_lecun_uniform(signals, self.hidden))
        self.memory_encoder = nn.Parameter(torch.zeros(signals, width))
        self.input_kernel = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.hidden, dim)))
        self.hidden_kernel = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.hidden, self.hidden)))
        self.memory_kernel = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.hidden, width)))
        self.output = nn.Linear(self.hidden, dim) if self.hidden != dim else nn.Identity()

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LMUState:
        wide = torch.promote_types(dtype, torch.float32)
        hidden = torch.zeros(batch, self.hidden, device=device, dtype=wide)
        return LMUState(hidden, torch.zeros(batch, self.signals, self.order, device=device, dtype=wide))

    def scan(self, x: Float[Tensor, "B T D"], state: LMUState, phase: int = 0) -> tuple[Tensor, LMUState]:
        wide, m = state.memory.dtype, self.signals
        with without_autocast(x.device):
            a, b = self.fixed.on(x.device, wide)
            from_input = x.to(wide) @ torch.cat([self.input_encoder, self.input_kernel]).to(wide).mT
            from_hidden = torch.cat([self.hidden_encoder, self.hidden_kernel]).to(wide).mT
            read, kernel = self.memory_encoder.to(wide).mT, self.memory_kernel.to(wide).mT
            hidden, memory = state
            outputs = []
            for unit in from_input.unbind(1):
                both = torch.addmm(unit, hidden, from_hidden)
                u = torch.addmm(both[:, :m], memory.flatten(1), read)
                memory = memory @ a.mT + b * u[..., None]
                hidden = torch.addmm(both[:, m:], memory.flatten(1), kernel).tanh()
                outputs.append(hidden)
        return self.output(torch.stack(outputs, 1).to(x.dtype)), LMUState(hidden, memory)


def window_of_signals(order: int, window: float) -> ContinuousSystem:
    """A and B of one signal, for units; in float64."""
    return discretize(hippo("lmu", order), 1 / window, "zoh")


def _lecun_uniform(rows: int, width: int) -> Float[Tensor, "rows width"]:
    bound = math.sqrt(3 / width)
    return torch.empty(rows, width).uniform_(-bound, bound)
