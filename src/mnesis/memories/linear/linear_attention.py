"""Linear attention: all outer products of keys and values, summed, with a normaliser."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...layers.query_key_value import QueryKeyValue
from ...ops.gated_linear_attention import gated_linear_attention
from ..in_forms import MemoryInForms

EPSILON = 1e-6


class LinearAttentionState(NamedTuple):
    """What linear attention carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K K+1"]
    """The last column is the normaliser z."""
    tail: Float[Tensor, "B W-1 3*D"]
    """Of the short convolution; W = 1 without one."""


class LinearAttention(MemoryInForms[LinearAttentionState]):
    """Transformers are RNNs (Katharopoulos et al. 2020, arXiv 2006.16236): causal attention without the softmax.

    Each head adds phi(k) v^T to a matrix S and phi(k) to a normaliser z and reads S^T phi(q) / (phi(q) . z), with
    phi = elu + 1. It forgets nothing: associations crowd one another once there are more than dim / heads. State:
    dim^2 / heads + dim numbers a row in float32, and 3 dim (convolution - 1) for the convolution.

    As in the authors' code, 1e-6 is added to the denominator. Its four linear maps have biases, which the paper does
    not write and which are left out here.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        convolution: width of a causal depthwise convolution over queries, keys and values, behind the projections
            (the place that later linear memories chose); None = without, as in the paper.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, an unknown form, or a chunk without units.
    """

    has_kernel = True

    def __init__(
        self, dim: int, *, heads: int = 4, convolution: int | None = None, form: str = "chunk", chunk: int | None = None
    ) -> None:
        super().__init__(dim, form, chunk)
        self.query_key_value = QueryKeyValue(dim, heads=heads, convolution=convolution)
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LinearAttentionState:
        matrix = self.query_key_value.initial_matrix(batch, device=device, dtype=dtype)
        tail = self.query_key_value.initial_tail(batch, device=device, dtype=dtype)
        return LinearAttentionState(F.pad(matrix, (0, 1)), tail)

    def read(
        self, x: Float[Tensor, "B T D"], state: LinearAttentionState, form: str
    ) -> tuple[Tensor, LinearAttentionState]:
        q, k, v, tail = self.query_key_value(x, state.tail)
        q, k = (elu_features(part.to(state.matrix.dtype)) for part in (q, k))
        # (18) and (19): S and z are one matrix, z the sum of a value that is 1.
        y, matrix = self.run(gated_linear_attention, form, q, k, F.pad(v, (0, 1), value=1.0), None, state.matrix)
        y = y[..., :-1] / (y[..., -1:] + EPSILON)  # (20)
        return self.output(y.flatten(2).to(v.dtype)), LinearAttentionState(matrix, tail)


def elu_features(x: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """phi(x) = elu(x) + 1 (equation 7): positive features."""
    return F.elu(x) + 1
