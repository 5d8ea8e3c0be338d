"""Queries, keys and values of several heads from one projection, behind an optional short convolution."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .short_convolution import ShortConvolution


class QueryKeyValue(nn.Module):
    """q, k and v of each head, as linear memories take them; a stream carries the convolution's tail.

    Args:
        dim: width, split into ``heads``.
        heads: how many.
        convolution: width of a causal depthwise convolution over all three; None = without, and an empty tail.

    Raises:
        ValueError: dim does not split into heads.
    """

    def __init__(self, dim: int, *, heads: int, convolution: int | None) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        self.heads, self.head_dim = heads, dim // heads
        self.projection = nn.Linear(dim, 3 * dim, bias=False)
        self.convolution = ShortConvolution(3 * dim, convolution) if convolution else None

    def initial_tail(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B tail E"]:
        if self.convolution is not None:
            return self.convolution.initial_tail(batch, device=device, dtype=dtype)
        return torch.zeros(batch, 0, self.projection.out_features, device=device, dtype=dtype)

    def forward(
        self, x: Float[Tensor, "B T D"], tail: Float[Tensor, "B tail E"]
    ) -> tuple[Float[Tensor, "B T 3 H K"], Float[Tensor, "B tail E"]]:
        projected = self.projection(x)
        if self.convolution is not None:
            projected, tail = self.convolution(projected, tail)
        return projected.unflatten(-1, (3, self.heads, self.head_dim)), tail
