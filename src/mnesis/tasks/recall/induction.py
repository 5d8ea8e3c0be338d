"""Induction: what followed a mark the first time, to be said when it comes again."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task


class Induction(Task):
    """Among random symbols a mark comes once; at the end it comes again: say what followed it.

    Induction heads (Olsson et al. 2022, arXiv 2209.11895) as Gu and Dao 2023 (Mamba, arXiv 2312.00752, section 4.1.2)
    test them at lengths far beyond the trained one. One example, ``*`` the mark::

        inputs   3 7 * 5 1 3 5 2 *
        targets  . . . . . . . . 5

    Tokens: ``0 .. symbols - 1`` and the mark, ``symbols``. ``length`` counts units, both marks included. Chance is
    ``1 / symbols``.

    Args:
        symbols: how many different ones.

    Raises:
        ValueError: fewer than two symbols.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16) -> None:
        self.symbols, self.vocabulary, self.chance = symbols, symbols + 1, 1 / symbols

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units.

        Raises:
            ValueError: ``batch`` below 1, or too few units for two marks and what follows the first.
        """
        if batch < 1 or length < 3:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 3 units or more")
        device = generator.device
        inputs = torch.randint(self.symbols, (batch, length), generator=generator, device=device)
        place = torch.randint(length - 2, (batch, 1), generator=generator, device=device)
        inputs.scatter_(1, place, self.symbols)
        inputs[:, -1] = self.symbols
        targets, weight = torch.zeros_like(inputs), torch.zeros(batch, length, device=device)
        targets[:, -1:], weight[:, -1] = inputs.gather(1, place + 1), 1
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return 1

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From what followed the first mark."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return time - (episode.inputs == self.symbols).int().argmax(1, keepdim=True) - 1
