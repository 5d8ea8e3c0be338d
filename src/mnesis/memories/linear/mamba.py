"""Mamba: diagonal states of every channel, whose pace, input and read-out follow the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...layers.short_convolution import ShortConvolution
from ...layers.time_step import initial_time_step
from ...layers.wide_linear import WideBias
from ...ops.selective_scan import selective_scan
from ..in_forms import MemoryInForms


class MambaState(NamedTuple):
    """What Mamba carries; h in float32 or wider."""

    h: Float[Tensor, "B E N"]
    tail: Float[Tensor, "B W-1 E"]
    """Of the short convolution."""


class Mamba(MemoryInForms[MambaState]):
    """Mamba's block with its selective state space, S6 (Gu and Dao 2023, arXiv 2312.00752).

    Each of E = expansion dim channels keeps N numbers, h_t = exp(d_t A) h_{t-1} + d_t x_t B_t, and reads
    C_t . h_t + D x_t; d = softplus of a low-rank projection, B and C are projections, so that the data decide what is
    kept. A convolution and SiLU stand before it, a gate SiLU(z) behind. State: E N numbers a row in float32, and
    E (convolution - 1) for the convolution. Observable: ``mamba/time_step`` (d) [B T E].

    Args:
        dim: width of inputs and outputs.
        states: N.
        expansion: E / dim.
        convolution: width of the causal depthwise convolution.
        rank: of the projection of time steps; None = dim / 16, rounded up.
        bias: of the first and the last projection.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks that are made anew in the backward
            pass, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: fewer than one state or channel, an unknown form, or a chunk without units.
    """

    added: ClassVar[Mapping[str, Any]] = {"bias": False}

    def __init__(
        self,
        dim: int,
        *,
        states: int = 16,
        expansion: int = 2,
        convolution: int = 4,
        rank: int | None = None,
        bias: bool = False,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.rank = math.ceil(dim / 16) if rank is None else rank
        self.states, self.channels = states, expansion * dim
        self.input = nn.Linear(dim, 2 * self.channels, bias=bias)
        self.convolution = ShortConvolution(self.channels, convolution, plain=True)
        self.select = nn.Linear(self.channels, self.rank + 2 * states, bias=False)
        self.time_step = WideBias(self.rank, self.channels)
        nn.init.uniform_(self.time_step.weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():
            self.time_step.bias.copy_(initial_time_step(self.channels))
        self.log_rate = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(self.channels, 1))  # S4D-real
        self.skip = nn.Parameter(torch.ones(self.channels))
        self.output = nn.Linear(self.channels, dim, bias=bias)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MambaState:
        wide = torch.promote_types(dtype, torch.float32)
        return MambaState(
            torch.zeros(batch, self.channels, self.states, device=device, dtype=wide),
            self.convolution.initial_tail(batch, device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: MambaState, form: str) -> tuple[Tensor, MambaState]:
        wide = state.h.dtype
        u, z = self.input(x).chunk(2, -1)
        u, tail = self.convolution(u, state.tail)
        u = F.silu(u)
        low, write, read = self.select(u).split([self.rank, self.states, self.states], -1)
        step = F.softplus(self.time_step(low))
        record("mamba/time_step", step)
        scan = selective_scan(-self.log_rate.to(wide).exp())
        y, h = self.run(scan, form, u, step, write, read, state.h)  # (2)
        y = (y + self.skip.to(wide) * u.to(wide)).to(u.dtype)
        return self.output(y * F.silu(z)), MambaState(h, tail)
