"""Selective copying: symbols scattered among blanks, to be said in their order at the end."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task

BLANK = 0


class SelectiveCopy(Task):
    """Say the symbols that stood among blanks, one at each question mark.

    The task of Gu and Dao 2023 (Mamba, arXiv 2312.00752, section 4.1.1): unlike in plain copying the gaps differ, so
    that a filter which is the same at every unit cannot do it. One example of three symbols in six units::

        inputs   . 4 . . 1 4 ? ? ?
        targets  . . . . . . 4 1 4

    Tokens: 0 is blank, ``1 .. symbols`` the symbols, ``symbols + 1`` asks. ``length`` counts symbols. Chance is
    ``1 / symbols``.

    Args:
        symbols: how many different ones.
        units: in which they are scattered, 4,096 in the paper; None = four times as many as there are symbols.

    Raises:
        ValueError: fewer than two symbols.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16, units: int | None = None) -> None:
        self.symbols, self.units, self.vocabulary, self.chance = symbols, units, symbols + 2, 1 / symbols

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences with ``length`` symbols.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more symbols than units.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device, units = generator.device, 4 * length if self.units is None else self.units
        if length > units:
            raise ValueError(f"{length} symbols do not fit into {units} units; raise units")
        places = torch.rand(batch, units, generator=generator, device=device).topk(length, 1).indices.sort(1).values
        symbols = torch.randint(1, self.symbols + 1, (batch, length), generator=generator, device=device)
        inputs = torch.full((batch, units + length), BLANK, device=device).scatter_(1, places, symbols)
        inputs[:, units:] = self.symbols + 1
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, units:], weight[:, units:] = symbols, 1
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From where each symbol stood to where it is asked for."""
        inputs, asked = episode.inputs, int(episode.weight[0].sum())
        held = (inputs > BLANK) & (inputs <= self.symbols)
        distance = torch.zeros_like(inputs)
        distance[:, -asked:] = torch.arange(inputs.shape[1] - asked, inputs.shape[1], device=inputs.device)
        distance[:, -asked:] -= held.nonzero()[:, 1].view(len(inputs), asked)
        return distance
