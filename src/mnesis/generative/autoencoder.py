"""Models whose latent comes first, and the one without a memory: what a bank must beat.

Source: Kingma and Welling 2013, arXiv 1312.6114; the K-sample bound, Burda et al. 2015, arXiv 1509.00519.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from .bank import Bank
from .gaussian import DiagonalGaussian
from .model import GenerativeModel, Objective, Samples


class LatentFirst(GenerativeModel):
    """z ~ p(z), x ~ p(x | z, bank), with a posterior q(z | x); without further word these do not see the bank."""

    def _sample(self, bank: Bank | None, n: int, generator: torch.Generator | None) -> Samples:
        given = None if bank is None else self.keyed(bank)
        z = DiagonalGaussian(*(part.expand(n, -1) for part in self._prior(given))).sample(generator)
        output = self._decode(z, given)
        nowhere = torch.full((n,), -1, device=z.device)
        return Samples(self.likelihood.sample(output, generator), self.likelihood.mean(output), nowhere)

    def _prior(self, bank: Bank | None) -> DiagonalGaussian:
        """p(z), one row."""
        return DiagonalGaussian.standard(next(self.parameters()).new_zeros(1, self.networks.latent))

    def _posterior(self, x: Float[Tensor, "B H W"], bank: Bank | None) -> DiagonalGaussian:
        """q(z | x), a row a picture."""
        return self.networks.posterior(x)

    @abstractmethod
    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        """The likelihood's parameters for latents."""

    def _objective(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Objective:
        given = None if bank is None else self.keyed(bank)
        prior, posterior = self._prior(given), self._posterior(x, given)
        log_weight, likelihood = self._weigh(x, prior, posterior, given, samples, generator)
        bound, divergence = log_weight.logsumexp(1) - math.log(samples), posterior.divergence(prior).detach()
        return Objective(bound, bound.detach(), torch.zeros_like(bound), divergence, likelihood.detach().mean(1))

    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        return self._weigh(x, self._prior(bank), self._posterior(x, bank), bank, samples, generator)[0]

    def _weigh(
        self,
        x: Float[Tensor, "B H W"],
        prior: DiagonalGaussian,
        one: DiagonalGaussian,
        bank: Bank | None,
        samples: int,
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"]]:
        """log p(z) - log q(z | x) + log p(x | z, bank) of K draws from the posterior, and its last term alone."""
        posterior = DiagonalGaussian(*(part[:, None].expand(-1, samples, -1) for part in one))
        z = posterior.sample(generator)
        output = self._decode(z.flatten(0, 1), bank).unflatten(0, z.shape[:2])
        likelihood = self.likelihood.log_prob(x[:, None], output)
        return prior.log_prob(z) - posterior.log_prob(z) + likelihood, likelihood


class VariationalAutoencoder(LatentFirst):
    """p(x) = int p(z) p(x | z)."""

    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        return self.networks.decode(z)
