"""Coins that change: bits from a source whose bias jumps at unknown times, and the best that anybody can predict."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.task import Episode, Task

START = 2
"""The token that stands before the first bit."""


class PiecewiseStationary(Task):
    """Say the next bit of a piecewise-stationary source, at every unit.

    The source is the prior of Partition Tree Weighting (Veness et al. 2013, arXiv 1211.0587) over segments, and in each
    of them a coin whose bias is drawn from Beta(1/2, 1/2), the prior of the KT estimator: with probability 1/2 the
    whole sequence is one segment, else each half is again such a source, down to single bits. No predictor has a lower
    mean loss than PTW over KT estimators, which :func:`ptw_log_loss` gives: networks are measured against it as
    Genewein et al. 2023 (arXiv 2302.03067) do. One example, ``>`` the start::

        inputs   > 1 1 0 1 0 0 0
        targets  1 1 0 1 0 0 0 1

    Tokens: the bits, and 2 for the start. ``length`` counts bits; segments are those of the next power of two. Chance
    is 1/2.
    """

    vocabulary, chance = 3, 0.5

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` bits.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device, depth = generator.device, _depth(length)
        biases = torch.zeros(batch, 1 << depth, device=device)
        alive = torch.ones(batch, 1, dtype=torch.bool, device=device)  # segments that a level is asked about
        for level in range(depth, -1, -1):
            blocks = 1 << (depth - level)
            ends = alive & (torch.rand(batch, blocks, generator=generator, device=device) < 0.5) if level else alive
            # Beta(1/2, 1/2) is the arcsine distribution.
            bias = (math.pi / 2 * torch.rand(batch, blocks, generator=generator, device=device)).sin().square()
            biases += (ends * bias).repeat_interleave(1 << level, 1)
            alive = (alive & ~ends).repeat_interleave(2, 1)
        bits = (torch.rand(batch, length, generator=generator, device=device) < biases[:, :length]).long()
        inputs = torch.cat([torch.full_like(bits[:, :1], START), bits[:, :-1]], 1)
        return Episode(inputs, bits, torch.ones(batch, length, device=device))


def ptw_log_loss(bits: Int[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """-log2 of the probability that PTW over KT estimators gives a sequence, for each of its bits, in float64.

    PTW_0 = KT, and PTW_d(x) = KT(x) / 2 + PTW_{d-1}(left half) PTW_{d-1}(right half) / 2.
    """
    length, depth = bits.shape[1], _depth(bits.shape[1])
    known = torch.zeros(len(bits), 2, 1 << depth, dtype=torch.float64, device=bits.device)
    known[:, 0, :length], known[:, 1, :length] = 1 - bits.double(), bits.double()  # nothing beyond the end
    log = _log_kt(known)
    for _ in range(depth):
        known = known.unflatten(2, (-1, 2)).sum(3)
        log = torch.logaddexp(_log_kt(known), log.unflatten(1, (-1, 2)).sum(2)) - math.log(2)
    return -log[:, 0] / (length * math.log(2))


def _log_kt(counts: Float[Tensor, "B 2 n"]) -> Float[Tensor, "B n"]:
    """Of a block with so many zeros and ones: Gamma(a + 1/2) Gamma(b + 1/2) / (pi (a + b)!)."""
    return torch.lgamma(counts + 0.5).sum(1) - math.log(math.pi) - torch.lgamma(counts.sum(1) + 1)


def _depth(length: int) -> int:
    return (length - 1).bit_length()
