"""Questions about the last N bits of a sequence: their parity, and whether the first equals the last."""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.task import Episode, Task


class _BitWindow(Task):
    """Bits, then a question about the last N of them; all N up to ``length`` where ``every`` is set.

    The paper has a head of two classes for each N; here a token asks for N, which is the same with one network. Where
    all N are asked, the questions come in random order, and none is a bit: the window they ask about stays.
    """

    def __init__(self, most: int, every: bool, balanced: bool) -> None:
        if most < 2:
            raise ValueError(f"most = {most}: the shortest window has 2 bits; give 2 or more")
        self.most, self.every, self.balanced = most, every, balanced
        self.vocabulary, self.chance = most + 1, 0.5

    def span(self, length: int) -> int:
        """The bits that are asked about, and all questions about them."""
        return length + (length - 1 if self.every else 1)

    @abstractmethod
    def label(self, bits: Int[Tensor, "B M"]) -> Int[Tensor, "B M"]:
        """Column n - 1: the label of the last n bits."""

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences with windows of up to ``length`` bits.

        Raises:
            ValueError: ``batch`` below 1, or a window of fewer than 2 bits or of more than ``most``.
        """
        if batch < 1 or not 2 <= length <= self.most:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 row or more, and a window of 2 to most = {self.most} bits"
            )
        device = generator.device
        units = int(torch.randint(length + 2, 4 * length + 2, (), generator=generator, device=device))
        likely = torch.rand(batch, 1, generator=generator, device=device)
        share = torch.full_like(likely, 0.5) if self.balanced else likely
        bits = (torch.rand(batch, units, generator=generator, device=device) < share).long()
        asked = torch.full((batch, 1), length, device=device)
        if self.every:
            asked = 2 + torch.rand(batch, length - 1, generator=generator, device=device).argsort(1)
        inputs = torch.cat([bits, asked], 1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, units:] = self.label(bits).gather(1, asked - 1)
        weight[:, units:] = 1
        return Episode(inputs, targets, weight)


class Parity(_BitWindow):
    """N-parity: whether the last N bits hold an odd number of ones.

    The task of Khajehabdollahi et al. 2024 (arXiv 2309.12927). One example with N = 3 in five bits::

        inputs   1 0 1 1 0 [3]
        targets  . . . . .  0

    Sequences have N + 2 to 4 N + 1 bits, as many in all rows of a call. Tokens: the bits, and N itself as the question
    about N of them. ``length`` counts N. With bits of one share for each sequence, as the paper draws them, an even N
    has more even windows: the best constant answer is right in 1/2 + 1 / (2 N + 2).

    Args:
        most: largest N that can be asked.
        every: ask for all N from 2 to ``length``, the paper's curriculum of many heads; False = ``length`` alone.
        balanced: ones with probability 1/2; False = with one drawn from [0, 1) for each sequence.

    Raises:
        ValueError: ``most`` below 2.
    """

    def __init__(self, *, most: int = 128, every: bool = False, balanced: bool = True) -> None:
        super().__init__(most, every, balanced)

    def label(self, bits: Int[Tensor, "B M"]) -> Int[Tensor, "B M"]:
        return bits.flip(1).cumsum(1) % 2

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """1/2 for balanced bits; else an even N is even with probability 1/2 + 1 / (2 N + 2)."""
        asked = episode.inputs
        more = 0.5 / (asked + 1) * (asked % 2 == 0) * (not self.balanced)
        return torch.log2(torch.where(episode.targets == 0, 0.5 + more, 0.5 - more))


class DelayedMatch(_BitWindow):
    """N-delayed match to sample: whether the first of the last N bits equals the last.

    The task of Khajehabdollahi et al. 2024 (arXiv 2309.12927). One example with N = 3 in five bits::

        inputs   1 0 1 1 0 [3]
        targets  . . . . .  0

    Sequences, tokens and ``length`` are those of `Parity`; bits are balanced.

    Args:
        most: largest N that can be asked.
        every: ask for all N from 2 to ``length``; False = ``length`` alone.

    Raises:
        ValueError: ``most`` below 2.
    """

    def __init__(self, *, most: int = 128, every: bool = False) -> None:
        super().__init__(most, every, balanced=True)

    def label(self, bits: Int[Tensor, "B M"]) -> Int[Tensor, "B M"]:
        return (bits.flip(1) == bits[:, -1:]).long()
