"""Queries, keys and values of several heads from one projection, behind an optional short convolution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .short_convolution import ShortConvolution


class QueryKeyValue(nn.Module):
    """q, k and v of each head, as linear memories take them; a stream carries the convolution's tail.

    Args:
        dim: width of the input.
        heads: how many.
        width: K, of a head's queries and keys; None = dim / heads.
        value_width: V, of its values; None = K.
        convolution: width of a causal depthwise convolution over all three; None = without, and an empty tail.
        activation: of all three, behind the convolution; None = without.

    Raises:
        ValueError: dim does not split into heads, or heads without width.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        width: int | None = None,
        value_width: int | None = None,
        convolution: int | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if width is None and dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        self.heads, self.width = heads, dim // heads if width is None else width
        self.value_width = self.width if value_width is None else value_width
        if min(self.width, self.value_width) < 1:
            raise ValueError(f"heads of width {self.width} and values of {self.value_width}: give 1 or more of both")
        self.activation = activation
        self.sizes = (heads * self.width, heads * self.width, heads * self.value_width)
        self.projection = nn.Linear(dim, sum(self.sizes), bias=False)
        self.convolution = ShortConvolution(sum(self.sizes), convolution) if convolution else None

    def initial_tail(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B tail E"]:
        if self.convolution is not None:
            return self.convolution.initial_tail(batch, device=device, dtype=dtype)
        return torch.zeros(batch, 0, sum(self.sizes), device=device, dtype=dtype)

    def initial_matrix(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B H K V"]:
        """An empty matrix of associations, in float32 or wider."""
        wide = torch.promote_types(dtype, torch.float32)
        return torch.zeros(batch, self.heads, self.width, self.value_width, device=device, dtype=wide)

    def forward(
        self, x: Float[Tensor, "B T D"], tail: Float[Tensor, "B tail E"]
    ) -> tuple[Float[Tensor, "B T H K"], Float[Tensor, "B T H K"], Float[Tensor, "B T H V"], Float[Tensor, "B tail E"]]:
        projected = self.projection(x)
        if self.convolution is not None:
            projected, tail = self.convolution(projected, tail)
        if self.activation is not None:
            projected = self.activation(projected)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in projected.split(self.sizes, -1))
        return q, k, v, tail
