"""Late meaning: symbols that stand somewhere first, and are explained afterwards."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast, Count, Size
from ...core.task import Episode, Task


class LateMeaning(Task):
    """Named places hold symbols; later a key says what each symbol means; then say what stood at every place.

    For memories that work over again what they hold when more is known, such as the look-ahead memory of Ji et al. 2022
    (LaMemo, arXiv 2204.07341), beside those that freeze it, such as Transformer-XL's. One example of three places and
    two symbols in segments of eight units; letters are names, ``#`` and ``%`` symbols, numbers meanings, ``.`` filler
    or what carries no weight; the bars (no tokens) are the borders of segments::

        inputs   g # b % m # . . | % 7 # 3 . . . . | b m g
        targets  . . . . . . . . | . . . . . . . . | 7 3 3

    Every place and the whole key must be remembered, and neither tells anything alone: symbols at places are uniform,
    and the key is a permutation, new in every sequence, so that any answer is as likely as the others as long as one of
    the two is missing. When the key is read, a memory can put the meaning in the place of each symbol that it holds;
    without that, every question takes two steps, from the name to the symbol and on to its meaning.

    The places are told from the first unit on. The key begins with the ``late``-th segment after the one in which they
    end, the questions with the ``behind``-th after the one in which it ends; 0 = at once, in the same segment if there
    is room. Every place is asked for once, in random order. With ``early`` the key is told first and the places
    ``late`` segments after it: the control, in which a symbol can be understood when it is read. The same seed draws
    the same places, key and questions either way.

    With ``joined`` a place or a line of the key is one token, not two side by side. Then nothing has to be bound to its
    neighbour, which a memory whose gradients end at its segments is never taught where the questions are elsewhere.

    Tokens: ``0 .. fillers - 1`` are filler, then come names, meanings, and symbols; in place of these, where joined,
    ``name * symbols + symbol`` for places and then ``symbol * symbols + meaning`` for lines of the key.
    ``length`` counts places. Chance is ``1 / symbols``.

    Args:
        symbols: how many there are, all in the key, and as many meanings.
        names: how many there are for places, none of which comes twice.
        segment: units of a segment.
        late: segments from the symbols to the key.
        behind: segments from the key to the questions.
        early: the key first.
        joined: what belongs together is one token.
        fillers: how many different filler tokens there are.

    Raises:
        ValueError: fewer than two symbols.
    """

    def __init__(
        self,
        *,
        symbols: Annotated[int, AtLeast(2)] = 8,
        names: Size = 64,
        segment: Size = 32,
        late: Count = 1,
        behind: Count = 1,
        early: bool = False,
        joined: bool = False,
        fillers: Size = 1,
    ) -> None:
        self.symbols, self.names, self.segment, self.fillers = symbols, names, segment, fillers
        self.late, self.behind, self.early, self.joined = late, behind, early, joined
        self._meaning = fillers + names
        self._symbol = self._meaning + symbols
        self.vocabulary = self._symbol + (symbols * (names + symbols) if joined else symbols)
        self.chance = 1 / symbols

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` places.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more places than names.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        if length > self.names:
            raise ValueError(f"{length} places need as many different names, but there are {self.names}; raise names")
        device = generator.device

        def order(count: int) -> Int[Tensor, "B n"]:
            return torch.rand(batch, count, generator=generator, device=device).argsort(1)

        name, listed, meaning = order(self.names)[:, :length], order(self.symbols), order(self.symbols)
        symbol = torch.randint(self.symbols, (batch, length), generator=generator, device=device)
        asked, explained = order(length), meaning.gather(1, listed)
        if self.joined:
            places = self._symbol + name * self.symbols + symbol
            key = self._symbol + (self.names + listed) * self.symbols + explained
        else:
            places = torch.stack([self.fillers + name, self._symbol + symbol], 2).flatten(1)
            key = torch.stack([self._symbol + listed, self._meaning + explained], 2).flatten(1)
        first, second = (key, places) if self.early else (places, key)
        told, asks = self._begins(length)
        inputs = torch.randint(self.fillers, (batch, asks + length), generator=generator, device=device)
        inputs[:, : first.shape[1]] = first
        inputs[:, told : told + second.shape[1]] = second
        inputs[:, asks:] = self.fillers + name.gather(1, asked)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, asks:] = self._meaning + meaning.gather(1, symbol.gather(1, asked))
        weight[:, asks:] = 1
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the symbol at a place to its question; what it means is told between the two, or before if early."""
        inputs, length = episode.inputs, int(episode.weight[0].sum())
        (told, asks), width = self._begins(length), self._width
        start = told if self.early else 0
        place = inputs[:, start : start + width * length : width]
        name = (place - self._symbol) // self.symbols if self.joined else place - self.fillers
        at = torch.arange(start + width - 1, start + width * length, width, device=inputs.device)
        stored = inputs.new_zeros(len(inputs), self.names).scatter_(1, name, at.expand_as(name))
        distance = torch.zeros_like(inputs)
        distance[:, asks:] = torch.arange(asks, asks + length, device=inputs.device)
        distance[:, asks:] -= stored.gather(1, inputs[:, asks:] - self.fillers)
        return distance

    @property
    def _width(self) -> int:
        """Tokens of a place, and of a line of the key."""
        return 1 if self.joined else 2

    def _begins(self, length: int) -> tuple[int, int]:
        """Where what is told second begins, and where the questions do."""
        first, second = (self.symbols, length) if self.early else (length, self.symbols)
        told = self._later(first * self._width, self.late)
        return told, self._later(told + second * self._width, self.behind)

    def _later(self, end: int, segments: int) -> int:
        """Where the next segment after ``end`` begins, or one so many further on; ``end`` itself for 0."""
        return (-(-end // self.segment) + segments - 1) * self.segment if segments else end
