"""Softmax attention whose exponential is a Taylor polynomial: a recurrence over products of a key's coordinates."""

from __future__ import annotations

import math
from functools import reduce
from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...layers.constants import Constants
from ...layers.query_key_value import QueryKeyValue
from ...ops.gated_linear_attention import gated_linear_attention
from ..in_forms import MemoryInForms

NORMS = ("sum", "l2", "rms")
EPSILON = 1e-6


class TaylorState(NamedTuple):
    """What Taylor attention carries, in float32 or wider."""

    matrix: Float[Tensor, "B H M V+1"]
    """One row for each product of coordinates; the last column is the sum of weights."""


class _Monomials(NamedTuple):
    """Products of up to N coordinates, each once."""

    factor: Int[Tensor, "M N"]
    """Which coordinates, from 1 on; 0 stands for none."""
    repeats: Int[Tensor, " M"]
    """Product of the factorials of how often each is there."""


class TaylorAttention(MemoryInForms[TaylorState]):
    """Softmax attention as a sum of recurrences, up to some order (Mongaras and Larson 2025, arXiv 2507.23632).

    exp(q . k / sqrt(K)) is replaced by its first terms, (q . k / sqrt(K))^n / n! for n = 0..N. Each is an inner product
    of n-fold Kronecker powers, so that a head keeps S_t = S_{t-1} + phi(k) v^T and reads S^T phi(q), divided by the sum
    of its weights. Order 1 is linear attention without a feature map. Equal entries of a Kronecker power are kept once,
    with their multiplicity: M = (K + N)! / (K! N!) products of up to N coordinates stand for sum_n K^n. State:
    heads M (V + 1) numbers a row in float32, V = dim / heads; of K = 16, M is 153 for N = 2 and 4,845 for N = 4.

    The paper's models also turn queries and keys with their position, which has no recurrent form here, and add about
    10 terms, of which no state can be kept.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        width: K, of a head's queries and keys; None = dim / heads.
        order: N.
        norm: in place of the softmax's denominator: "sum", the denominator itself, which only an even order keeps above
            0; "l2" or "rms", norms of what a head reads, which the paper finds as good, the second with weights.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, queries without width, an order below 1, an odd one with norm "sum",
            an unknown norm or form, or a chunk without units.
    """

    has_kernel = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 16,
        width: int | None = None,
        order: int = 2,
        norm: str = "sum",
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if norm not in NORMS:
            raise ValueError(f"TaylorAttention has no norm {norm!r}; choose one of {', '.join(NORMS)}")
        if norm == "sum" and order % 2:
            raise ValueError(f"order={order}: weights of an odd order may sum to 0; make it even, or norm='l2'")
        if dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        self.order, self.norm = order, norm
        self.query_key_value = QueryKeyValue(dim, heads=heads, width=width, value_width=dim // heads)
        self.scale = nn.Parameter(torch.ones(dim // heads)) if norm == "rms" else None
        self.output = nn.Linear(dim, dim, bias=False)
        self.monomials = Constants(lambda: _monomials(self.query_key_value.width, order))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> TaylorState:
        sizes = (
            batch,
            self.query_key_value.heads,
            len(self.monomials.made.repeats),
            self.query_key_value.value_width + 1,
        )
        return TaylorState(torch.zeros(sizes, device=device, dtype=torch.promote_types(dtype, torch.float32)))

    def read(self, x: Float[Tensor, "B T D"], state: TaylorState, form: str) -> tuple[Tensor, TaylorState]:
        tail = self.query_key_value.initial_tail(x.shape[0], device=x.device, dtype=x.dtype)
        q, k, v, _ = self.query_key_value(x, tail)
        q, k = (self.features(part.to(state.matrix.dtype)) for part in (q, k))
        y, matrix = self.run(gated_linear_attention, form, q, k, F.pad(v, (0, 1), value=1.0), None, state.matrix)
        return self.output(self._normalised(y).flatten(2).to(v.dtype)), TaylorState(matrix)

    def features(self, x: Float[Tensor, "... K"]) -> Float[Tensor, "... M"]:
        """phi: phi(q) . phi(k) = sum_n (q . k / sqrt(K))^n / n!, as n! / (a! b! ...) entries of a power are equal."""
        factors = F.pad(x * x.shape[-1] ** -0.25, (1, 0), value=1.0)
        factor, repeats = self.monomials.on(x.device)
        products = reduce(torch.mul, [factors[..., each] for each in factor.unbind(1)])
        return products * repeats.to(x.dtype).rsqrt()

    def _normalised(self, y: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T H W-1"]:
        if self.norm == "sum":
            return y[..., :-1] / y[..., -1:]
        if self.scale is None:
            return F.normalize(y[..., :-1], dim=-1, eps=EPSILON)
        return F.rms_norm(y[..., :-1], self.scale.shape, self.scale.to(y.dtype), EPSILON)


def _monomials(width: int, order: int) -> _Monomials:
    """Products of exactly N factors out of the coordinates and 1 are those of up to N coordinates."""
    factors = list(combinations_with_replacement(range(width + 1), order))
    repeats = [math.prod(math.factorial(each.count(i)) for i in set(each) - {0}) for each in factors]
    return _Monomials(torch.tensor(factors), torch.tensor(repeats))
