"""What all generative models here share: a bound to maximise, log-likelihoods in bounded memory, and samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..core.domain import Checked
from .bank import Bank, as_bank
from .likelihoods import LIKELIHOODS, Likelihood
from .networks import Networks

ROWS = 4096
"""Rows of decoder output that evaluation holds at a time."""
KEY_ROWS = 2048
"""Slots embedded at a time; under a gradient each such part is embedded again on the way back."""


class Objective(NamedTuple):
    """What one batch gives, a number a row, in nats."""

    objective: Float[Tensor, " B"]
    """Its mean is to be maximised; the gradient is the estimator's."""
    bound: Float[Tensor, " B"]
    """Lower bound on log p(x)."""
    address_divergence: Float[Tensor, " B"]
    """KL(q(a | x) || p(a)), exact; 0 where there are no addresses."""
    latent_divergence: Float[Tensor, " B"]
    """KL(q(z | ...) || p(z | ...)), closed form, over the addresses drawn."""
    reconstruction: Float[Tensor, " B"]
    """E log p(x | z, ...), over the addresses and latents drawn: with one sample the bound is this less both KLs."""


class Samples(NamedTuple):
    """Pictures, and where in the bank their slots stand."""

    x: Float[Tensor, "n H W"]
    mean: Float[Tensor, "n H W"]
    """Expected pixels given slot and z."""
    address: Int[Tensor, " n"]
    """-1 where a model has no addresses."""


class GenerativeModel(Checked, nn.Module, ABC):
    """p(x | bank), trained and judged by bounds on its logarithm.

    Args:
        networks: encoders and decoder.
        likelihood: "bernoulli", "gaussian" or "discretised-logistic".

    Raises:
        ValueError: an unknown likelihood.
    """

    def __init__(self, networks: Networks, *, likelihood: str = "bernoulli") -> None:
        super().__init__()
        self.networks, self.likelihood_name = networks, likelihood
        find_likelihood(likelihood)

    @property
    def likelihood(self) -> Likelihood:
        return LIKELIHOODS[self.likelihood_name]

    def start_from(self, pixels: Float[Tensor, "N H W"]) -> None:
        """Start training from the mean picture: fresh weights say it of every latent and slot, and little besides.

        The first hundreds of updates, which find the mean picture, otherwise decide which slots are used at all: one of
        a learned bank takes everything before pictures differ. Ours: the text (arXiv 1709.07116) names no start.

        Args:
            pixels: pictures, 0..1, those of training or some of them.

        Raises:
            ValueError: none, or pictures that the likelihood is not about.
        """
        if not len(pixels):
            raise ValueError("there are no pictures to start from; give one or more")
        self.likelihood.check(pixels)
        self.networks.start_from(pixels, self.likelihood.constant)

    def objective(
        self,
        x: Float[Tensor, "B H W"],
        bank: Bank | Float[Tensor, "N ..."] | None = None,
        *,
        samples: int = 4,
        allow_targets: bool = False,
        generator: torch.Generator | None = None,
    ) -> Objective:
        """The bound on a batch, and what it is made of.

        Args:
            x: pictures, 0..1.
            bank: what the model may read; None for a model without memory.
            samples: K of the bound.
            allow_targets: say nothing of targets that stand in the bank.
            generator: of addresses and latents.

        Raises:
            ValueError: pictures that the likelihood is not about; a bank that is missing or does not fit.
        """
        given = self._checked(x, bank, allow_targets)
        return self._objective(x, given, samples, generator)

    @torch.no_grad()
    def sample(
        self, bank: Bank | Float[Tensor, "N ..."] | None, n: int, *, generator: torch.Generator | None = None
    ) -> Samples:
        """Draw n pictures from p(x | bank).

        Raises:
            ValueError: a bank that is missing or does not fit.
        """
        return self._sample(self._fitting(bank), n, generator)

    @abstractmethod
    def _sample(self, bank: Bank | None, n: int, generator: torch.Generator | None) -> Samples:
        """``sample`` of a bank that was checked."""

    @abstractmethod
    def _objective(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Objective:
        """``objective`` of pictures and a bank that were checked."""

    @abstractmethod
    def _log_weights(
        self, x: Float[Tensor, "B H W"], bank: Bank | None, samples: int, generator: torch.Generator | None
    ) -> Float[Tensor, "B K"]:
        """Logarithms of the weights whose mean is an unbiased estimate of p(x | bank)."""

    @torch.no_grad()
    def log_prob(
        self,
        x: Float[Tensor, "B H W"],
        bank: Bank | Float[Tensor, "N ..."] | None = None,
        *,
        samples: int = 200,
        allow_targets: bool = False,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, " B"]:
        """The K-sample bound on log p(x | bank), tight as K grows (Burda et al. 2015, arXiv 1509.00519).

        Memory is that of ``ROWS`` decoded pictures, whatever B and K. See ``objective`` for arguments and errors.
        """
        given = self._checked(x, bank, allow_targets)
        given = None if given is None else self.keyed(given)
        whole = []
        for rows in x.split(max(1, ROWS // samples)):
            total = x.new_full((len(rows),), -math.inf)
            for begin in range(0, samples, ROWS):
                count = min(ROWS, samples - begin)
                total = torch.logaddexp(total, self._log_weights(rows, given, count, generator).logsumexp(1))
            whole.append(total - math.log(samples))
        return torch.cat(whole)

    def keyed(self, bank: Bank | Float[Tensor, "N ..."]) -> Bank:
        """A bank with its keys, for many reads by weights that do not change in between."""
        given = as_bank(bank)
        return Bank(given.content, self._keys(given))

    def _keys(self, bank: Bank) -> Float[Tensor, "N E"]:
        if bank.keys is not None:
            return bank.keys
        encode = self.networks.key
        if len(bank) <= KEY_ROWS:
            return encode(bank.content)
        if not torch.is_grad_enabled():
            return torch.cat([encode(part) for part in bank.content.split(KEY_ROWS)])
        return torch.cat([checkpoint(encode, part, use_reentrant=False) for part in bank.content.split(KEY_ROWS)])

    def _checked(self, x: Tensor, bank: Bank | Tensor | None, allow_targets: bool) -> Bank | None:
        self.likelihood.check(x)
        given = self._fitting(bank)
        if given is not None and not allow_targets:
            given.warn_of(x)
        return given

    def _fitting(self, bank: Bank | Tensor | None) -> Bank | None:
        expected = self.networks.template_shape
        if (bank is None) != (expected is None):
            said = "reads no bank; leave it out" if expected is None else "reads a bank; give one"
            raise ValueError(f"{type(self).__name__} {said}")
        if bank is None:
            return None
        given = as_bank(bank)
        if tuple(given.content.shape[1:]) != expected:
            raise ValueError(
                f"slots of shape {tuple(given.content.shape[1:])} do not fit networks for {expected}; give such slots"
            )
        wanted = (len(given), self.networks.match)
        if given.keys is not None and tuple(given.keys.shape) != wanted:
            raise ValueError(
                f"keys of shape {tuple(given.keys.shape)} do not fit; give {wanted[0]} of width {wanted[1]}"
            )
        return given


def find_likelihood(name: str) -> Likelihood:
    """A likelihood by name; ValueError where there is none."""
    if name not in LIKELIHOODS:
        raise ValueError(f"no likelihood is called {name!r}; choose one of {', '.join(LIKELIHOODS)}")
    return LIKELIHOODS[name]
