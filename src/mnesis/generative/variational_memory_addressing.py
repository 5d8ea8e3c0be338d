"""A conditional VAE whose template is read at a random address: variational memory addressing.

Source: Bornschein, Mnih, Zoran and Rezende 2017, arXiv 1709.07116. p(x | M) = sum_a p(a) int p(z | m_a) p(x | z, m_a),
equations 4 and 5; the posterior q(a | x) q(z | m_a, x) and its similarity, section 3.1; the bound and VIMCO's gradient,
equations 6 to 8, whose misprints are read as :mod:`mnesis.ops.addressing` says.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.addressing import Read, SampledRead, address_divergence, draw_addresses, read_bank, similarity
from .bank import Bank, as_bank
from .gaussian import DiagonalGaussian
from .model import GenerativeModel, Objective, Samples
from .networks import Networks, Take, Template


class _Reading(NamedTuple):
    log_weight: Float[Tensor, "B K"]
    latent_divergence: Float[Tensor, "B K"]
    reconstruction: Float[Tensor, "B K"]


class VariationalMemoryAddressing(GenerativeModel):
    """Draw an address, look up its slot, draw z, draw x; infer the address with q(a | x).

    Args:
        networks: encoders and decoder, ``addressed``.
        likelihood: of the pixels.
        estimator: of the gradient through the address; see :func:`mnesis.ops.addressing.read_bank`.
        kind: of the similarity; see :func:`mnesis.ops.addressing.similarity`.
        prior: "learned", p(a) from a free query and the slots' keys, flat at first; or "flat".

    Raises:
        ValueError: an unknown prior, or networks that are not addressed.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        likelihood: str = "bernoulli",
        estimator: str = "vimco",
        kind: str = "memory-normalised",
        prior: str = "learned",
    ) -> None:
        super().__init__(networks, likelihood=likelihood)
        if not networks.addressed:
            raise ValueError("these networks have no queries and no p(z | m); build them with addressed=True")
        if prior not in ("learned", "flat"):
            raise ValueError(f"prior={prior!r} is neither 'learned' nor 'flat'")
        self.estimator, self.kind = estimator, kind
        # Zero is the flat prior; the text does not say where it starts.
        self.prior_query = nn.Parameter(torch.zeros(networks.match)) if prior == "learned" else None
        # A cosine lies within -1..1: without a scale no address could be preferred by more than e^2.
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0))) if kind == "cosine" else None

    def address(self, x: Float[Tensor, "B H W"], bank: Bank | Float[Tensor, "N ..."]) -> Float[Tensor, "B N"]:
        """log q(a | x), normalised."""
        return self._log_posterior(x, self._keys(as_bank(bank)))

    def log_prior(self, bank: Bank | Float[Tensor, "N ..."]) -> Float[Tensor, " N"]:
        """log p(a), normalised."""
        return self._log_prior(self._keys(as_bank(bank)))

    @torch.no_grad()
    def log_joint(
        self,
        x: Float[Tensor, "B H W"],
        bank: Bank | Float[Tensor, "N ..."],
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B N"]:
        """log p(a) p(z | m_a) p(x | z, m_a) / q(z | m_a, x) at every address, each with one z of its own."""
        given = as_bank(bank)
        keys = self._keys(given)
        log_posterior = self._log_posterior(x, keys)
        read = read_bank(log_posterior, estimator="exact")
        # With every address, log_ratio has - log q(a | x) in it, which has no place here.
        return self._read(x, given, read, self._log_prior(keys), generator).log_weight + log_posterior

    def _objective(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Objective:
        assert bank is not None
        keys = self._keys(bank)
        log_posterior, log_prior = self._log_posterior(x, keys), self._log_prior(keys)
        read = read_bank(log_posterior, estimator=self.estimator, samples=samples, generator=generator)
        reading = self._read(x, bank, read, log_prior, generator)
        bound = read.bound(reading.log_weight)
        divergence = address_divergence(log_posterior, log_prior)
        latent, reconstruction = read.mean(reading.latent_divergence), read.mean(reading.reconstruction)
        return Objective(bound.objective, bound.value, divergence, latent, reconstruction)

    def _sample(self, bank: Bank | None, n: int, generator: torch.Generator | None) -> Samples:
        assert bank is not None
        address = draw_addresses(self.log_prior(bank)[None], n, generator)[0]
        template = self.networks.template(bank.content[address])
        z = _prior(template).sample(generator)
        output = self.networks.decode(z, template)
        return Samples(self.likelihood.sample(output, generator), self.likelihood.mean(output), address)

    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        assert bank is not None
        keys = self._keys(bank)
        # One sample needs no baseline here, so that any K will do.
        read = read_bank(
            self._log_posterior(x, keys), estimator="reweighted-wake-sleep", samples=samples, generator=generator
        )
        return self._read(x, bank, read, self._log_prior(keys), generator).log_weight

    def _read(
        self, x: Tensor, bank: Bank, read: Read, log_prior: Float[Tensor, " N"], generator: torch.Generator | None
    ) -> _Reading:
        """log p(a) - log q(a | x) + log p(z | m) - log q(z | m, x) + log p(x | z, m), for every read."""
        log_ratio = read.log_ratio(log_prior)
        slot = read.take(bank.content)
        template, take = self._template(bank, read, slot)
        prior = DiagonalGaussian(*map(take, _prior(template)))
        posterior = self._posterior(x, slot, read)
        z = posterior.sample(generator)
        likelihood = self.likelihood.log_prob(x[:, None], self.networks.decode(z, template, take))
        log_weight = log_ratio + prior.log_prob(z) - posterior.log_prob(z) + likelihood
        return _Reading(log_weight, posterior.divergence(prior).detach(), likelihood.detach())

    def _template(self, bank: Bank, read: Read, slot: Float[Tensor, "B K ..."]) -> tuple[Template, Take]:
        """What the networks make of slots, each worked out once where it is read whole, and how reads take it."""
        if isinstance(read, SampledRead):
            alone, place = read.index.unique(return_inverse=True)
            return self.networks.template(bank.content[alone]), lambda leaf: leaf[place]
        if read.blends:
            return self.networks.template(slot.flatten(0, 1)), lambda leaf: leaf.unflatten(0, slot.shape[:2])
        return self.networks.template(bank.content), read.take

    def _posterior(self, x: Tensor, slot: Tensor, read: Read) -> DiagonalGaussian:
        """q(z | m_a, x) of every read."""
        each = x[:, None].expand(-1, slot.shape[1], -1, -1)
        if not isinstance(read, SampledRead):
            return self.networks.posterior(each, slot)
        # Many a sample reads what another one has read: every pair of picture and slot is worked out once.
        slots = read.log_posterior.shape[1]
        pair = torch.arange(len(x), device=x.device)[:, None] * slots + read.index
        alone, place = pair.unique(return_inverse=True)
        first = torch.empty_like(alone).scatter_(0, place.flatten(), torch.arange(pair.numel(), device=x.device))
        found = self.networks.posterior(each.flatten(0, 1)[first], slot.flatten(0, 1)[first])
        return DiagonalGaussian(*(part[place] for part in found))

    def _log_posterior(self, x: Float[Tensor, "B H W"], keys: Float[Tensor, "N E"]) -> Float[Tensor, "B N"]:
        return self._scores(self.networks.query(x), keys).log_softmax(-1)

    def _log_prior(self, keys: Float[Tensor, "N E"]) -> Float[Tensor, " N"]:
        if self.prior_query is None:
            return keys.new_zeros(len(keys)).log_softmax(-1)
        return self._scores(self.prior_query[None], keys)[0].log_softmax(-1)

    def _scores(self, query: Float[Tensor, "B E"], keys: Float[Tensor, "N E"]) -> Float[Tensor, "B N"]:
        scores = similarity(query, keys, self.kind)
        return scores if self.log_scale is None else scores * self.log_scale.exp()


def _prior(template: Template) -> DiagonalGaussian:
    assert template.prior is not None, "addressed networks have one"
    return DiagonalGaussian.of(template.prior)
