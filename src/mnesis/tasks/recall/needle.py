"""Needles in a haystack: keys and values planted among random tokens, one of which is asked for at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Question, Stream, Task

MODES = ("single", "multi_key", "multi_value")
BLOCK = 65_536
"""Filler of a stream is drawn in pieces of so many units, whatever the chunks are."""


class Needle(Task):
    """A key with its value stands somewhere among random tokens: say the value when the key comes at the end.

    The needles of RULER (Hsieh et al. 2024, arXiv 2404.06654, section 3) and the pass key of Mohtashami and Jaggi 2023
    (arXiv 2305.16300), in tokens for networks that read no English. One example of 12 units with a value of two tokens:
    ``*`` is the key mark, ``:`` the value mark, ``?`` asks, ``;`` ends, ``.`` is what carries no weight::

        inputs   4 1 7 * 3 : 8 2 0 7 5 1 ? 3 : 8 2
        targets  . . . . . . . . . . . . . . 8 2 ;

    "single" plants one needle. "multi_key" plants several of different keys and asks for one of them. "multi_value"
    plants several of one key and asks for all values in the order in which they stood. Every needle stands at a random
    place of the filler; where two fall together, one follows the other.

    Tokens: ``0 .. symbols - 1`` are filler, keys and values alike, then come the key mark, the value mark, the question
    mark and the end. ``length`` counts the units before the question; question and answer follow in an episode, and
    stand apart in a stream (``stream``), which is the same whatever the size of its chunks. A stream's questions ask
    for every needle, or for the one whose depth is given. Chance is that of the whole answer: the end is sure.

    Args:
        mode: "single", "multi_key" or "multi_value".
        symbols: how many different ones.
        needles: how many where there are several, 4 in the paper's.
        key_tokens: of a key; there are ``symbols ** key_tokens`` keys.
        value_tokens: of a value.
        depth: share of the filler that stands before the needle asked for, from 0 to 1; None = anywhere.

    Raises:
        ValueError: an unknown mode, counts that are too small, more needles than keys, or a depth outside 0 to 1 or for
            several needles at once.
    """

    def __init__(
        self,
        mode: str = "single",
        *,
        symbols: Annotated[int, AtLeast(2)] = 64,
        needles: int = 4,
        key_tokens: int = 1,
        value_tokens: int = 1,
        depth: float | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode = {mode!r} is unknown; choose one of {', '.join(MODES)}")
        if mode == "multi_key" and needles > symbols**key_tokens:
            raise ValueError(
                f"{needles} needles need as many different keys, but {symbols} symbols make {symbols**key_tokens} keys "
                f"of {key_tokens} tokens; raise key_tokens"
            )
        if depth is not None and not 0 <= depth <= 1:
            raise ValueError(f"depth = {depth} is a share of the filler; give a number from 0 to 1")
        if depth is not None and mode == "multi_value":
            raise ValueError(f"depth = {depth}: multi_value asks for needles at several places; leave depth None")
        self.mode, self.symbols, self.depth = mode, symbols, depth
        self.needles = 1 if mode == "single" else needles
        self.key_tokens, self.value_tokens = key_tokens, value_tokens
        self.vocabulary = symbols + 4
        self._key, self._value, self._ask, self._end = range(symbols, symbols + 4)
        self._asked = self.needles if mode == "multi_value" else 1
        self.chance = float(symbols) ** -(self._asked * value_tokens)

    @property
    def needle_length(self) -> int:
        """Units of a needle: marks, key and value."""
        return self.key_tokens + self.value_tokens + 2

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units, a question and its answer.

        Raises:
            ValueError: ``batch`` below 1, or too few units for the needles.
        """
        if batch < 1:
            raise ValueError(f"batch = {batch} draws nothing; give 1 row or more")
        needles, place = self._planted(batch, length, generator)
        device = generator.device
        haystack = torch.randint(self.symbols, (batch, length), generator=generator, device=device)
        within = torch.arange(self.needle_length, device=device)
        haystack.scatter_(1, (place[..., None] + within).flatten(1), needles.flatten(1))
        question, answer = self._question(needles)
        tokens = torch.cat([haystack, question, answer], 1)
        weight = torch.zeros(batch, tokens.shape[1] - 1, device=device)
        weight[:, -answer.shape[1] :] = 1
        return Episode(tokens[:, :-1], tokens[:, 1:], weight)

    def stream(self, length: int, seed: int) -> Stream:
        """The needles of a seed in ``length`` units, never held whole.

        Raises:
            ValueError: too few units for the needles.
        """
        generator = torch.Generator().manual_seed(seed)
        needles, place = self._planted(1, length, generator)
        filler_seed = int(torch.randint(2**62, (), generator=generator))
        index, order = (place[0, :, None] + torch.arange(self.needle_length)).flatten().sort()
        planted = needles.flatten()[order]

        def chunks(size: int) -> Iterator[Int[Tensor, " n"]]:
            filler, drawn = torch.Generator().manual_seed(filler_seed), torch.empty(0, dtype=torch.long)
            for start in range(0, length, size):
                pieces = [drawn]
                for _ in range(-(-(size - len(drawn)) // BLOCK)):
                    pieces.append(torch.randint(self.symbols, (BLOCK,), generator=filler))
                drawn = torch.cat(pieces) if len(pieces) > 1 else drawn
                chunk, drawn = drawn[: min(size, length - start)], drawn[size:]
                begin, end = torch.searchsorted(index, torch.tensor([start, start + size])).tolist()
                chunk[index[begin:end] - start] = planted[begin:end]
                yield chunk

        several = self.mode == "multi_key" and self.depth is None
        questions = (self._told(needles[:, n:], place[:, n:], length) for n in range(self.needles if several else 1))
        return Stream(length, chunks, tuple(questions))

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """Values are uniform, and after them the end is sure."""
        return torch.where(episode.targets == self._end, 0.0, -math.log2(self.symbols))

    def items(self, length: int) -> int:
        """Tokens of all answers that may be asked for, ends included, since these are asked for too."""
        return self.needles // self._asked * (self._asked * self.value_tokens + 1)

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From each token of a value to where it is asked for; the end stands behind the last value."""
        inputs, answer = episode.inputs, self._asked * self.value_tokens + 1
        batch, asks = len(inputs), inputs.shape[1] - answer - self.key_tokens - 1
        keys = inputs[:, :asks].eq(self._key).nonzero()[:, 1].view(batch, self.needles)
        index = keys[..., None] + torch.arange(1, self.key_tokens + 1, device=inputs.device)
        same = (
            inputs.gather(1, index.flatten(1)).view(index.shape)
            == inputs[:, None, asks + 1 : asks + 1 + index.shape[2]]
        )
        found = keys[same.all(2)].view(batch, self._asked)
        unit = torch.arange(answer, device=inputs.device)
        which = (unit // self.value_tokens).clamp(max=self._asked - 1)
        stored = found[:, which] + self.key_tokens + 2 + unit - which * self.value_tokens
        distance = torch.zeros_like(inputs)
        distance[:, -answer:] = torch.arange(inputs.shape[1] - answer, inputs.shape[1], device=inputs.device) - stored
        return distance

    def _planted(
        self, batch: int, length: int, generator: torch.Generator
    ) -> tuple[Int[Tensor, "B N W"], Int[Tensor, "B N"]]:
        """Needles, the first of which is asked for, and where they stand; those of one key in their order."""
        count, width, device = self.needles, self.needle_length, generator.device
        filler = length - count * width
        if filler < 0:
            raise ValueError(f"length = {length}: {count} needles of {width} units need {count * width}; give more")
        keys = _different(self.symbols**self.key_tokens, batch, count // self._asked, generator)
        digits = keys[..., None] // self.symbols ** torch.arange(self.key_tokens, device=device) % self.symbols
        needles = torch.full((batch, count, width), self._key, device=device)
        needles[..., 1 : self.key_tokens + 1] = digits
        needles[..., self.key_tokens + 1] = self._value
        values = (batch, count, self.value_tokens)
        needles[..., self.key_tokens + 2 :] = torch.randint(self.symbols, values, generator=generator, device=device)
        # The whole part is how much filler stands before a needle; the rest decides between those that fall together.
        spot = (filler + 1) * torch.rand(batch, count, generator=generator, device=device, dtype=torch.float64)
        if self.depth is not None:
            spot[:, 0] = round(self.depth * filler) + spot[:, 0].frac()
        if self.mode == "multi_value":
            spot = spot.sort(1).values
        return needles, spot.long() + width * spot.argsort(1).argsort(1)

    def _question(self, needles: Int[Tensor, "B N W"]) -> tuple[Int[Tensor, "B P"], Int[Tensor, "B A"]]:
        """What asks for the first needle (for all of them where the key is one), and the answer with its end."""
        question, values = needles[:, 0].split([self.key_tokens + 2, self.value_tokens], 1)
        if self.mode == "multi_value":
            values = needles[..., self.key_tokens + 2 :].flatten(1)
        end = torch.full_like(values[:, :1], self._end)
        return torch.cat([torch.full_like(end, self._ask), question[:, 1:]], 1), torch.cat([values, end], 1)

    def _told(self, needles: Int[Tensor, "1 N W"], place: Int[Tensor, "1 N"], length: int) -> Question:
        (question,), (answer,) = self._question(needles)
        key, values = question[1:-1].tolist(), answer[:-1].tolist()
        return Question(
            prompt=question,
            answer=answer,
            text=f"{' '.join(map(str, key))}?",
            answer_text=" ".join(map(str, values)),
            # All answers of several tokens would be too many to list.
            choices=tuple(map(str, range(self.symbols))) if len(values) == 1 else (),
            depth=int(place[0, self._asked - 1]) / length,
        )


def _different(choices: int, batch: int, count: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
    """Numbers below ``choices``, no two of a row alike."""
    drawn = torch.randint(choices, (batch, count), generator=generator, device=generator.device)
    while True:
        grouped, place = drawn.sort(dim=1, stable=True)
        again = torch.zeros_like(drawn, dtype=torch.bool).scatter(1, place[:, 1:], grouped[:, 1:] == grouped[:, :-1])
        if not (missing := int(again.sum())):
            return drawn
        drawn[again] = torch.randint(choices, (missing,), generator=generator, device=generator.device)
