"""Interleaved documents: two that take turns by segments, and questions about what either has told long ago."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast, Count
from ...core.task import Episode, Task

ASK, ANSWER, MARKS = 1, 2, 3


class InterleavedDocuments(Task):
    """Two documents take turns, a segment each; facts stand in their text, and are asked for segments later.

    The switching of contexts of He et al. 2024 (HMT, arXiv 2405.06067), whose code interleaves two texts, as two
    streams of keys and values. One example of two facts in four segments of six tokens, two of them a gap, ``?`` the
    question, ``>`` what asks for the answer, ``.`` what carries no weight; capitals are the second document's, digits
    are values, the bars (no tokens) are the borders of segments::

        inputs   f g k 7 f h | K 3 F H G G | h f g f h g | F G F H H G | ? k f h g > | F ? K H F >
        targets  . . . . . . | . . . . . . | . . . . . . | . . . . . . | . . . . . 7 | . . . . . 3

    The documents have words and keys of their own, and values in common. The first document begins, and has one fact
    more where their number is odd. The facts of a document stand at random places of its segments, no segment with two
    while another has none, and so on; the last ``gap`` segments hold none. Then, still in turns, comes a segment for
    each fact, those of a document in random order: its question stands somewhere in the first half, so that a summary
    of that half can lead a retrieval, and the last unit asks for the answer. At least 1 + gap // 2 segments of the
    other document lie between a fact and its question. :meth:`fact_segments` says to which segment a retrieval should
    point.

    Tokens: 0 is silent, then the two marks, keys and words of the first document, those of the second, and the values.
    ``length`` counts facts, of both documents together. No key comes twice in a sequence. Chance is one among the
    values.

    Args:
        segment: tokens of a segment.
        segments: before the first question, of both documents together.
        gap: segments, of both documents together, without any fact before the first question.
        delay: segments from a question to where its answer is asked for; 0 = at the end of its own, and 1 is for
            memories that know no more of a segment than the one before it when they retrieve for it.
        keys: of each document.
        fillers: words of each document.
        values: of both.

    Raises:
        ValueError: a count that is too small, an odd number of segments, or none left for facts.
    """

    def __init__(
        self,
        *,
        segment: Annotated[int, AtLeast(4)] = 16,
        segments: Annotated[int, AtLeast(2)] = 16,
        gap: Count = 2,
        delay: Count = 0,
        keys: int = 16,
        fillers: int = 32,
        values: Annotated[int, AtLeast(2)] = 16,
    ) -> None:
        if segments % 2:
            raise ValueError(f"segments = {segments}: two documents take turns; give an even number")
        if gap > segments - 2:
            raise ValueError(f"gap = {gap}: of {segments} segments 2 hold facts at least; give {segments - 2} or less")
        self.segment, self.segments, self.gap, self.delay = segment, segments, gap, delay
        self.keys, self.fillers, self.values = keys, fillers, values
        self._value = MARKS + 2 * (keys + fillers)
        self.vocabulary = self._value + values
        self.chance = 1 / values

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences with ``length`` facts.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more facts than keys, or than the segments hold.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        if (length + 1) // 2 > self.keys:
            raise ValueError(
                f"length = {length}: {self.keys} keys of each document make at most {2 * self.keys} facts; raise keys"
            )
        room = [self._told(document) * (self.segment // 2) for document in (0, 1)]
        if (length + 1) // 2 > room[0] or length // 2 > room[1]:
            most = min(2 * room[0], 2 * room[1] + 1)
            raise ValueError(f"length = {length}: the segments hold at most {most} facts; raise segments or segment")
        device, count = generator.device, self.segments + length + self.delay
        document = torch.arange(count, device=device)[:, None] % 2
        word = torch.randint(self.fillers, (batch, count, self.segment), generator=generator, device=device)
        inputs = (MARKS + self.keys + document * (self.keys + self.fillers) + word).flatten(1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        for number, facts in enumerate(((length + 1) // 2, length // 2)):
            self._write(inputs, targets, weight, number, facts, generator)
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the value behind a key to where it is asked for."""
        inputs = episode.inputs
        asked, answer = ((inputs == mark).nonzero()[:, 1].view(len(inputs), -1) for mark in (ASK, ANSWER))
        key = inputs.gather(1, asked + 1)
        stored = (inputs[:, None] == key[..., None]).int().argmax(2) + 1
        return torch.zeros_like(inputs).scatter(1, answer, answer - stored)

    def fact_segments(self, episode: Episode) -> Int[Tensor, "B T"]:
        """The segment, counted from 0, in which the fact of each answer stood; -1 where no answer is asked for."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return torch.where(episode.weight > 0, (time - self.distance(episode)) // self.segment, -1)

    def _told(self, document: int) -> int:
        """Segments of a document that may hold facts."""
        return (self.segments - self.gap + 1 - document) // 2

    def _write(
        self, inputs: Tensor, targets: Tensor, weight: Tensor, document: int, facts: int, generator: torch.Generator
    ) -> None:
        """Put the facts of one document into its text, and their questions and answers behind."""
        batch, told, device = len(inputs), self._told(document), generator.device

        def shuffled(*shape: int) -> Tensor:
            return torch.rand(batch, *shape, generator=generator, device=device).argsort(-1)

        key = MARKS + document * (self.keys + self.fillers) + shuffled(self.keys)[:, :facts]
        value = self._value + torch.randint(self.values, key.shape, generator=generator, device=device)
        number = torch.arange(facts, device=device)
        # once through all segments in random order, then again, at another place of each
        segment = document + 2 * shuffled(told)[:, number % told]
        place = segment * self.segment + 2 * shuffled(told, self.segment // 2)[:, number % told, number // told]
        inputs.scatter_(1, place, key).scatter_(1, place + 1, value)

        order = shuffled(facts)
        begin = (self.segments + document + 2 * number) * self.segment
        place = begin + torch.randint(self.segment // 2 - 1, key.shape, generator=generator, device=device)
        inputs.scatter_(1, place, ASK).scatter_(1, place + 1, key.gather(1, order))
        answer = (begin + (self.delay + 1) * self.segment - 1).expand_as(key)
        inputs.scatter_(1, answer, ANSWER)
        targets.scatter_(1, answer, value.gather(1, order))
        weight.scatter_(1, answer, 1.0)
