"""Hidden fact: two tokens somewhere in segments of filler, to be said at the end of the last."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.task import Episode, Task


class HiddenFact(Task):
    """A fact in a random segment of filler; the last unit of the last segment asks for it.

    "Detect and memorise" of Bulatov et al. 2023 (RMT, arXiv 2304.11062), in tokens for networks that read no English.
    One example of three segments of six tokens, ``!`` the mark of a fact, ``B`` its answer, ``?`` the question, ``.``
    what carries no weight; the bars (no tokens) are the borders of segments::

        inputs   9 40 7 22  3 5 | 61 ! B 18 2 30 | 8 11 56 4 27 ?
        targets  .  .  . .  . . |  . . .  . .  . | . .  .  .  . B

    Tokens: ``0 .. fillers - 1`` the filler, then the mark, the question, and the answers. The fact's two tokens stand
    anywhere in their segment, side by side, before the question. ``length`` counts segments. Chance is one among the
    answers.

    Args:
        segment: Tokens of a segment.
        fillers: How many different filler tokens there are.
        choices: How many answers.

    Raises:
        ValueError: a segment that cannot hold fact and question, fewer than two answers, or no filler.
    """

    def __init__(self, *, segment: int = 16, fillers: int = 64, choices: int = 6):
        if segment < 3 or fillers < 1 or choices < 2:
            raise ValueError(
                f"segment = {segment}, fillers = {fillers}, choices = {choices}: give 3, 1 and 2 or more, so that fact "
                "and question fit, there is filler, and something to remember"
            )
        self.segment, self.fillers, self.choices = segment, fillers, choices
        self.mark, self.question, self.first = fillers, fillers + 1, fillers + 2
        """Tokens; ``first`` is the first answer's."""
        self.vocabulary = self.first + choices
        self.chance = 1 / choices

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` segments.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        draw = partial(torch.randint, generator=generator, device=generator.device)
        inputs = draw(self.fillers, (batch, length * self.segment))
        rows = torch.arange(batch, device=generator.device)
        # one place fewer in every segment, so that the fact never falls on the question
        place = draw(length, (batch,)) * self.segment + draw(self.segment - 2, (batch,))
        answer = self.first + draw(self.choices, (batch,))
        inputs[rows, place], inputs[rows, place + 1] = self.mark, answer
        inputs[:, -1] = self.question
        targets, weight = inputs.clone(), torch.zeros(inputs.shape, device=generator.device)
        targets[:, -1], weight[:, -1] = answer, 1
        return Episode(inputs=inputs, targets=targets, weight=weight)

    def items(self, length: int) -> int:
        return 1

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the answer behind the mark."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return time - (episode.inputs == self.mark).int().argmax(1, keepdim=True) - 1
