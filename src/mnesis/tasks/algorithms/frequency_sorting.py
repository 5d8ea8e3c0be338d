"""Frequency sorting: a long sequence of symbols, then the symbols in the order of how often they came."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task

HEAVIEST = 9
"""Weights of symbols are whole numbers from 1 to this."""


class FrequencySorting(Task):
    """Say all symbols, the most frequent first, once the whole sequence has been read.

    The sorting task of Martins et al. 2022 (infinity-former, arXiv 2109.00301), drawn as its code draws it; Park and
    Bak 2024 (Memoria, arXiv 2310.03052) draw it with the same code. One example of four symbols in seven units, ``=``
    the mark, ``.`` what carries no weight::

        inputs   1 0 2 1 1 0 2 = 1 0 2
        targets  . . . . . . . 1 0 2 3

    Each sequence has two distributions over the symbols, whose weights are whole numbers from 1 to 9. Unit t of n is
    drawn from (1 - t/n) times the first plus t/n times the second: who has forgotten the start orders the symbols as
    they came at the end. Of symbols that came equally often, the one that came first stands first; those that never
    came stand last, by their number.

    Answers are read as inputs after they were asked for. Tokens: ``0 .. symbols - 1``, then the mark. ``length`` counts
    the units before the mark. Chance is that of always saying one symbol, 1 / symbols; guessing among those not yet
    said, which needs no memory of the sequence, scores (1 + 1/2 + ... + 1 / symbols) / symbols, 0.18 with 20.

    Args:
        symbols: how many different ones, 20 in the papers.

    Raises:
        ValueError: fewer than two symbols.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 20) -> None:
        self.symbols, self.vocabulary, self.chance = symbols, symbols + 1, 1 / symbols

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units, the mark, and the answers but the last.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device, symbols = generator.device, self.symbols
        weights = torch.randint(1, HEAVIEST + 1, (2 * batch, symbols), generator=generator, device=device).float()
        early, late = weights.multinomial(length, replacement=True, generator=generator).unflatten(0, (2, batch))
        time = torch.arange(length, device=device)
        turned = torch.rand(batch, length, generator=generator, device=device) < (time + 1) / length
        sequence = torch.where(turned, late, early)
        count = torch.zeros(batch, symbols, dtype=torch.long, device=device)
        count.scatter_add_(1, sequence, torch.ones_like(sequence))
        first = torch.arange(length, length + symbols, device=device).repeat(batch, 1)  # of those that never come
        first.scatter_reduce_(1, sequence, time.expand(batch, -1), "amin")
        order = (first - count * (length + symbols)).argsort(1)
        mark = torch.full((batch, 1), symbols, device=device)
        inputs = torch.cat([sequence, mark, order[:, :-1]], 1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, length:], weight[:, length:] = order, 1
        return Episode(inputs, targets, weight)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """Symbols that were not said yet are equally likely."""
        log2 = torch.zeros_like(episode.weight)
        log2[:, -self.symbols :] = torch.tensor([-math.log2(left) for left in range(self.symbols, 0, -1)])
        return log2

    def items(self, length: int) -> int:
        """Places of the order, all of which are asked for."""
        return self.symbols
