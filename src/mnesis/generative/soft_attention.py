"""The deterministic read that variational addressing is compared with: a blend of slots, chosen by z.

z ~ N(0, I) stands on top; the weights over slots depend on z alone, or the decoder would see x through them; x is
decoded from z and the blended slot (section 4.3 of Bornschein et al. 2017, arXiv 1709.07116). The latent must pay both
for finding the slot and for what the slot does not say.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.addressing import similarity
from .bank import Bank
from .gaussian import DiagonalGaussian
from .model import GenerativeModel, Objective, Samples
from .networks import Networks


class SoftAttention(GenerativeModel):
    """p(x | M) = int p(z) p(x | z, sum_a w_a(z) m_a).

    Args:
        networks: encoders and decoder, not ``addressed``.
        likelihood: of the pixels.
        kind: of the similarity between slots and f(z).
        hidden: width of f.

    Raises:
        ValueError: networks without a template, or addressed ones.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        likelihood: str = "bernoulli",
        kind: str = "memory-normalised",
        hidden: int = 256,
    ) -> None:
        super().__init__(networks, likelihood=likelihood)
        if networks.template_shape is None or networks.addressed:
            raise ValueError("soft attention needs networks with a template shape and addressed=False")
        self.kind = kind
        self.finder = nn.Sequential(nn.Linear(networks.latent, hidden), nn.ReLU(), nn.Linear(hidden, networks.match))

    def objective(
        self,
        x: Float[Tensor, "B H W"],
        bank: Bank | Float[Tensor, "N ..."] | None = None,
        *,
        samples: int = 1,
        allow_targets: bool = False,
        generator: torch.Generator | None = None,
    ) -> Objective:
        given = self._needed(x, bank, allow_targets)
        self.likelihood.check(x)
        bound = self._log_weights(x, given, samples, generator).logsumexp(1) - math.log(samples)
        posterior = self.networks.posterior(x)
        divergence = posterior.divergence(DiagonalGaussian.standard(posterior.mean))
        return Objective(bound, bound.detach(), torch.zeros_like(bound), divergence.detach())

    def weights(self, z: Float[Tensor, "B Z"], bank: Bank | Float[Tensor, "N ..."]) -> Float[Tensor, "B N"]:
        """How much of each slot the blend for a z holds."""
        content = bank.content if isinstance(bank, Bank) else bank
        return similarity(self.finder(z), self.networks.key(content), self.kind).softmax(-1)

    def sample(
        self, bank: Bank | Float[Tensor, "N ..."] | None, n: int, *, generator: torch.Generator | None = None
    ) -> Samples:
        if bank is None:
            raise ValueError("SoftAttention draws from a bank; give one")
        content = bank.content if isinstance(bank, Bank) else bank
        with torch.no_grad():
            z = DiagonalGaussian.standard(content.new_zeros(n, self.networks.latent)).sample(generator)
            output = self._decode(z, content)
            nowhere = torch.full((n,), -1, device=content.device)
            return Samples(self.likelihood.sample(output, generator), self.likelihood.mean(output), nowhere)

    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        assert bank is not None
        posterior = self.networks.posterior(x)
        posterior = DiagonalGaussian(*(part[:, None].expand(-1, samples, -1) for part in posterior))
        z = posterior.sample(generator)
        prior = DiagonalGaussian.standard(z)
        output = self._decode(z.flatten(0, 1), bank.content).unflatten(0, z.shape[:2])
        return prior.log_prob(z) - posterior.log_prob(z) + self.likelihood.log_prob(x[:, None], output)

    def _decode(self, z: Float[Tensor, "R Z"], content: Float[Tensor, "N ..."]) -> Float[Tensor, "R C H W"]:
        blended = self.weights(z, content) @ content.flatten(1)
        return self.networks.decode(z, self.networks.template(blended.unflatten(1, content.shape[1:])))
