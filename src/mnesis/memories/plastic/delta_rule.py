"""DeltaNet: a matrix of associations that corrects what it holds under a key instead of adding to it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...core.record import record
from ...layers.norm import RMSNorm
from ...layers.query_key_value import QueryKeyValue
from ...ops.delta_rule import delta_rule_chunk, delta_rule_naive, delta_rule_step, unit_length


class DeltaRuleState(NamedTuple):
    """What the delta rule carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K K"]
    tail: Float[Tensor, "B W-1 3*D"]
    """Of the short convolution; W = 1 without one."""


class DeltaRule(Memory[DeltaRuleState]):
    """DeltaNet (Yang et al. 2024, arXiv 2406.06484; the rule by Schlag et al. 2021, arXiv 2102.11174).

    Each head keeps a matrix and takes one gradient step on |S^T k - v|^2 a unit: S += beta k (v - S^T k)^T; it reads
    S^T q. Queries and keys have length 1, beta = sigmoid(W x) is the write strength: 1 replaces what stood under k.
    State: dim^2 / heads numbers a row in float32, and 3 dim (convolution - 1) for the convolution. Observable:
    ``delta_rule/write_strength`` [B T H].

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        convolution: width of the causal depthwise convolution behind the projections; None = without (trains worse).
        negative_eigenvalues: doubles beta (Grazzi et al. 2024, arXiv 2411.12537), so that a write can also flip the
            sign of what stood under its key and the memory can count modulo 2.
        form: how a sequence is computed: "chunk" by matrix products, "naive" unit by unit.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, or an unknown form.
    """

    forms: ClassVar[tuple[str, ...]] = ("naive", "chunk")

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        convolution: int | None = 4,
        negative_eigenvalues: bool = False,
        form: str = "chunk",
        chunk: int = 32,
    ) -> None:
        super().__init__()
        if form not in self.forms:
            raise ValueError(f"DeltaRule has no form {form!r}; choose one of {', '.join(self.forms)}")
        self.dim, self.form, self.chunk = dim, form, chunk
        self.strongest = 2.0 if negative_eigenvalues else 1.0
        self.query_key_value = QueryKeyValue(dim, heads=heads, convolution=convolution)
        self.strength = nn.Linear(dim, heads, bias=False)
        self.norm = RMSNorm(dim // heads)
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> DeltaRuleState:
        wide = torch.promote_types(dtype, torch.float32)
        heads, width = self.query_key_value.heads, self.query_key_value.head_dim
        return DeltaRuleState(
            torch.zeros(batch, heads, width, width, device=device, dtype=wide),
            self.query_key_value.initial_tail(batch, device=device, dtype=dtype),
        )

    def scan(self, x: Float[Tensor, "B T D"], state: DeltaRuleState, phase: int = 0) -> tuple[Tensor, DeltaRuleState]:
        q, k, v, beta, tail = self._project(x, state)
        if self.form == "naive":
            y, matrix = delta_rule_naive(q, k, v, beta, state.matrix)
        else:
            y, matrix = delta_rule_chunk(q, k, v, beta, state.matrix, chunk=self.chunk)
        return self._read(y, v.dtype), DeltaRuleState(matrix, tail)

    def step(self, x: Float[Tensor, "B D"], state: DeltaRuleState) -> tuple[Tensor, DeltaRuleState]:
        *written, tail = self._project(x[:, None], state)
        q, k, v, beta = (part.squeeze(1) for part in written)
        y, matrix = delta_rule_step(q, k, v, beta, state.matrix)
        return self._read(y, v.dtype), DeltaRuleState(matrix, tail)

    def _project(
        self, x: Float[Tensor, "B T D"], state: DeltaRuleState
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys, values, write strengths, and the convolution's new tail."""
        wide = state.matrix.dtype
        projected, tail = self.query_key_value(x, state.tail)
        q_and_k, v = F.silu(projected).split([2, 1], 2)
        q, k = unit_length(q_and_k.to(wide)).unbind(2)
        beta = self.strongest * self.strength(x).to(wide).sigmoid()
        record("delta_rule/write_strength", beta)
        return q, k, v.squeeze(2), beta, tail

    def _read(self, y: Float[Tensor, "... H K"], dtype: torch.dtype) -> Float[Tensor, "... D"]:
        return self.output(self.norm(y).flatten(-2).to(dtype))
