"""Polynomial memory: the impulse response of a filter that fades as a power of time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import Positive
from ...core.task import Episode, Task


class PolynomialMemory(Task):
    """Answer an impulse at the first unit, and its negative, with (1 + j / 10)^-power after j units.

    As a linear filter is its impulse response, this is the functional of polynomial memory that the authors' code of
    Wang and Li 2023 (StableSSM, arXiv 2311.14495) fits: it fades more slowly than any exponential. One example::

        inputs   1    0     0     0
        targets  1  0.90  0.82  0.75

    ``length`` counts units; a batch has both impulses, in turns, and nothing is drawn. R2 of always saying 0, the mean,
    is 0.

    Args:
        power: the smaller, the slower it fades; 1.1 is the paper's.

    Raises:
        ValueError: a power that is not positive.
    """

    vocabulary, features, target_features, chance = 0, 1, 1, 0.0

    def __init__(self, *, power: Positive = 1.1) -> None:
        self.power = power

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """``batch`` impulses of ``length`` units.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        sign = 1 - 2.0 * (torch.arange(batch, device=generator.device) % 2)
        inputs = torch.zeros(batch, length, 1, device=generator.device)
        inputs[:, 0, 0] = sign
        targets = sign[:, None] * self.response(length).to(sign)
        return Episode(inputs, targets[..., None], torch.ones_like(targets))

    def response(self, units: int) -> Float[Tensor, " units"]:
        """To an impulse, in float64."""
        return (1 + torch.arange(units, dtype=torch.float64) / 10) ** -self.power
