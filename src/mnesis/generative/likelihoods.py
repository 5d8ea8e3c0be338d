"""What a decoder says of pictures: p(x | ...) by pixel, from the channels that it puts out.

Pictures are floats from 0 to 1, ``[..., H, W]``; a decoder's output is ``[..., C, H, W]`` with C = ``channels``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .gaussian import DiagonalGaussian

LEAST_VARIANCE = 1e-4
"""Of a pixel that has the same brightness in all pictures."""


class Likelihood(ABC):
    """Independent pixels, given the decoder's output."""

    channels: ClassVar[int]
    """Of the decoder."""

    @abstractmethod
    def log_prob(self, x: Float[Tensor, "*#B H W"], output: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
        """Nats, summed over pixels."""

    @abstractmethod
    def mean(self, output: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B H W"]:
        """The expected picture."""

    @abstractmethod
    def sample(
        self, output: Float[Tensor, "*B C H W"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*B H W"]:
        """A picture."""

    @abstractmethod
    def constant(self, x: Float[Tensor, "N H W"]) -> Float[Tensor, "C H W"]:
        """The decoder's output, the same for all pictures, that has the mean of these and, where it says one, their
        variance.
        """

    def check(self, x: Float[Tensor, "*B H W"]) -> None:
        """ValueError where the pictures are not of the kind that this likelihood is about."""
        low, high = float(x.detach().amin()), float(x.detach().amax())
        if not (low >= 0 and high <= 1):
            raise ValueError(f"pictures reach from {low:.3g} to {high:.3g}; scale them to 0..1")


class Bernoulli(Likelihood):
    """Binary pixels; the output is their logits."""

    channels = 1

    def log_prob(self, x: Float[Tensor, "*#B H W"], output: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
        logits = output.squeeze(-3)
        # log p(1) = -softplus(-l) and log p(0) = -softplus(l); their mix at x is x l - softplus(l)
        return (x * logits - F.softplus(logits)).sum((-2, -1))

    def mean(self, output: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B H W"]:
        return output.squeeze(-3).sigmoid()

    def sample(
        self, output: Float[Tensor, "*B C H W"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*B H W"]:
        return torch.bernoulli(self.mean(output), generator=generator)

    def constant(self, x: Float[Tensor, "N H W"]) -> Float[Tensor, "C H W"]:
        # One picture with ink and one without beside them: a pixel that never has any would be at minus infinity.
        return ((x.sum(0) + 1) / (len(x) + 2)).logit()[None]

    def check(self, x: Float[Tensor, "*B H W"]) -> None:
        super().check(x)
        if not bool(((x == 0) | (x == 1)).all()):
            between = float(x[(x != 0) & (x != 1)][0])
            raise ValueError(
                f"a Bernoulli likelihood is about pixels 0 and 1, these have {between:.3g}; binarise the pictures, or "
                "take another likelihood"
            )


class Gaussian(Likelihood):
    """Real pixels; the output is their means and log-variances. A density: nats may be positive."""

    channels = 2

    def log_prob(self, x: Float[Tensor, "*#B H W"], output: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
        return self._pixels(output).log_prob(x.flatten(-2))

    def mean(self, output: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B H W"]:
        return output.unbind(-3)[0]

    def sample(
        self, output: Float[Tensor, "*B C H W"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*B H W"]:
        return self._pixels(output).sample(generator).unflatten(-1, output.shape[-2:])

    def constant(self, x: Float[Tensor, "N H W"]) -> Float[Tensor, "C H W"]:
        return torch.stack([x.mean(0), x.var(0, correction=0).clamp(min=LEAST_VARIANCE).log()])

    def _pixels(self, output: Float[Tensor, "*B C H W"]) -> DiagonalGaussian:
        return DiagonalGaussian.of(output.flatten(-3))


class DiscretisedLogistic(Likelihood):
    """Pixels of 256 levels: the mass of a logistic distribution between the middles of neighbouring levels.

    The output is a mean and a log-scale for each pixel (Kingma et al. 2016, arXiv 1606.04934). The lowest and the
    highest level have the whole tail.
    """

    channels = 2
    levels: ClassVar[int] = 256
    smallest_log_scale: ClassVar[float] = -7.0

    def log_prob(self, x: Float[Tensor, "*#B H W"], output: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
        mean, log_scale = self._parts(output)
        half, sharpness = 0.5 / (self.levels - 1), (-log_scale).exp()
        upper, lower = sharpness * (x - mean + half), sharpness * (x - mean - half)
        # log(sigmoid(u) - sigmoid(l)) = log sigmoid(u) + log sigmoid(-l) + log(1 - exp(l - u)), without cancellation
        between = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
        first, last = x < half, x > 1 - half
        return torch.where(first, F.logsigmoid(upper), torch.where(last, F.logsigmoid(-lower), between)).sum((-2, -1))

    def mean(self, output: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B H W"]:
        return self._parts(output)[0].clamp(0, 1)

    def sample(
        self, output: Float[Tensor, "*B C H W"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*B H W"]:
        mean, log_scale = self._parts(output)
        uniform = torch.rand(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device).clamp(
            1e-5, 1 - 1e-5
        )
        x = (mean + log_scale.exp() * uniform.logit()).clamp(0, 1)
        return (x * (self.levels - 1)).round() / (self.levels - 1)

    def constant(self, x: Float[Tensor, "N H W"]) -> Float[Tensor, "C H W"]:
        # A logistic distribution of scale s has the variance (pi s)^2 / 3.
        variance = x.var(0, correction=0).clamp(min=LEAST_VARIANCE)
        return torch.stack([x.mean(0), 0.5 * (3 * variance).log() - math.log(math.pi)])

    def _parts(self, output: Float[Tensor, "*B C H W"]) -> tuple[Tensor, Tensor]:
        mean, log_scale = output.unbind(-3)
        return mean, log_scale.clamp_min(self.smallest_log_scale)


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Bernoulli(),
    "gaussian": Gaussian(),
    "discretised-logistic": DiscretisedLogistic(),
}
