"""Gated DeltaNet: the delta rule on a matrix that first forgets."""

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
from ...layers.time_step import initial_log_rate, initial_time_step
from ...ops.delta_rule import delta_rule, unit_length
from ..in_forms import MemoryInForms


class GatedDeltaRuleState(NamedTuple):
    """What the gated delta rule carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K V"]
    tail: Float[Tensor, "B W-1 H*(2*K+V)"]
    """Of the short convolution; W = 1 without one."""


class GatedDeltaRule(MemoryInForms[GatedDeltaRuleState]):
    """Gated DeltaNet (Yang et al. 2024, arXiv 2412.06464).

    Each head keeps S_t = alpha S_{t-1} + beta k (v - alpha S_{t-1}^T k)^T and reads S^T q: it first forgets, then
    corrects. alpha = exp(-A softplus(W_a x + b)) as in Mamba-2, beta = sigmoid(W_b x); queries and keys have unit
    length. What a head reads is normalised and gated with silu(W_g x). State: heads width^2 expansion numbers a row in
    float32, and heads width (2 + expansion) (convolution - 1) for the convolution. Observables:
    ``gated_delta_rule/kept`` (alpha) and ``gated_delta_rule/write_strength`` (beta), [B T H].

    As in the authors' code, rates A start between 0 and 16, where Mamba-2 has 1 to 16. The norm adds 1e-6, as their
    models do (their layer by itself, unless told, 1e-5).

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        width: K of a head; None = 3/4 dim / heads, as in the paper, where a layer then costs 6 dim^2 parameters.
        expansion: V / K.
        convolution: width of the causal depthwise convolution behind the projections; None = without (trains worse).
        negative_eigenvalues: doubles beta (Grazzi et al. 2024, arXiv 2411.12537).
        epsilon: what the norm adds to the mean square.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: a head without width, an unknown form, or a chunk without units.
    """

    has_kernel = True

    added: ClassVar[Mapping[str, Any]] = {"epsilon": 1e-6}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int | None = None,
        expansion: int = 2,
        convolution: int | None = 4,
        negative_eigenvalues: bool = False,
        epsilon: Epsilon = 1e-6,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.strongest = 2.0 if negative_eigenvalues else 1.0
        width = 3 * dim // (4 * heads) if width is None else width
        self.query_key_value = QueryKeyValue(
            dim,
            heads=heads,
            width=width,
            value_width=width * expansion,
            convolution=convolution,
            activation=F.silu,
        )
        self.strength, self.decay = nn.Linear(dim, heads, bias=False), nn.Linear(dim, heads, bias=False)
        self.log_rate = nn.Parameter(initial_log_rate(heads, slowest=0.0))
        self.time_step = nn.Parameter(initial_time_step(heads))
        self.gate = nn.Linear(dim, heads * width * expansion, bias=False)
        self.norm = RMSNorm(width * expansion, epsilon)
        self.output = nn.Linear(heads * width * expansion, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GatedDeltaRuleState:
        return GatedDeltaRuleState(
            self.query_key_value.initial_matrix(batch, device=device, dtype=dtype),
            self.query_key_value.initial_tail(batch, device=device, dtype=dtype),
        )

    def read(
        self, x: Float[Tensor, "B T D"], state: GatedDeltaRuleState, form: str
    ) -> tuple[Tensor, GatedDeltaRuleState]:
        wide = state.matrix.dtype
        q, k, v, tail = self.query_key_value(x, state.tail)
        q, k = unit_length(q.to(wide)), unit_length(k.to(wide))
        beta = self.strongest * self.strength(x).to(wide).sigmoid()
        log_decay = -self.log_rate.to(wide).exp() * F.softplus(self.decay(x).to(wide) + self.time_step.to(wide))
        record("gated_delta_rule/kept", log_decay.exp())
        record("gated_delta_rule/write_strength", beta)
        y, matrix = self.run(delta_rule, form, q, k, v, beta, log_decay, state.matrix)  # (10)
        y = self.norm(y).flatten(2).to(v.dtype) * F.silu(self.gate(x))
        return self.output(y), GatedDeltaRuleState(matrix, tail)
