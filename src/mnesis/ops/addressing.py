"""Reads of a bank whose address is a random choice, and what the chooser learns from them.

A model p(x) = sum_a p(a) p(x | m_a) draws the address a of a slot; q(a | x), which sees the target, proposes it. A read
holds a few addresses for every row; what it took from the bank says how likely x is, and that comes back as a bound on
log p(x) and as an objective whose gradient is the estimator's::

    read = read_bank(log_posterior, estimator="vimco", samples=4)
    content = read.take(bank)  # [B, K, ...]
    log_weight = read.log_ratio(log_prior) + log_likelihood(x, content)  # [B, K]
    bound = read.bound(log_weight)
    (-bound.objective.mean()).backward()

Sources: VIMCO, Mnih & Rezende 2016, arXiv 1602.06725, in the form of Bornschein et al. 2017, arXiv 1709.07116,
equations 6 to 8; leave-one-out REINFORCE, Salimans & Knowles 2014, arXiv 1401.1022; reweighted wake-sleep, Bornschein &
Bengio 2014, arXiv 1406.2751; Gumbel-softmax, Jang et al. 2016, arXiv 1611.01144.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

SMALLEST_NORM = 1e-6


class Bound(NamedTuple):
    """What a read says of x, a number for every row."""

    value: Float[Tensor, " B"]
    """Estimate of a lower bound on log p(x), in nats."""
    objective: Float[Tensor, " B"]
    """Maximise its mean. Its gradient is what counts; its value need not be the bound's."""


class Read(ABC):
    """K addresses, or blends of them, for every row of a batch. ``log_posterior`` [B, N] is normalised."""

    blends: ClassVar[bool] = False
    """Whether what it takes stands in the bank only in part: then nothing worked out slot by slot can be taken."""

    def __init__(self, log_posterior: Float[Tensor, "B N"]) -> None:
        self.log_posterior = log_posterior

    @abstractmethod
    def take(self, content: Float[Tensor, ...], *, own: bool = False) -> Float[Tensor, "B K *D"]:
        """Content at the addresses, from a bank [N, ...] that all rows share, or [B, N, ...] of their own."""

    @abstractmethod
    def log_ratio(self, log_prior: Float[Tensor, "*B N"]) -> Float[Tensor, "B K"]:
        """What the addresses add to the weights: log p(a) - log q(a | x). ``log_prior`` is normalised."""

    @abstractmethod
    def bound(self, log_weight: Float[Tensor, "B K"]) -> Bound:
        """From the weights of the K reads: ``log_ratio`` and all that the model says of x given the content."""

    def mean(self, value: Float[Tensor, "B K"]) -> Float[Tensor, " B"]:
        """Expectation under q(a | x) of what each read gives."""
        return value.mean(1)


class SampledRead(Read):
    """Addresses drawn from q with replacement, independently."""

    def __init__(
        self, log_posterior: Float[Tensor, "B N"], index: Int[Tensor, "B K"], objective: Callable[..., Bound]
    ) -> None:
        super().__init__(log_posterior)
        self.index, self._objective = index, objective
        self.log_probability: Float[Tensor, "B K"] = log_posterior.gather(1, index)

    def take(self, content: Float[Tensor, ...], *, own: bool = False) -> Float[Tensor, "B K *D"]:
        rows = torch.arange(len(self.index), device=self.index.device)[:, None]
        return content[rows, self.index] if own else content[self.index]

    def log_ratio(self, log_prior: Float[Tensor, "*B N"]) -> Float[Tensor, "B K"]:
        return log_prior.expand_as(self.log_posterior).gather(1, self.index) - self.log_probability

    def bound(self, log_weight: Float[Tensor, "B K"]) -> Bound:
        return self._objective(log_weight, self.log_probability)


class RelaxedRead(Read):
    """Blends of the whole bank with Gumbel-softmax weights; the address pays its exact divergence from the prior."""

    blends = True

    def __init__(self, log_posterior: Float[Tensor, "B N"], weight: Float[Tensor, "B K N"]) -> None:
        super().__init__(log_posterior)
        self.weight = weight

    def take(self, content: Float[Tensor, ...], *, own: bool = False) -> Float[Tensor, "B K *D"]:
        return torch.einsum("bkn,bn...->bk..." if own else "bkn,n...->bk...", self.weight, content)

    def log_ratio(self, log_prior: Float[Tensor, "*B N"]) -> Float[Tensor, "B K"]:
        divergence = address_divergence(self.log_posterior, log_prior)
        return -divergence[:, None].expand(-1, self.weight.shape[1])

    def bound(self, log_weight: Float[Tensor, "B K"]) -> Bound:
        mean = log_weight.mean(1)
        return Bound(mean.detach(), mean)


class EnumeratedRead(Read):
    """Every address: K = N. The model learns from log p(x) itself, q from its divergence from the true posterior."""

    def take(self, content: Float[Tensor, ...], *, own: bool = False) -> Float[Tensor, "B K *D"]:
        return content if own else content.expand(len(self.log_posterior), *content.shape)

    def log_ratio(self, log_prior: Float[Tensor, "*B N"]) -> Float[Tensor, "B K"]:
        return log_prior.expand_as(self.log_posterior) - self.log_posterior

    def bound(self, log_weight: Float[Tensor, "B K"]) -> Bound:
        log_joint = log_weight + self.log_posterior
        value = log_joint.logsumexp(1)
        proposal = self.log_posterior.exp() * (log_joint.detach() - self.log_posterior)
        return Bound(value.detach(), value + proposal.sum(1))

    def mean(self, value: Float[Tensor, "B K"]) -> Float[Tensor, " B"]:
        return (self.log_posterior.detach().exp() * value).sum(1)


def read_bank(
    log_posterior: Float[Tensor, "B N"],
    *,
    estimator: str = "vimco",
    samples: int = 4,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Read:
    """Propose addresses, in the way that the estimator of the gradient asks for.

    Args:
        log_posterior: normalised log-probabilities of N addresses.
        estimator: "vimco" and "vimco-geometric" (unbiased for the K-sample bound, differing in their baseline),
            "rloo" (unbiased for the one-sample bound, from K samples), "reweighted-wake-sleep" (q follows the
            normalised weights), "gumbel-softmax" and "straight-through" (blends; forward one address at a time in the
            second), "exact" (all N addresses).
        samples: K, addresses a row; leave-one-out baselines need 2. "exact" does not draw and ignores it.
        temperature: of the blends.
        generator: of the draws.

    Raises:
        ValueError: an unknown estimator, too few samples, a temperature that is not positive.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"no estimator is called {estimator!r}; choose one of {', '.join(ESTIMATORS)}")
    least = 2 if estimator in _LEAVE_ONE_OUT else 1
    if samples < least:
        raise ValueError(f"samples={samples}: {estimator} needs {least} or more")
    if temperature <= 0:
        raise ValueError(f"temperature={temperature} blends nothing; give a number above 0")
    if estimator == "exact":
        return EnumeratedRead(log_posterior)
    if estimator in ("gumbel-softmax", "straight-through"):
        weight = _gumbel_softmax(log_posterior, samples, temperature, generator)
        if estimator == "straight-through":
            hard = F.one_hot(weight.argmax(-1), weight.shape[-1]).to(weight.dtype)
            weight = hard + (weight - weight.detach())
        return RelaxedRead(log_posterior, weight)
    index = draw_addresses(log_posterior, samples, generator)
    return SampledRead(log_posterior, index, _OBJECTIVES[estimator])


def draw_addresses(
    log_probability: Float[Tensor, "B N"], samples: int, generator: torch.Generator | None = None
) -> Int[Tensor, "B K"]:
    """K addresses a row, with replacement."""
    return log_probability.detach().exp().multinomial(samples, replacement=True, generator=generator)


def similarity(
    query: Float[Tensor, "B E"], key: Float[Tensor, "*B N E"], kind: str = "memory-normalised"
) -> Float[Tensor, "B N"]:
    """How well every slot's key fits a query; a softmax of it is a distribution over addresses.

    Args:
        query: one a row.
        key: of a bank that all rows share, or of banks of their own.
        kind: "memory-normalised" <k, q> / |k| (the length of q sets the sharpness; section 3.1 of arXiv 1709.07116),
            "inner" <k, q>, or "cosine" <k, q> / (|k| |q|), which needs a scale to become sharp.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in SIMILARITIES:
        raise ValueError(f"no similarity is called {kind!r}; choose one of {', '.join(SIMILARITIES)}")
    if kind != "inner":
        key = key / key.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
    if kind == "cosine":
        query = query / query.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
    return query @ key.T if key.ndim == 2 else (key @ query[..., None]).squeeze(-1)


def address_divergence(log_posterior: Float[Tensor, "B N"], log_prior: Float[Tensor, "*B N"]) -> Float[Tensor, " B"]:
    """KL(q(a | x) || p(a)) in nats, exact. An address that q never proposes adds nothing."""
    probability = log_posterior.exp()
    gap = torch.where(probability > 0, log_posterior - log_prior, torch.zeros_like(log_posterior))
    return (probability * gap).sum(-1)


def vimco(
    log_weight: Float[Tensor, "B K"], log_probability: Float[Tensor, "B K"], baseline: str = "arithmetic"
) -> Bound:
    """The K-sample bound and its gradient (equations 6 and 8 of arXiv 1709.07116).

    Args:
        log_weight: log of p(x, a_k) / q(a_k | x), with its gradient, that through q included.
        log_probability: log q(a_k | x).
        baseline: "arithmetic" leaves the sample out of the average; "geometric" puts the mean of the other logarithms
            in its place (arXiv 1602.06725).
    """
    samples = log_weight.shape[1]
    value = log_weight.logsumexp(1) - math.log(samples)
    with torch.no_grad():
        others = log_weight[:, None].expand(-1, samples, -1)
        if baseline == "arithmetic":
            left_out, count = torch.full_like(log_weight, -math.inf), samples - 1
        else:
            left_out, count = (log_weight.sum(1, keepdim=True) - log_weight) / (samples - 1), samples
        diagonal = torch.eye(samples, dtype=torch.bool, device=log_weight.device)
        others = torch.where(diagonal, left_out[..., None], others)
        signal = value[:, None] - (others.logsumexp(2) - math.log(count))
    return Bound(value.detach(), (signal * log_probability).sum(1) + value)


def leave_one_out(log_weight: Float[Tensor, "B K"], log_probability: Float[Tensor, "B K"]) -> Bound:
    """The one-sample bound from K samples, each with the mean of the others as its baseline."""
    samples, value = log_weight.shape[1], log_weight.mean(1)
    # l_k - mean of the others = (l_k - mean of all) K / (K - 1), and each of the K terms counts 1 / K.
    signal = (log_weight - value[:, None]).detach() / (samples - 1)
    return Bound(value.detach(), (signal * log_probability).sum(1) + value)


def reweighted_wake_sleep(log_weight: Float[Tensor, "B K"], log_probability: Float[Tensor, "B K"]) -> Bound:
    """The K-sample bound; q learns by the wake phase, towards the addresses in proportion to their weights."""
    value = log_weight.logsumexp(1) - math.log(log_weight.shape[1])
    share = log_weight.detach().softmax(1)
    # log_weight contains -log q, which the model's own term must not pull on.
    objective = (share * (log_weight + log_probability + log_probability)).sum(1)
    return Bound(value.detach(), objective)


def _gumbel_softmax(
    log_posterior: Float[Tensor, "B N"], samples: int, temperature: float, generator: torch.Generator | None
) -> Float[Tensor, "B K N"]:
    shape = (log_posterior.shape[0], samples, log_posterior.shape[1])
    noise = torch.empty(shape, device=log_posterior.device, dtype=log_posterior.dtype)
    gumbel = -noise.exponential_(generator=generator).log()
    return ((log_posterior[:, None] + gumbel) / temperature).softmax(-1)


SIMILARITIES = ("memory-normalised", "inner", "cosine")
_OBJECTIVES: dict[str, Callable[..., Bound]] = {
    "vimco": vimco,
    "vimco-geometric": lambda *parts: vimco(*parts, baseline="geometric"),
    "rloo": leave_one_out,
    "reweighted-wake-sleep": reweighted_wake_sleep,
}
_LEAVE_ONE_OUT = ("vimco", "vimco-geometric", "rloo")
ESTIMATORS = (*_OBJECTIVES, "gumbel-softmax", "straight-through", "exact")
"""Names for ``read_bank(estimator=...)``."""
