"""What attention adds to its scores for how far back a key lies."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class PositionBias(nn.Module):
    """A learned number of each head for every bucket of distances (T5; Raffel et al. 2020, arXiv 1910.10683).

    Half of the buckets are single distances; the others grow with the logarithm up to ``farthest``, and the last one
    holds all beyond.

    Args:
        heads: of the attention.
        buckets: how many.
        farthest: distance from which on all are alike.
    """

    def __init__(self, heads: int, *, buckets: int = 32, farthest: int = 128) -> None:
        super().__init__()
        self.buckets, self.farthest = buckets, farthest
        self.weight = nn.Parameter(torch.empty(buckets, heads))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, distance: Int[Tensor, "*B T N"]) -> Float[Tensor, "*B H T N"]:
        """The bias of keys that lie so far back; what lies ahead is taken for distance 0."""
        return self.weight[self._bucket(distance)].movedim(-1, -3)

    def _bucket(self, distance: Int[Tensor, "*B T N"]) -> Int[Tensor, "*B T N"]:
        distance, exact = distance.clamp(min=0), self.buckets // 2
        far = (distance.clamp(min=1).double() / exact).log() / math.log(self.farthest / exact) * (self.buckets - exact)
        far = (exact + far.clamp(min=0).long()).clamp(max=self.buckets - 1)
        return torch.where(distance < exact, distance, far)
