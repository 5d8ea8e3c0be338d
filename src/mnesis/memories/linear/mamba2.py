"""Mamba-2: outer products that fade at a pace that follows the data, one pace a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Epsilon
from ...core.record import record
from ...layers.short_convolution import ShortConvolution
from ...layers.time_step import initial_log_rate, initial_time_step
from ...ops.gated_linear_attention import gated_linear_attention
from ..in_forms import MemoryInForms


class Mamba2State(NamedTuple):
    """What Mamba-2 carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H N P"]
    tail: Float[Tensor, "B W-1 E+2*G*N"]
    """Of the short convolution."""


class Mamba2(MemoryInForms[Mamba2State]):
    """Mamba-2's block with its state space dual (Dao and Gu 2024, arXiv 2405.21060).

    Each head of width P keeps S_t = exp(d_t A) S_{t-1} + B_t (d_t x_t)^T and reads S^T C_t + D x_t: linear attention
    with a decay. A < 0 is one number a head, d a softplus; B and C are shared by the heads of a group. One projection
    makes gate z, x, B, C and d; a convolution and SiLU go over x, B and C, and what is read is gated with SiLU(z), then
    normalised, over all channels or over those of each group (as in the authors' code). State: expansion dim states
    numbers a row in float32, and (expansion dim + 2 groups states) (convolution - 1) for the convolution. Observables:
    ``mamba2/time_step`` (d) and ``mamba2/kept`` (exp(d A)), [B T H].

    Args:
        dim: width of inputs and outputs.
        states: N.
        expansion: channels / dim.
        width: P, of a head.
        groups: of heads that share B and C.
        convolution: width of the causal depthwise convolution.
        norm_groups: what is read is normalised in as many parts; the authors' code has as many as ``groups``.
        epsilon: what the norm adds to the mean square.
        bias: of the first and the last projection.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no states, channels that do not split into heads, heads that do not split into groups, an unknown
            form, or a chunk without units.
    """

    has_kernel = True

    added: ClassVar[Mapping[str, Any]] = {"norm_groups": 1, "epsilon": 1e-5, "bias": False}

    def __init__(
        self,
        dim: int,
        *,
        states: int = 128,
        expansion: int = 2,
        width: int = 64,
        groups: int = 1,
        convolution: int = 4,
        norm_groups: int = 1,
        epsilon: Epsilon = 1e-5,
        bias: bool = False,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        channels = expansion * dim
        if channels % width:
            raise ValueError(
                f"{channels} channels do not split into heads of width={width}; make expansion dim a multiple of it"
            )
        self.heads, self.groups = channels // width, groups
        if self.heads % groups:
            raise ValueError(f"{self.heads} heads do not split into {groups} groups; make them a multiple of groups")
        if norm_groups < 1 or channels % norm_groups:
            raise ValueError(
                f"norm_groups={norm_groups}: {channels} channels do not split into so many parts; give a divisor"
            )
        self.norm_groups, self.epsilon = norm_groups, epsilon
        self.sizes = (channels, groups * states, groups * states)
        self.input = nn.Linear(dim, channels + sum(self.sizes) + self.heads, bias=bias)
        self.convolution = ShortConvolution(sum(self.sizes), convolution, plain=True)
        self.time_step = nn.Parameter(initial_time_step(self.heads))
        self.log_rate = nn.Parameter(initial_log_rate(self.heads, slowest=1.0))
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.norm = nn.Parameter(torch.ones(channels))
        self.output = nn.Linear(channels, dim, bias=bias)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Mamba2State:
        wide, (channels, key, _) = torch.promote_types(dtype, torch.float32), self.sizes
        sizes = (batch, self.heads, key // self.groups, channels // self.heads)
        tail = self.convolution.initial_tail(batch, device=device, dtype=dtype)
        return Mamba2State(torch.zeros(sizes, device=device, dtype=wide), tail)

    def read(self, x: Float[Tensor, "B T D"], state: Mamba2State, form: str) -> tuple[Tensor, Mamba2State]:
        wide = state.matrix.dtype
        z, u, step = self.input(x).split([self.sizes[0], sum(self.sizes), self.heads], -1)
        u, tail = self.convolution(u, state.tail)
        u, write, read = F.silu(u).split(self.sizes, -1)
        step = F.softplus(step.to(wide) + self.time_step.to(wide))
        log_decay = -self.log_rate.to(wide).exp() * step
        record("mamba2/time_step", step)
        record("mamba2/kept", log_decay.exp())
        u = u.unflatten(-1, (self.heads, -1)).to(wide)
        write, read = (self._for_heads(part) for part in (write, read))
        y, matrix = self.run(gated_linear_attention, form, read, write, step[..., None] * u, log_decay, state.matrix)
        y = (y + self.skip.to(wide)[:, None] * u).flatten(2).to(z.dtype) * F.silu(z)
        return self.output(self._normalised(y)), Mamba2State(matrix, tail)

    def _normalised(self, y: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        weight = self.norm.to(y.dtype)
        if self.norm_groups == 1:
            return F.rms_norm(y, y.shape[-1:], weight, self.epsilon)
        parts = y.unflatten(-1, (self.norm_groups, -1))
        return F.rms_norm(parts, parts.shape[-1:], eps=self.epsilon).flatten(2) * weight

    def _for_heads(self, part: Float[Tensor, "B T shared"]) -> Float[Tensor, "B T H N"]:
        """Every head with what its group shares."""
        part = part.unflatten(-1, (self.groups, 1, -1))
        return part.expand(-1, -1, -1, self.heads // self.groups, -1).flatten(2, 3)
