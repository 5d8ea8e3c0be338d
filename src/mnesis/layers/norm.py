"""Root mean square normalisation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + 1e-6) * weight (Zhang and Sennrich 2019, arXiv 1910.07467), in the dtype of x.

    Args:
        dim: width of the last axis.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        # Under autocast the input is narrower than the weight, which the fused kernel does not take.
        weight = self.weight
        weight = weight if weight.dtype == x.dtype else weight.to(x.dtype)
        return torch.rms_norm(x, self.normalized_shape, weight, self.eps)
