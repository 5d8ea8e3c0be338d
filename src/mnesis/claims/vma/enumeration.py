"""A model so small that all draws of its addresses can be enumerated: exact gradients, and those of single draws."""

from __future__ import annotations

import math
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from ...ops.addressing import Bound, SampledRead, draw_addresses, read_bank, vimco

SLOTS = 5
NONE = "no baseline"

Parts = tuple[Float[Tensor, " N"], Float[Tensor, " N"], Float[Tensor, " N"]]
"""Logits of q(a | x), logits of p(a), and log p(x | a)."""


def small_model() -> Parts:
    """Logits of q, of p(a), and log p(x | a), far from each other."""
    generator = torch.Generator().manual_seed(3)
    first, second, third = (torch.randn(SLOTS, generator=generator, dtype=torch.float64) for _ in range(3))
    return first, second, 2 * third


def expected_bound(parts: Parts, samples: int) -> Float[Tensor, ""]:
    """E log (1/K sum_k w_k) over all N^K draws."""
    posterior, log_weight = _weights(parts)
    tuples = _tuples(samples)
    bound = log_weight[tuples].logsumexp(1) - math.log(samples)
    return (posterior[tuples].sum(1).exp() * bound).sum()


def gradients(value: Float[Tensor, ""], parts: tuple[Tensor, ...]) -> Float[Tensor, " G"]:
    """By all three parts, end to end."""
    return torch.cat(torch.autograd.grad(value, parts))


def expected_gradient(parts: Parts, samples: int, baseline: str) -> Float[Tensor, " G"]:
    """The mean of VIMCO's gradient over all N^K draws."""
    posterior, log_weight = _weights(parts)
    tuples = _tuples(samples)
    chance = posterior.detach()[tuples].sum(1).exp()
    bound = vimco(log_weight[tuples], posterior[tuples], baseline)
    return gradients((chance * bound.objective).sum(), parts)


def drawn_gradients(
    estimator: str, parts: Parts, rows: int, samples: int, seed: int = 0
) -> tuple[Float[Tensor, " R"], Float[Tensor, "R G"]]:
    """Bounds and gradients of many single draws: every row has logits, and so a gradient, of its own."""
    own = [part.detach()[None].repeat(rows, 1).requires_grad_() for part in parts]
    posterior, prior, likelihood = own[0].log_softmax(1), own[1].log_softmax(1), own[2]
    generator = torch.Generator().manual_seed(seed)
    if estimator == NONE:
        read = SampledRead(posterior, draw_addresses(posterior, samples, generator), _plain)
    else:
        read = read_bank(posterior, estimator=estimator, samples=samples, generator=generator)
    bound = read.bound(read.log_ratio(prior) + read.take(likelihood, own=True))
    return bound.value.detach(), torch.cat(torch.autograd.grad(bound.objective.sum(), own), 1)


def _plain(log_weight: Float[Tensor, "B K"], log_probability: Float[Tensor, "B K"]) -> Bound:
    """The K-sample bound, its value the signal of every address."""
    value = log_weight.logsumexp(1) - math.log(log_weight.shape[1])
    return Bound(value.detach(), (value.detach()[:, None] * log_probability).sum(1) + value)


def _weights(parts: Parts) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """log q(a | x), and the logarithm of p(a) p(x | a) / q(a | x)."""
    posterior = parts[0].log_softmax(0)
    return posterior, parts[1].log_softmax(0) + parts[2] - posterior


def _tuples(samples: int) -> Tensor:
    return torch.tensor(list(product(range(SLOTS), repeat=samples)))
