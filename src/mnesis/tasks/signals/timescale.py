"""Curves of a fixed duration to be told apart, however often they were sampled."""

from __future__ import annotations

import math
from typing import Annotated

import torch

from ...core.domain import AtLeast
from ...core.task import Episode, Task

SLOW, FAST = (2, 3, 4, 5, 6), (9, 12)
"""Cycles in the whole curve, of the two waves of a class."""


class TimescaleShift(Task):
    """Tell which two waves a noisy curve is made of; a test may sample the same curves faster or slower.

    The shift of sampling rates that Gu et al. 2020 (HiPPO, arXiv 2008.07669, section 4.3) test on pen trajectories,
    with curves made on the spot: class (i, j) is a slow wave of 2 to 6 cycles and a fast one of 9 or 12, with random
    phases and amplitudes from 0.5 to 1.5, and normal noise. ``length`` counts samples of the whole curve, which always
    lasts as long: twice the length is twice the rate. The class is asked for at the last unit. One example::

        inputs   0.8 1.3 0.9 ... -0.2 0.1
        targets  .   .   .   ... .    7

    Args:
        noise: deviation of the noise.

    Raises:
        ValueError: a noise below 0.
    """

    def __init__(self, *, noise: Annotated[float, AtLeast(0)] = 0.1) -> None:
        self.noise, self.features, self.vocabulary = noise, 1, len(SLOW) * len(FAST)
        self.chance = 1 / self.vocabulary

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` curves of ``length`` samples.

        Raises:
            ValueError: ``batch`` below 1, or too few samples to see the fast wave.
        """
        least = 2 * max(FAST) + 1
        if batch < 1 or length < least:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 curve or more, and {least} samples or more, which "
                f"{max(FAST)} cycles need"
            )
        device = generator.device
        label = torch.randint(self.vocabulary, (batch,), generator=generator, device=device)
        cycles = torch.tensor([(slow, fast) for slow in SLOW for fast in FAST], device=device)[label]
        phase, amplitude = torch.rand(2, batch, 2, generator=generator, device=device)
        time = torch.arange(length, device=device) / length
        waves = (2 * math.pi * (cycles[:, None] * time[:, None] + phase[:, None])).sin()
        x = (waves * (0.5 + amplitude[:, None])).sum(2)
        x = x + self.noise * torch.randn(batch, length, generator=generator, device=device)
        targets, weight = torch.zeros(batch, length, dtype=torch.long, device=device), torch.zeros_like(x)
        targets[:, -1], weight[:, -1] = label, 1
        return Episode(x[..., None], targets, weight)
