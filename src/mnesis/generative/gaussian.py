"""Normal distributions with a diagonal covariance, as encoders and priors give them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

LOG_VARIANCE = (-7.0, 4.0)
"""Where encoders' log-variances are clamped."""


class DiagonalGaussian(NamedTuple):
    """N(mean, exp(log_variance)) over the last axis."""

    mean: Float[Tensor, "*B Z"]
    log_variance: Float[Tensor, "*B Z"]

    @classmethod
    def of(cls, output: Float[Tensor, "*B twice"]) -> DiagonalGaussian:
        """From the 2 Z outputs of a network."""
        mean, log_variance = output.chunk(2, -1)
        return cls(mean, log_variance.clamp(*LOG_VARIANCE))

    @classmethod
    def standard(cls, like: Float[Tensor, "*B Z"]) -> DiagonalGaussian:
        """N(0, I) of the shape, dtype and device of a tensor."""
        return cls(torch.zeros_like(like), torch.zeros_like(like))

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "*B Z"]:
        """Reparameterised: the gradient reaches mean and variance."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
        """Log-density in nats, summed over the last axis."""
        square = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (square + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def divergence(self, other: DiagonalGaussian) -> Float[Tensor, "*B"]:
        """KL(self || other) in nats, exact."""
        gap = other.log_variance - self.log_variance
        moved = (self.mean - other.mean).square() * (-other.log_variance).exp()
        return 0.5 * (gap + (-gap).exp() + moved - 1).sum(-1)
