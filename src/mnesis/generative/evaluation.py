"""How well a generative model knows pictures, what of it comes from the bank, and which class a picture is of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .bank import Bank, as_bank
from .model import GenerativeModel
from .variational_memory_addressing import VariationalMemoryAddressing


class Knowledge(NamedTuple):
    """Means over pictures, in nats; every list has one number a picture, in the order they were given."""

    negative_log_likelihood: Float[Tensor, " n"]
    """-log p(x | bank), by the K-sample bound."""
    address_divergence: Float[Tensor, " n"]
    """KL(q(a | x) || p(a))."""
    latent_divergence: Float[Tensor, " n"]
    """KL(q(z | ...) || p(z | ...)), over the addresses drawn."""
    reconstruction: Float[Tensor, " n"]
    """-E log p(x | z, ...), over the addresses and latents drawn."""

    def summary(self) -> dict[str, float]:
        """Means, and the standard error of the first."""
        nats = self.negative_log_likelihood
        return {
            "nll": float(nats.mean()),
            "nll_standard_error": float(nats.std() / math.sqrt(len(nats))) if len(nats) > 1 else float("nan"),
            "kl_address": float(self.address_divergence.mean()),
            "kl_latent": float(self.latent_divergence.mean()),
            "reconstruction": float(self.reconstruction.mean()),
        }


class Usage(NamedTuple):
    """How a model uses a bank's addresses."""

    proposed: Float[Tensor, " N"]
    """Mean of q(a | x) over pictures."""
    prior_entropy: float
    """Of p(a), in nats; log N where it is flat."""
    proposed_entropy: float
    """Of ``proposed``; its exponential is the number of slots in use."""
    posterior_entropy: float
    """Of q(a | x), the mean over pictures: 0 where every picture has a slot of its own."""


@torch.no_grad()
def know(
    model: GenerativeModel,
    batches: Iterable[tuple[Float[Tensor, "_ H W"], Bank | Float[Tensor, "_ ..."] | None]],
    *,
    samples: int = 200,
    divergence_samples: int = 4,
    allow_targets: bool = False,
    generator: torch.Generator | None = None,
) -> Knowledge:
    """Judge a model on batches of pictures, each with the bank that it may read.

    Args:
        model: in evaluation mode or not; nothing is trained.
        batches: pictures and their bank.
        samples: K of the bound.
        divergence_samples: addresses that the latents' divergence is averaged over.
        allow_targets: say nothing of targets that stand in the bank.
        generator: of addresses and latents.

    Raises:
        ValueError: no pictures.
    """
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for x, given in batches:
        bank = None if given is None else as_bank(given)
        options = {"allow_targets": allow_targets, "generator": generator}
        log_prob = model.log_prob(x, bank, samples=samples, **options)
        parts = model.objective(x, bank, samples=divergence_samples, allow_targets=True, generator=generator)
        found.append((-log_prob, parts.address_divergence, parts.latent_divergence, -parts.reconstruction))
    if not found:
        raise ValueError("there are no pictures to judge the model on; give one batch or more")
    return Knowledge(*(torch.cat(values).cpu() for values in zip(*found, strict=True)))


@torch.no_grad()
def usage(model: VariationalMemoryAddressing, x: Float[Tensor, "B H W"], bank: Bank | Float[Tensor, "N ..."]) -> Usage:
    """Which slots pictures are looked up in."""
    address, prior = model.address(x, bank).exp(), model.log_prior(bank).exp()
    proposed = address.mean(0)
    return Usage(proposed.cpu(), _entropy(prior), _entropy(proposed), _entropy(address) / len(address))


@torch.no_grad()
def classify(
    model: VariationalMemoryAddressing,
    x: Float[Tensor, "B H W"],
    bank: Bank | Float[Tensor, "N ..."],
    bank_class: Int[Tensor, " labels"],
    *,
    samples: int = 0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B C"]:
    """log p(class | x, bank) for a bank of labelled slots, without any training for it.

    With no samples, a class has the share of q(a | x) that its slots have. With S samples every slot is tried: p(c | x)
    in proportion to the sum over its slots of p(a) E_q(z | m_a, x) [p(z | m_a) p(x | z, m_a) / q(z | m_a, x)] (section
    4.3 of arXiv 1709.07116, whose printed formula leaves the denominator out).

    Args:
        model: whose addresses and likelihoods are used.
        x: pictures.
        bank: slots.
        bank_class: of each slot, 0..C-1.
        samples: S.
        generator: of the latents.

    Raises:
        ValueError: labels that do not fit the bank.
    """
    bank = model.keyed(bank)
    if len(bank_class) != len(bank):
        raise ValueError(f"{len(bank)} slots have {len(bank_class)} classes; give one for each")
    by_slot = model.address(x, bank)
    if samples:
        by_slot = torch.full_like(by_slot, -math.inf)
        for _ in range(samples):
            by_slot = torch.logaddexp(by_slot, model.log_joint(x, bank, generator=generator))
    classes = int(bank_class.max()) + 1
    members = torch.nn.functional.one_hot(bank_class, classes).bool()
    scores = torch.where(members[None], by_slot[..., None], -math.inf).logsumexp(1)
    return scores.log_softmax(1)


def _entropy(probability: Tensor) -> float:
    return float(torch.special.entr(probability).sum())
