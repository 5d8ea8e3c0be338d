"""Copy and Reverse: repeat a random sequence after a signal, forwards several times or backwards once.

The algorithmic tasks of the Recurrent Memory Transformer (Bulatov et al. 2022, arXiv 2207.06881; its code is in
github.com/booydar/LM-RMT: generation/algorithmic.ipynb, pytorch/run_copy.sh). There 24 source symbols make 72 tokens of
Copy or 48 of Reverse, cut into 1 to 9 segments; the released runs have 10 different symbols at 24 source symbols and 8
at 120 to 360. Loss and accuracy look at what follows the start token only.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task


class _Transcription(Task):
    """Source, start token, and what is made of the source."""

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16):
        self.symbols = symbols
        self.start = symbols
        """The token after which the source is asked for."""
        self.vocabulary = symbols + 1
        self.chance = 1 / symbols

    @abstractmethod
    def answer(self, source: Int[Tensor, "B L"]) -> Int[Tensor, "B A"]:
        """What is expected after the start token."""

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` source symbols.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device = generator.device
        source = torch.randint(self.symbols, (batch, length), generator=generator, device=device)
        start = torch.full((batch, 1), self.start, device=device)
        tokens = torch.cat([source, start, self.answer(source)], dim=1)
        weight = torch.zeros(batch, tokens.shape[1] - 1, device=device)
        weight[:, length:] = 1
        return Episode(inputs=tokens[:, :-1], targets=tokens[:, 1:], weight=weight)

    def items(self, length: int) -> int:
        return length


class Copy(_Transcription):
    """Say the source again, ``repeats`` times; every symbol after the start token is asked for.

    One example with 4 source symbols, ``>`` the start token, ``.`` what carries no weight::

        inputs   7 0 3 9 > 7 0 3 9 7 0 3
        targets  . . . . 7 0 3 9 7 0 3 9

    Tokens: ``0 .. symbols - 1`` the symbols, ``symbols`` the start token. ``length`` counts source symbols; an episode
    has ``(1 + repeats) * length`` tokens. Chance is ``1 / symbols`` for each symbol asked.

    Args:
        symbols: How many different symbols there are.
        repeats: How often the source is asked for.

    Raises:
        ValueError: ``symbols`` below 2 or ``repeats`` below 1.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16, repeats: int = 2):
        super().__init__(symbols=symbols)
        self.repeats = repeats

    def answer(self, source: Int[Tensor, "B L"]) -> Int[Tensor, "B A"]:
        return source.repeat(1, self.repeats)


class Reverse(_Transcription):
    """Say the source backwards; every symbol after the start token is asked for.

    One example with 4 source symbols, ``>`` the start token, ``.`` what carries no weight::

        inputs   7 0 3 9 > 9 3 0
        targets  . . . . 9 3 0 7

    Tokens, ``length`` and chance are those of `Copy`; an episode has ``2 * length`` tokens.

    Args:
        symbols: How many different symbols there are.

    Raises:
        ValueError: ``symbols`` below 2.
    """

    def answer(self, source: Int[Tensor, "B L"]) -> Int[Tensor, "B A"]:
        return source.flip(1)

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """The last symbol is asked for a unit after it was read, the first after all of both."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return (2 * (time - episode.inputs.shape[1] // 2) + 1).expand_as(episode.inputs)
