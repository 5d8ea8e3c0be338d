"""Memory capacity: how much of past inputs can be read from a state by least squares."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import Positive
from ...core.task import Episode, Task


class MemoryCapacity(Task):
    """Say the inputs of now and of the last units again, all at every unit.

    The inputs are independent, as in the measure of Jaeger 2001 that Ballarin et al. 2025 (arXiv 2502.04832) examine:
    what a network says right of them, summed over lags, is at most the numbers in its state if it is linear in the
    inputs. One example with three lags, ``.`` what is before the start::

        inputs   0.3 -0.1 0.8
        targets  0.3 -0.1 0.8
                  .   0.3 -0.1
                  .    .   0.3

    ``length`` counts units; the first ``lags - 1`` are not asked about. Beside training on it, :func:`capacity` reads
    the measure from states that nothing was trained for.

    Args:
        lags: how many, the present input included.
        scale: inputs are uniform between -scale and scale.

    Raises:
        ValueError: no lag, or a scale that is not positive.
    """

    vocabulary, features, chance = 0, 1, 0.0

    def __init__(self, *, lags: int = 16, scale: Positive = 1.0) -> None:
        self.lags, self.scale, self.target_features = lags, scale, lags

    def span(self, length: int) -> int:
        return self.lags

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units.

        Raises:
            ValueError: ``batch`` below 1, or no more units than are left out at the start.
        """
        if batch < 1 or length < self.lags:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 row or more, and {self.lags} units or more for "
                f"{self.lags} lags"
            )
        device = generator.device
        x = self.scale * (2 * torch.rand(batch, length, generator=generator, device=device) - 1)
        before = torch.cat([x.new_zeros(batch, self.lags - 1), x], 1)
        targets = before.unfold(1, self.lags, 1).flip(2).contiguous()
        weight = torch.ones_like(x)
        weight[:, : self.lags - 1] = 0
        return Episode(x[..., None], targets, weight)


def capacity(
    states: Float[Tensor, "T N"], inputs: Float[Tensor, " T"], lags: int, *, washout: int = 0
) -> Float[np.ndarray, " lags"]:
    """How much of each past input least squares reads from states: adjusted R2 by lag; the sum is the capacity.

    In float64 by singular values, without a ridge, which would change it. R2 is adjusted for the numbers in a state:
    noise would be credited with N / T at every lag otherwise. Single values may lie below 0 so; their mean does not.

    Args:
        states: one a unit, after reading it.
        inputs: what was read.
        lags: how many; the present input is the first.
        washout: units left out at the start.

    Raises:
        ValueError: no lag, or no more units than numbers in a state.
    """
    begin = max(washout, lags - 1)
    count, numbers = len(states) - begin, states.shape[1]
    if lags < 1 or count <= numbers + 1:
        raise ValueError(
            f"lags = {lags}, {len(states)} units with {begin} left out: give 1 lag or more, and more units than the "
            f"{numbers} numbers of a state"
        )
    x, z = states[begin:].double().numpy(), inputs.double().numpy()
    x = x - x.mean(0)
    past = np.stack([z[begin - lag : len(z) - lag] for lag in range(lags)], 1)
    past = past - past.mean(0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    left = left[:, values > values.max() * max(x.shape) * np.finfo(float).eps]
    r2 = np.square(left.T @ past).sum(0) / np.square(past).sum(0)
    return 1 - (1 - r2) * (count - 1) / (count - left.shape[1] - 1)
