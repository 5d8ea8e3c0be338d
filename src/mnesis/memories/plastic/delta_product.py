"""DeltaProduct: the delta rule with several corrections for every unit."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...layers.norm import RMSNorm
from ...layers.short_convolution import ShortConvolution
from ...layers.time_step import initial_log_rate, initial_time_step
from ...ops.delta_rule import delta_rule, unit_length
from ..in_forms import MemoryInForms


class DeltaProductState(NamedTuple):
    """What DeltaProduct carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K V"]
    tail: Float[Tensor, "B W-1 H*(K+n*(K+V))"]
    """Of the short convolution; W = 1 without one."""


class DeltaProduct(MemoryInForms[DeltaProductState]):
    """DeltaProduct and Gated DeltaProduct (Siems et al. 2025, arXiv 2502.10297).

    Each head takes n gradient steps on |S^T k - v|^2 a unit, each with a key, a value and a strength of its own:
    S_j = S_{j-1} + beta_j k_j (v_j - S_{j-1}^T k_j)^T, j = 1..n, and reads S_n^T q. What was held is multiplied by n
    Householder matrices, which with beta up to 2 can make any orthogonal map of n directions: one reflects, two rotate.
    Queries and keys have length 1. The gated one first forgets, S_0 = alpha S, once a unit; alpha and the output gate
    are Gated DeltaNet's. With n = 1 it is DeltaNet, or Gated DeltaNet. State: heads width^2 expansion numbers a row in
    float32, and heads width (1 + writes (1 + expansion)) (convolution - 1) for the convolution. Observables:
    ``delta_product/write_strength`` (beta) [B T n H] and, where gated, ``delta_product/kept`` (alpha) [B T H].

    As in the authors' code, rates A start between 0 and 16, where Mamba-2 has 1 to 16. The norm adds 1e-6, as their
    models do (their layer by itself, unless told, 1e-5).

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        width: K of a head; None = dim / heads.
        expansion: V / K.
        writes: n, Householder steps a unit.
        gated: with a forget gate and an output gate.
        convolution: width of the causal depthwise convolution behind the projections; None = without (trains worse).
        negative_eigenvalues: doubles beta (Grazzi et al. 2024, arXiv 2411.12537); without, no write reflects.
        form: how a sequence is computed: "naive" write by write, "chunk" by matrix products, "parallel" in one chunk.
        chunk: writes in a chunk; changes speed, not results.

    Raises:
        ValueError: a head without width, no write, an unknown form, or an empty chunk.
    """

    has_kernel = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int | None = None,
        expansion: int = 1,
        writes: int = 2,
        gated: bool = False,
        convolution: int | None = 4,
        negative_eigenvalues: bool = True,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        width = dim // heads if width is None else width
        if min(width, width * expansion, writes) < 1:
            raise ValueError(
                f"heads of width {width}, values of {width * expansion}, {writes} writes a unit: give 1 or more of each"
            )
        self.heads, self.width, self.expansion, self.writes = heads, width, expansion, writes
        self.strongest = 2.0 if negative_eigenvalues else 1.0
        values = heads * width * expansion
        self.sizes = (heads * width, writes * heads * width, writes * values)
        self.projection = nn.Linear(dim, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(sum(self.sizes), convolution) if convolution else None
        self.strength = nn.Linear(dim, writes * heads, bias=False)
        self.gate = nn.Linear(dim, values, bias=False) if gated else None
        self.decay = nn.Linear(dim, heads, bias=False) if gated else None
        if gated:
            self.log_rate = nn.Parameter(initial_log_rate(heads, slowest=0.0))
            self.time_step = nn.Parameter(initial_time_step(heads))
        self.norm = RMSNorm(width * expansion)
        self.output = nn.Linear(values, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> DeltaProductState:
        wide = torch.promote_types(dtype, torch.float32)
        tail = self.convolution.width - 1 if self.convolution else 0
        return DeltaProductState(
            torch.zeros(batch, self.heads, self.width, self.width * self.expansion, device=device, dtype=wide),
            torch.zeros(batch, tail, sum(self.sizes), device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: DeltaProductState, form: str) -> tuple[Tensor, DeltaProductState]:
        (matrix, tail), wide, n = state, state.matrix.dtype, self.writes
        projected = self.projection(x)
        if self.convolution is not None:
            projected, tail = self.convolution(projected, tail)
        q, k, v = F.silu(projected).split(self.sizes, -1)
        # The n writes of a unit stand behind one another, as units of a sequence n times as long.
        k, v = (part.unflatten(-1, (n, self.heads, -1)).flatten(1, 2) for part in (k, v))
        q = unit_length(q.unflatten(-1, (self.heads, -1)).to(wide)).repeat_interleave(n, 1)
        beta = self.strongest * self.strength(x).to(wide).sigmoid().unflatten(-1, (n, self.heads))
        record("delta_product/write_strength", beta)
        log_decay = self._log_decay(x, wide)
        y, matrix = self.run(delta_rule, form, q, unit_length(k.to(wide)), v, beta.flatten(1, 2), log_decay, matrix)
        y = self.norm(y[:, n - 1 :: n]).flatten(2).to(v.dtype)  # a unit reads after its last write
        return self.output(y if self.gate is None else y * F.silu(self.gate(x))), DeltaProductState(matrix, tail)

    def _log_decay(self, x: Float[Tensor, "B T D"], wide: torch.dtype) -> Float[Tensor, "B M H"] | None:
        """Of all M = T n writes: a unit decays before its first one; None without a gate."""
        if self.decay is None:
            return None
        log_decay = -self.log_rate.to(wide).exp() * F.softplus(self.decay(x).to(wide) + self.time_step.to(wide))
        record("delta_product/kept", log_decay.exp())
        return F.pad(log_decay[:, :, None], (0, 0, 0, self.writes - 1)).flatten(1, 2)
