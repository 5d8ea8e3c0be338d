"""GRU: two gates decide how much of a hidden vector is kept and how much is written anew."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.memory import Memory
from .fused import FusedCell


class GRUState(NamedTuple):
    """What a GRU carries."""

    hidden: Float[Tensor, "B H"]


class GRU(FusedCell, Memory[GRUState]):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), on torch's fused kernel.

    h_t = (1 - z_t) * n_t + z_t * h_{t-1}, with r_t, z_t = sigmoid(W x_t + U h_{t-1} + b) and
    n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + c_n)). (torch applies the reset gate after the product with U_n and
    swaps z for 1 - z against the paper's equation 7.) State: ``hidden`` numbers a row.

    Args:
        dim: width of inputs and outputs.
        hidden: width of the state; ``dim`` if None, otherwise a linear map leads back to ``dim``.
    """

    gates = 3

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GRUState:
        return GRUState(torch.zeros(batch, self.hidden, device=device, dtype=dtype))

    def equations(self, from_input: Tensor, from_hidden: Tensor, *carried: Tensor) -> tuple[Tensor]:
        (r, z, n), (r_hidden, z_hidden, n_hidden) = from_input.chunk(3, -1), from_hidden.chunk(3, -1)
        n = (n + (r + r_hidden).sigmoid() * n_hidden).tanh()
        return (n + (z + z_hidden).sigmoid() * (carried[0] - n),)

    def scan(self, x: Float[Tensor, "B T D"], state: GRUState, phase: int = 0) -> tuple[Tensor, GRUState]:
        y, h = self.sweep(torch.gru, x, *state)
        return self.project(y), GRUState(h.to(state.hidden.dtype))

    def step(self, x: Float[Tensor, "B D"], state: GRUState) -> tuple[Tensor, GRUState]:
        (h,) = self.one(torch.gru_cell, x, *state)
        return self.project(h), GRUState(h.to(state.hidden.dtype))
