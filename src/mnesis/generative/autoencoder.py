"""The variational autoencoder without a memory: what a bank must beat (Kingma and Welling 2013, arXiv 1312.6114)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .bank import Bank
from .gaussian import DiagonalGaussian
from .model import GenerativeModel, Objective, Samples


class VariationalAutoencoder(GenerativeModel):
    """z ~ N(0, I), x ~ p(x | z); the K-sample bound."""

    def objective(
        self,
        x: Float[Tensor, "B H W"],
        bank: Bank | Float[Tensor, "N ..."] | None = None,
        *,
        samples: int = 4,
        allow_targets: bool = False,
        generator: torch.Generator | None = None,
    ) -> Objective:
        if bank is not None:
            self._prepared(x, bank, allow_targets)
        self.likelihood.check(x)
        log_weight = self._log_weights(x, None, samples, generator)
        bound = log_weight.logsumexp(1) - math.log(samples)
        posterior = self.networks.posterior(x)
        divergence = posterior.divergence(DiagonalGaussian.standard(posterior.mean))
        return Objective(bound, bound.detach(), torch.zeros_like(bound), divergence.detach())

    def sample(
        self, bank: Bank | Float[Tensor, "N ..."] | None, n: int, *, generator: torch.Generator | None = None
    ) -> Samples:
        parameter = next(self.parameters())
        with torch.no_grad():
            z = DiagonalGaussian.standard(parameter.new_zeros(n, self.networks.latent)).sample(generator)
            output = self.networks.decode(z)
            nowhere = torch.full((n,), -1, device=parameter.device)
            return Samples(self.likelihood.sample(output, generator), self.likelihood.mean(output), nowhere)

    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        posterior = self.networks.posterior(x)
        posterior = DiagonalGaussian(*(part[:, None].expand(-1, samples, -1) for part in posterior))
        z = posterior.sample(generator)
        prior = DiagonalGaussian.standard(z)
        likelihood = self.likelihood.log_prob(x[:, None], self.networks.decode(z))
        return prior.log_prob(z) - posterior.log_prob(z) + likelihood
