"""Gated Linear Attention: outer products that fade, each key channel at a pace that the data choose."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Epsilon, Positive
from ...core.record import record
from ...layers.query_key_value import QueryKeyValue
from ...ops.gated_linear_attention import gated_linear_attention
from ..in_forms import MemoryInForms

NORMS = ("rms", "layer")


class GLAState(NamedTuple):
    """What GLA carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K V"]
    tail: Float[Tensor, "B W-1 H*(2*K+V)"]
    """Of the short convolution; W = 1 without one."""


class GLA(MemoryInForms[GLAState]):
    """Gated Linear Attention's layer (Yang et al. 2023, arXiv 2312.06635).

    Each head keeps S_t = diag(a_t) S_{t-1} + k_t v_t^T and reads S^T q, normalised by itself and gated with
    swish(W x + b). a = sigmoid(W_2 W_1 x + b)^(1 / temperature) has one number for each key channel; the temperature
    lets it stay near 1. State: dim^2 key_expansion value_expansion / heads numbers a row in float32, and
    dim (2 key_expansion + value_expansion) (convolution - 1) for the convolution. Observable: ``gla/kept`` (a)
    [B T H K].

    The paper does not scale queries. The authors' code multiplies them by K^-1/2, which the norm cancels up to epsilon:
    what it reads with e, this layer reads with ``epsilon`` = K e. Its output gate has no bias.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        key_expansion: width of all keys together / dim.
        value_expansion: width of all values together / dim.
        rank: of the projection that decays come from.
        temperature: of decays; the larger, the less a layer forgets at the start.
        norm: of what a head reads: "rms" as in the authors' code, "layer" as the paper writes it.
        epsilon: what the norm adds to the mean square or variance: 1e-6 as in the authors' models; their layer by
            itself, unless told, has 1e-5.
        convolution: width of a causal depthwise convolution with SiLU behind the projections, as the authors' code
            offers; None = without both, as in the paper.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: keys or values do not split into heads, a rank below 1, a temperature that is not positive, an
            unknown norm or form, or a chunk without units.
    """

    has_kernel = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key_expansion: Positive = 0.5,
        value_expansion: Positive = 1.0,
        rank: int = 16,
        temperature: Positive = 16.0,
        norm: str = "rms",
        epsilon: Epsilon = 1e-6,
        convolution: int | None = None,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        keys, values = int(dim * key_expansion), int(dim * value_expansion)
        if min(keys, values) < heads or keys % heads or values % heads:
            raise ValueError(
                f"{keys} key and {values} value channels (dim={dim}) do not split into {heads} heads; "
                "make both multiples of heads"
            )
        if norm not in NORMS:
            raise ValueError(f"GLA has no norm {norm!r}; choose one of {', '.join(NORMS)}")
        self.heads, self.temperature, self.norm, self.epsilon = heads, temperature, norm, epsilon
        self.query_key_value = QueryKeyValue(
            dim,
            heads=heads,
            width=keys // heads,
            value_width=values // heads,
            convolution=convolution,
            activation=F.silu if convolution else None,
        )
        self.decay = nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, keys))
        self.gate = nn.Linear(dim, values)
        self.scale = nn.Parameter(torch.ones(values // heads))
        self.output = nn.Linear(values, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GLAState:
        return GLAState(
            self.query_key_value.initial_matrix(batch, device=device, dtype=dtype),
            self.query_key_value.initial_tail(batch, device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: GLAState, form: str) -> tuple[Tensor, GLAState]:
        wide = state.matrix.dtype
        q, k, v, tail = self.query_key_value(x, state.tail)
        log_decay = F.logsigmoid(self.decay(x).to(wide)) / self.temperature
        log_decay = log_decay.unflatten(-1, (self.heads, -1))
        record("gla/kept", log_decay.exp())
        y, matrix = self.run(gated_linear_attention, form, q, k, v, log_decay, state.matrix)  # (3)
        y = (self._normalised(y) * self.scale.to(wide)).flatten(2).to(v.dtype)
        return self.output(F.silu(self.gate(x)) * y), GLAState(matrix, tail)

    def _normalised(self, y: Float[Tensor, "B T H V"]) -> Float[Tensor, "B T H V"]:
        if self.norm == "layer":
            return F.layer_norm(y, y.shape[-1:], eps=self.epsilon)
        return F.rms_norm(y, y.shape[-1:], eps=self.epsilon)
