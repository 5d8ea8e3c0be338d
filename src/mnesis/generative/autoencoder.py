"""Models whose latent comes first, and the one without a memory: what a bank must beat.

Source: Kingma and Welling 2013, arXiv 1312.6114; the K-sample bound, Burda et al. 2015, arXiv 1509.00519.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from .bank import Bank, as_bank
from .gaussian import DiagonalGaussian
from .model import GenerativeModel, Objective, Samples


class LatentFirst(GenerativeModel):
    """z ~ N(0, I), x ~ p(x | z, bank), with a posterior q(z | x) that sees the picture alone."""

    def sample(
        self, bank: Bank | Float[Tensor, "N ..."] | None, n: int, *, generator: torch.Generator | None = None
    ) -> Samples:
        with torch.no_grad():
            z = DiagonalGaussian.standard(next(self.parameters()).new_zeros(n, self.networks.latent)).sample(generator)
            output = self._decode(z, None if bank is None else as_bank(bank))
            nowhere = torch.full((n,), -1, device=z.device)
            return Samples(self.likelihood.sample(output, generator), self.likelihood.mean(output), nowhere)

    @abstractmethod
    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        """The likelihood's parameters for latents."""

    def _objective(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Objective:
        posterior = self.networks.posterior(x)
        bound = self._weigh(x, posterior, bank, samples, generator).logsumexp(1) - math.log(samples)
        divergence = posterior.divergence(DiagonalGaussian.standard(posterior.mean))
        return Objective(bound, bound.detach(), torch.zeros_like(bound), divergence.detach())

    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return self._weigh(x, self.networks.posterior(x), bank, samples, generator)

    def _weigh(
        self, x: Tensor, one: DiagonalGaussian, bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        """log p(z) - log q(z | x) + log p(x | z, bank) of K draws from the posterior."""
        posterior = DiagonalGaussian(*(part[:, None].expand(-1, samples, -1) for part in one))
        z = posterior.sample(generator)
        output = self._decode(z.flatten(0, 1), bank).unflatten(0, z.shape[:2])
        prior = DiagonalGaussian.standard(z)
        return prior.log_prob(z) - posterior.log_prob(z) + self.likelihood.log_prob(x[:, None], output)


class VariationalAutoencoder(LatentFirst):
    """p(x) = int p(z) p(x | z)."""

    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        return self.networks.decode(z)
