"""The running maximum of smooth curves: the largest value so far, at every unit."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import Size
from ...core.task import Episode, Task

UNITS = 64
"""Of the curves over which targets have variance one."""


class RunningMaximum(Task):
    """Say at every unit the largest value so far of a smooth curve.

    A nonlinear function of the whole past, for what Orvieto et al. 2023 (arXiv 2307.11888) show of linear recurrences.
    Curves are sums of cosines with normal weights that fall as 1/n. One example::

        inputs    0.2  0.9  0.4  1.1  0.3
        maximum   0.2  0.9  0.9  1.1  1.1

    Targets are the maximum less its mean, divided by its deviation over curves of 64 units. ``length`` counts units,
    over which all curves last: twice the length is twice the rate. R2 of always saying the mean is 0.

    Args:
        waves: cosines of a curve, its degrees of freedom.

    Raises:
        ValueError: fewer than one wave.
    """

    vocabulary, features, target_features, chance = 0, 1, 1, 0.0

    def __init__(self, *, waves: Size = 16) -> None:
        self.waves = waves
        largest = smooth(torch.Generator().manual_seed(0), 5000, UNITS, waves).cummax(1).values
        self.mean, self.deviation = float(largest.mean()), float(largest.std())

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` curves of ``length`` units.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        x = smooth(generator, batch, length, self.waves)
        targets = (x.cummax(1).values - self.mean) / self.deviation
        return Episode(x[..., None], targets[..., None], torch.ones_like(x))


def smooth(
    generator: torch.Generator, rows: int, units: int, waves: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "rows units"]:
    """Curves of cosines with normal weights."""
    weight = torch.randn(rows, waves, generator=generator, device=generator.device, dtype=dtype)
    return weight @ cosines(units, waves).to(weight)


def cosines(units: int, waves: int) -> Float[Tensor, "waves units"]:
    """The waves, divided by their number, in float64."""
    order, time = torch.arange(waves, dtype=torch.float64), (torch.arange(units, dtype=torch.float64) + 0.5) / units
    return (math.pi * order[:, None] * time).cos() / (1 + order[:, None])
