"""Linear attention: all outer products of keys and values, summed, with a normaliser."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...layers.query_key_value import QueryKeyValue
from ...ops.linear_attention import elu_features, linear_attention_chunk, linear_attention_naive, linear_attention_step


class LinearAttentionState(NamedTuple):
    """What linear attention carries; matrix and normaliser in float32 or wider."""

    matrix: Float[Tensor, "B H K K"]
    normaliser: Float[Tensor, "B H K"]
    tail: Float[Tensor, "B W-1 3*D"]
    """Of the short convolution; W = 1 without one."""


class LinearAttention(Memory[LinearAttentionState]):
    """Transformers are RNNs (Katharopoulos et al. 2020, arXiv 2006.16236): causal attention without the softmax.

    Each head adds phi(k) v^T to a matrix S and phi(k) to a normaliser z and reads S^T phi(q) / (phi(q) . z), with
    phi = elu + 1. It forgets nothing: associations crowd one another once there are more than dim / heads. State:
    dim^2 / heads + dim numbers a row in float32, and 3 dim (convolution - 1) for the convolution.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        convolution: width of a causal depthwise convolution over queries, keys and values, behind the projections
            (the place that later linear memories chose); None = without, as in the paper.
        form: how a sequence is computed: "chunk" by matrix products, "naive" unit by unit.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, or an unknown form.
    """

    forms: ClassVar[tuple[str, ...]] = ("naive", "chunk")

    def __init__(
        self, dim: int, *, heads: int = 4, convolution: int | None = None, form: str = "chunk", chunk: int = 64
    ) -> None:
        super().__init__()
        if form not in self.forms:
            raise ValueError(f"LinearAttention has no form {form!r}; choose one of {', '.join(self.forms)}")
        self.dim, self.form, self.chunk = dim, form, chunk
        self.query_key_value = QueryKeyValue(dim, heads=heads, convolution=convolution)
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LinearAttentionState:
        wide = torch.promote_types(dtype, torch.float32)
        heads, width = self.query_key_value.heads, self.query_key_value.head_dim
        return LinearAttentionState(
            torch.zeros(batch, heads, width, width, device=device, dtype=wide),
            torch.zeros(batch, heads, width, device=device, dtype=wide),
            self.query_key_value.initial_tail(batch, device=device, dtype=dtype),
        )

    def scan(
        self, x: Float[Tensor, "B T D"], state: LinearAttentionState, phase: int = 0
    ) -> tuple[Tensor, LinearAttentionState]:
        q, k, v, tail = self._project(x, state)
        if self.form == "naive":
            y, matrix, normaliser = linear_attention_naive(q, k, v, state.matrix, state.normaliser)
        else:
            y, matrix, normaliser = linear_attention_chunk(q, k, v, state.matrix, state.normaliser, chunk=self.chunk)
        return self.output(y.flatten(2).to(v.dtype)), LinearAttentionState(matrix, normaliser, tail)

    def step(self, x: Float[Tensor, "B D"], state: LinearAttentionState) -> tuple[Tensor, LinearAttentionState]:
        q, k, v, tail = self._project(x[:, None], state)
        q, k, v = q.squeeze(1), k.squeeze(1), v.squeeze(1)
        y, matrix, normaliser = linear_attention_step(q, k, v, state.matrix, state.normaliser)
        return self.output(y.flatten(1).to(v.dtype)), LinearAttentionState(matrix, normaliser, tail)

    def _project(self, x: Float[Tensor, "B T D"], state: LinearAttentionState) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features of queries and keys, values, and the convolution's new tail."""
        projected, tail = self.query_key_value(x, state.tail)
        q_and_k, v = projected.split([2, 1], 2)
        q, k = elu_features(q_and_k.to(state.matrix.dtype)).unbind(2)
        return q, k, v.squeeze(2), tail
