"""Elman network: the hidden vector is a squashed sum of the input and its own past."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.memory import Memory
from .fused import FusedCell


class ElmanState(NamedTuple):
    """What an Elman network carries."""

    hidden: Float[Tensor, "B H"]


class Elman(FusedCell, Memory[ElmanState]):
    """Simple recurrent network (Elman 1990, "Finding Structure in Time"), on torch's fused kernel.

    h_t = tanh(W x_t + b + U h_{t-1} + c). (Elman squashes with the logistic function; tanh is its zero-centred form and
    today's habit.) Nothing protects what is stored: each step overwrites all of it. State: ``hidden`` numbers a row.

    Args:
        dim: width of inputs and outputs.
        hidden: width of the state; ``dim`` if None, otherwise a linear map leads back to ``dim``.
    """

    gates = 1

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> ElmanState:
        return ElmanState(torch.zeros(batch, self.hidden, device=device, dtype=dtype))

    def equations(self, from_input: Tensor, from_hidden: Tensor, *carried: Tensor) -> tuple[Tensor]:
        return ((from_input + from_hidden).tanh(),)

    def scan(self, x: Float[Tensor, "B T D"], state: ElmanState, phase: int = 0) -> tuple[Tensor, ElmanState]:
        y, h = self.sweep(torch.rnn_tanh, x, *state)
        return self.project(y), ElmanState(h.to(state.hidden.dtype))

    def step(self, x: Float[Tensor, "B D"], state: ElmanState) -> tuple[Tensor, ElmanState]:
        (h,) = self.one(torch.rnn_tanh_cell, x, *state)
        return self.project(h), ElmanState(h.to(state.hidden.dtype))
