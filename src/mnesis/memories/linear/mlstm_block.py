"""The mLSTM between an up- and a down-projection, as the first xLSTM has it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...layers.block_diagonal import BlockDiagonal
from ...layers.short_convolution import ShortConvolution
from ...ops.exponential_gating import EMPTY
from ..in_forms import MemoryInForms
from .mlstm import open_for_long, read_cell

NORM_EPSILON = 1e-5
BLOCK = 4
"""Channels in a block of the projections to queries, keys and values."""


class MLSTMBlockState(NamedTuple):
    """What the block carries; matrix and maximum in float32 or wider."""

    matrix: Float[Tensor, "B H K K+1"]
    """C exp(-m); the last column is the normaliser n exp(-m)."""
    maximum: Float[Tensor, "B H"]
    """m."""
    tail: Float[Tensor, "B W-1 E"]
    """Of the convolution."""


class MLSTMBlock(MemoryInForms[MLSTMBlockState]):
    """xLSTM's block around an mLSTM cell (Beck et al. 2024, arXiv 2405.04517, figure 11).

    x is projected to u and z of E = expansion dim channels; c = silu(convolution(u)). Queries and keys are
    block-diagonal projections of c, values of u, gates linear maps of all three. The cell's heads (equations 19 to 27,
    see :class:`~mnesis.memories.linear.mlstm.MLSTM`), normalised, plus a learned share of c, are gated with silu(z) and
    projected down. Wide by itself, it stands in a block without an MLP. State: E^2 / heads + E + heads numbers a row in
    float32, and E (convolution - 1) for the convolution. Observables: ``mlstm/kept`` (f) and ``mlstm/log_input``
    (log i), [B T H].

    Ours: the down-projection starts with half of LeCun's deviation; the authors' depends on the depth of the network,
    which :class:`~mnesis.nets.xlstm.XLSTM` knows and starts it by.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        expansion: E / dim.
        convolution: width of the causal depthwise convolution.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: expansion dim is not a multiple of heads and of 4, a convolution that sees no earlier unit, an
            unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        expansion: float = 2.0,
        convolution: int = 4,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        wide = int(dim * expansion)
        if wide < 1 or wide % heads or wide % BLOCK:
            raise ValueError(
                f"expansion={expansion} makes {wide} channels, which do not split into {heads} heads and blocks of "
                f"{BLOCK}; make them a multiple of both"
            )
        self.heads = heads
        self.rise, self.output = nn.Linear(dim, 2 * wide, bias=False), nn.Linear(wide, dim, bias=False)
        self.convolution = ShortConvolution(wide, convolution, plain=True)
        self.query, self.key, self.value = (BlockDiagonal(wide, wide // BLOCK, bias=False) for _ in range(3))
        self.input_gate, self.forget_gate = nn.Linear(3 * wide, heads), nn.Linear(3 * wide, heads)
        self.scale, self.skip = nn.Parameter(torch.ones(heads, wide // heads)), nn.Parameter(torch.ones(wide))
        for weight in (self.rise.weight, self.query.weight, self.key.weight, self.value.weight):
            nn.init.normal_(weight, std=(2 / (5 * dim)) ** 0.5)
        nn.init.normal_(self.output.weight, std=0.5 * wide**-0.5)
        nn.init.zeros_(self.input_gate.weight)
        nn.init.normal_(self.input_gate.bias, std=0.1)
        open_for_long(self.forget_gate)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MLSTMBlockState:
        wide, width = torch.promote_types(dtype, torch.float32), self.scale.shape[1]
        return MLSTMBlockState(
            torch.zeros(batch, self.heads, width, width + 1, device=device, dtype=wide),
            torch.full((batch, self.heads), EMPTY, device=device, dtype=wide),
            self.convolution.initial_tail(batch, device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: MLSTMBlockState, form: str) -> tuple[Tensor, MLSTMBlockState]:
        wide = state.matrix.dtype
        u, z = self.rise(x).chunk(2, -1)
        c, tail = self.convolution(u, state.tail)
        c = F.silu(c)
        q, k, v = self.query(c), self.key(c), self.value(u)
        gates = torch.cat([q, k, v], -1)
        log_input, log_kept = self.input_gate(gates).to(wide), F.logsigmoid(self.forget_gate(gates).to(wide))
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in (q, k, v))
        parts = (q, k, v, log_input, log_kept, state.matrix, state.maximum)
        h, matrix, maximum = read_cell(self, form, *parts, norm_epsilon=NORM_EPSILON)
        h = (h * self.scale.to(wide)).flatten(2).to(c.dtype) + self.skip.to(c.dtype) * c
        return self.output(h * F.silu(z)), MLSTMBlockState(matrix, maximum, tail)
