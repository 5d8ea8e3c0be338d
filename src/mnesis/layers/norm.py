"""Normalisation of each unit over its channels."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang and Sennrich 2019, arXiv 1910.07467), in the dtype of x.

    Args:
        dim: width of the last axis.
        epsilon: what is added to the mean square.
    """

    def __init__(self, dim: int, epsilon: float = 1e-6) -> None:
        super().__init__(dim, eps=epsilon)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        # Under autocast the input is narrower than the weight, which the fused kernel does not take.
        weight = self.weight
        weight = weight if weight.dtype == x.dtype else weight.to(x.dtype)
        return torch.rms_norm(x, self.normalized_shape, weight, self.eps)


class LayerNorm(nn.LayerNorm):
    """(x - mean(x)) / sqrt(variance(x) + epsilon) * weight without a bias (Ba et al. 2016, arXiv 1607.06450).

    Outputs are in the dtype of the input, x.

    Args:
        dim: width of the last axis.
        epsilon: what is added to the variance.
    """

    def __init__(self, dim: int, epsilon: float = 1e-5) -> None:
        super().__init__(dim, eps=epsilon, bias=False)

    def forward(self, input: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        # Autocast computes it in float32, and what it returns would widen all that follows.
        weight = self.weight.to(input.dtype)
        return F.layer_norm(input, self.normalized_shape, weight, None, self.eps).to(input.dtype)


NormKind = Literal["rms", "layer"]


def norm(kind: NormKind, dim: int, epsilon: float | None = None) -> RMSNorm | LayerNorm:
    """By name, without biases both: "rms" or "layer"; None = the epsilon that each has by itself."""
    of = RMSNorm if kind == "rms" else LayerNorm
    return of(dim) if epsilon is None else of(dim, epsilon)
