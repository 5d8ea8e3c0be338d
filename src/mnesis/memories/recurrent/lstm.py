"""LSTM: a cell that is added to rather than overwritten, behind three gates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.memory import Memory
from .fused import FusedCell


class LSTMState(NamedTuple):
    """What an LSTM carries."""

    hidden: Float[Tensor, "B H"]
    """h, what the gates see and the output shows."""
    cell: Float[Tensor, "B H"]
    """c, what is kept."""


class LSTM(FusedCell, Memory[LSTMState]):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate by Gers et al. 2000), on torch's fused kernel.

    c_t = f_t * c_{t-1} + i_t * g_t and h_t = o_t * tanh(c_t), with the input, forget and output gates
    i_t, f_t, o_t = sigmoid(W x_t + b + U h_{t-1} + c) and the candidate g_t = tanh(W_g x_t + b_g + U_g h_{t-1} + c_g).
    No peepholes; the weights' rows are in the order i, f, g, o. State: 2 ``hidden`` numbers a row.

    Args:
        dim: width of inputs and outputs.
        hidden: width of the state; ``dim`` if None, otherwise a linear map leads back to ``dim``.
    """

    gates = 4

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LSTMState:
        return LSTMState(*(torch.zeros(batch, self.hidden, device=device, dtype=dtype) for _ in range(2)))

    def equations(self, from_input: Tensor, from_hidden: Tensor, *carried: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (from_input + from_hidden).chunk(4, -1)
        cell = f.sigmoid() * carried[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell

    def scan(self, x: Float[Tensor, "B T D"], state: LSTMState, phase: int = 0) -> tuple[Tensor, LSTMState]:
        y, h, c = self.sweep(torch.lstm, x, *state)
        after = LSTMState(h.to(state.cell.dtype), c.to(state.cell.dtype))
        return self.project(y.to(self.compute_dtype(x))), after

    def step(self, x: Float[Tensor, "B D"], state: LSTMState) -> tuple[Tensor, LSTMState]:
        h, c = self.one(torch.lstm_cell, x, *state)
        return self.project(h), LSTMState(h.to(state.cell.dtype), c.to(state.cell.dtype))
