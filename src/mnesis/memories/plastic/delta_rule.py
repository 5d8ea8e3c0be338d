"""DeltaNet: a matrix of associations that corrects what it holds under a key instead of adding to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Epsilon
from ...core.record import record
from ...layers.norm import RMSNorm
from ...layers.query_key_value import QueryKeyValue
from ...ops.delta_rule import delta_rule, unit_length
from ..in_forms import MemoryInForms


class DeltaRuleState(NamedTuple):
    """What the delta rule carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K K"]
    tail: Float[Tensor, "B W-1 3*D"]
    """Of the short convolution; W = 1 without one."""


class DeltaRule(MemoryInForms[DeltaRuleState]):
    """DeltaNet (Yang et al. 2024, arXiv 2406.06484; the rule by Schlag et al. 2021, arXiv 2102.11174).

    Each head keeps a matrix and takes one gradient step on |S^T k - v|^2 a unit: S += beta k (v - S^T k)^T; it reads
    S^T q. Queries and keys have length 1, beta = sigmoid(W x) is the write strength: 1 replaces what stood under k.
    State: dim^2 / heads numbers a row in float32, and 3 dim (convolution - 1) for the convolution. Observable:
    ``delta_rule/write_strength`` [B T H].

    The norm adds ``epsilon``, 1e-6 as in the authors' models (their layer by itself, unless told, 1e-5). It matters
    early on: where heads still read little, their mean square is no larger than either.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        convolution: width of the causal depthwise convolution behind the projections; None = without (trains worse).
        negative_eigenvalues: doubles beta (Grazzi et al. 2024, arXiv 2411.12537), so that a write can also flip the
            sign of what stood under its key and the memory can count modulo 2.
        epsilon: what the norm adds to the mean square.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, an unknown form, or a chunk without units.
    """

    has_kernel = True

    added: ClassVar[Mapping[str, Any]] = {"epsilon": 1e-6}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        convolution: int | None = 4,
        negative_eigenvalues: bool = False,
        epsilon: Epsilon = 1e-6,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.strongest = 2.0 if negative_eigenvalues else 1.0
        self.query_key_value = QueryKeyValue(dim, heads=heads, convolution=convolution, activation=F.silu)
        self.strength = nn.Linear(dim, heads, bias=False)
        self.norm = RMSNorm(dim // heads, epsilon)
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> DeltaRuleState:
        return DeltaRuleState(
            self.query_key_value.initial_matrix(batch, device=device, dtype=dtype),
            self.query_key_value.initial_tail(batch, device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: DeltaRuleState, form: str) -> tuple[Tensor, DeltaRuleState]:
        q, k, v, tail = self.query_key_value(x, state.tail)
        q, k = (unit_length(part.to(state.matrix.dtype)) for part in (q, k))
        beta = self.strongest * self.strength(x).to(state.matrix.dtype).sigmoid()
        record("delta_rule/write_strength", beta)
        y, matrix = self.run(delta_rule, form, q, k, v, beta, None, state.matrix)
        return self.output(self.norm(y).flatten(2).to(v.dtype)), DeltaRuleState(matrix, tail)
