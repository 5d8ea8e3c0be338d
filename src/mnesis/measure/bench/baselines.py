"""What every speed is compared with: torch's own LSTM and causal attention, behind the contract."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...core.memory import Memory


class LSTMState(NamedTuple):
    """Output and cell."""

    hidden: Float[Tensor, "B D"]
    cell: Float[Tensor, "B D"]


class TorchLSTM(Memory[LSTMState]):
    """``torch.nn.LSTM`` of one layer. State: 2 dim numbers a row."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LSTMState:
        zeros = torch.zeros(batch, self.lstm.hidden_size, device=device, dtype=dtype)
        return LSTMState(zeros, zeros.clone())

    def scan(self, x: Float[Tensor, "B T D"], state: LSTMState, phase: int = 0) -> tuple[Tensor, LSTMState]:
        y, (hidden, cell) = self.lstm(x, (state.hidden[None], state.cell[None]))
        return y, LSTMState(hidden[0].clone(), cell[0].clone())


class AttentionState(NamedTuple):
    """Keys and values of all units read, and how many they are."""

    key: Float[Tensor, "B n H K"]
    value: Float[Tensor, "B n H K"]
    units: Int[Tensor, " B"]

    growing = {"key": "units", "value": "units"}  # noqa: RUF012 - of a NamedTuple
    clocks = ()


class CausalAttention(Memory[AttentionState]):
    """One layer of causal attention (``scaled_dot_product_attention``) with a growing cache, heads of 64, no positions.

    State: 2 dim numbers a row for every unit read.
    """

    bounded = False

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.heads = dim, max(1, dim // 64)
        self.growth = 2 * dim
        self.query_key_value, self.output = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> AttentionState:
        width = self.output.in_features // self.heads
        empty = torch.zeros(batch, 0, self.heads, width, device=device, dtype=dtype)
        return AttentionState(empty, empty.clone(), torch.zeros(batch, dtype=torch.long, device=device))

    def scan(self, x: Float[Tensor, "B T D"], state: AttentionState, phase: int = 0) -> tuple[Tensor, AttentionState]:
        batch, time, dim = x.shape
        q, k, v = self.query_key_value(x).view(batch, time, 3, self.heads, dim // self.heads).unbind(2)
        old = state.key.shape[1]
        if old:
            position = torch.arange(old, device=x.device)
            seen = (position < state.units[:, None])[:, None].expand(batch, time, old)
            new = torch.ones(time, time, dtype=torch.bool, device=x.device).tril().expand(batch, time, time)
            mask = torch.cat([seen, new], 2)[:, None]
            keys, values = torch.cat([state.key, k], 1), torch.cat([state.value, v], 1)
        else:
            mask, keys, values = None, k, v
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), mask, is_causal=mask is None
        )
        y = self.output(y.transpose(1, 2).reshape(batch, time, dim))
        return y, self._grown(state, k, v)

    @staticmethod
    def _grown(state: AttentionState, k: Tensor, v: Tensor) -> AttentionState:
        """The cache with new units right behind what each row has read; rows may have read different counts."""
        batch, time = k.shape[:2]
        width = max(int(state.units.max()), 0) + time
        place = (state.units[:, None] + torch.arange(time, device=k.device))[:, :, None, None].expand_as(k)

        def grow(old: Tensor, new: Tensor) -> Tensor:
            room = torch.cat([old, old.new_zeros(batch, width, *old.shape[2:])], 1)[:, :width]
            return room.scatter(1, place, new.to(old.dtype))

        return AttentionState(grow(state.key, k), grow(state.value, v), state.units + time)
