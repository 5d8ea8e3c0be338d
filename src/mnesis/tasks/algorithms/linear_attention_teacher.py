"""Linear attention as a teacher: what fixed random queries, keys and values make of normal vectors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import Size
from ...core.task import Episode, Task


class LinearAttentionTeacher(Task):
    """Say what linear attention with fixed random weights makes of a sequence of normal vectors, at every unit.

    Targets are sum over s <= t of (V x_s) (K x_s . Q x_t), divided by what makes their variance one on average over a
    sequence (Zucchet et al. 2023, arXiv 2309.01775). One example of one feature, before the division, with
    Q = K = V = 1::

        inputs    1   2   0   1
        targets   1  10   0   6

    The weights are the same for every seed. ``length`` counts units. R2 of always saying 0, the mean, is 0.

    Args:
        dim: width of inputs and targets.
        units: of the sequences over which targets have variance one.

    Raises:
        ValueError: a number below 1.
    """

    vocabulary, chance = 0, 0.0

    def __init__(self, *, dim: Size = 3, units: Size = 32) -> None:
        self.features = self.target_features = dim
        self.units = units
        generator = torch.Generator().manual_seed(0)
        query, key, value = torch.randn(3, dim, dim, generator=generator, dtype=torch.float64) / dim**0.5
        x = torch.randn(2000, units, dim, generator=generator, dtype=torch.float64)
        scale = linear_attention(x, query, key, value).square().mean().sqrt()
        self.query, self.key, self.value = query, key, value / scale

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        x = torch.randn(batch, length, self.features, generator=generator, device=generator.device)
        weights = (part.to(x) for part in (self.query, self.key, self.value))
        return Episode(x, linear_attention(x, *weights), torch.ones(x.shape[:2], device=x.device))


def linear_attention(
    x: Float[Tensor, "B T D"], query: Float[Tensor, "D D"], key: Float[Tensor, "D D"], value: Float[Tensor, "D D"]
) -> Float[Tensor, "B T D"]:
    """sum over s <= t of (V x_s) (K x_s . Q x_t)."""
    return (x @ query.mT @ (x @ key.mT).mT).tril() @ (x @ value.mT)
