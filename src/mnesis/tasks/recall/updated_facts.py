"""Updated facts: statements in several wordings, some of which are revised: say what holds at last."""

from __future__ import annotations

from itertools import permutations
from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.domain import AtLeast, Count
from ...core.task import Episode, Task

WIDTH = 5
"""Units of a statement or a question: subject, relation and value, and two words of the wording."""
ASK, OF = 1, 2
"""The words of a question."""
SUBJECT, RELATION, VALUE, FIRST_WORD, SECOND_WORD = range(WIDTH)
QUESTION = (FIRST_WORD, SUBJECT, SECOND_WORD, RELATION, VALUE)
ORDERS = tuple((a, FIRST_WORD, b, SECOND_WORD, c) for a, b, c in permutations((SUBJECT, RELATION, VALUE)))
"""What stands where in a statement, one after the other for wordings in turn."""


class UpdatedFacts(Task):
    """Facts are stated, and revised several times, among statements about others: say the latest value of each.

    The fact updates of Rakotonirina and Baroni 2024 (MemoryPrompt, arXiv 2402.15268), in tokens for networks that read
    no English. One example of one fact that changes once, in segments of two statements, of which one lies between; a
    word is a token here, the bars (no tokens) are the borders of segments, ``.`` is what carries no weight::

        inputs   Ann 's town is Rome  Bob plays oboe in band | job of Eve is cook  Oslo has Ann in town |
        targets  .   .  .    .  .     .   .     .    .  .      .   .  .   .  .     .    .   .   .  .

        inputs   Eve plays flute in band  job of Bob is smith | ? Ann : town Oslo
        targets  .   .     .     .  .     .   .  .   .  .       . .   . Oslo .

    A fact is a subject with a relation, and is stated 1 + ``updates`` times, each time with another value than before
    (it may be one of those before that). Every statement has a wording, drawn at random, which is two words, and an
    order of subject, relation and value. Subjects of other statements are never asked about, so that who has learned
    which these are can pass over them; they may contradict themselves. The statements of facts stand anywhere among
    others; then come ``gap`` segments of others alone; then, in a segment of their own or several, questions ask for
    every fact once, in random order. The answer follows a question's relation, in the inputs as well, and targets are
    the inputs that come next: with all weights 1 this is a text on which to train a language model.

    Tokens: 0 is silent, then come the two words of questions, those of wordings, subjects, other subjects, relations
    and values. ``length`` counts facts. A reader that keeps the latest value of every fact is always right. Answers are
    uniform over the values, so chance is one among them, and where there is a gap no more is known from the last
    segment alone. One that keeps the first value of every fact is right as often as ``first_value_accuracy`` says.

    Where paper and code differ from this: their statements are sentences about T-REx's subjects, with one wording a
    relation; every question is a segment of its own, behind four demonstrations.

    Args:
        updates: of each fact, after its first statement.
        distractors: statements about others for each one of a fact; more of them fill the last segment up.
        gap: segments of others between the last statement of a fact and the questions; None = every question stands
            anywhere behind the first statement of its fact, and asks for what holds there.
        statements: of a segment.
        wordings: of statements.
        subjects: that facts are about.
        other_subjects: that other statements are about.
        relations: that a subject may have.
        values: that a relation may have, the same for all.

    Raises:
        ValueError: a count that is too small.
    """

    def __init__(
        self,
        *,
        updates: Count = 2,
        distractors: Count = 1,
        gap: Count | None = 2,
        statements: int = 5,
        wordings: int = 6,
        subjects: int = 16,
        other_subjects: int = 16,
        relations: int = 4,
        values: Annotated[int, AtLeast(2)] = 32,
    ) -> None:
        self.updates, self.distractors, self.gap, self.statements = updates, distractors, gap, statements
        self.wordings, self.subjects, self.other_subjects = wordings, subjects, other_subjects
        self.relations, self.values = relations, values
        self._subject = OF + 1 + 2 * wordings
        self._relation = self._subject + subjects + other_subjects
        self._value = self._relation + relations
        self.vocabulary = self._value + values
        self.chance = 1 / values

    @property
    def segment_length(self) -> int:
        """Units of a segment."""
        return self.statements * WIDTH

    @property
    def first_value_accuracy(self) -> float:
        """How often the first value of a fact is the one that is asked for: it may come back."""
        behind = range(self.updates + 1) if self.gap is None else (self.updates,)
        same = [1 / self.values + (1 - 1 / self.values) * (-1 / (self.values - 1)) ** count for count in behind]
        return sum(same) / len(same)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences with ``length`` facts.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more facts than subjects and relations make.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        if length > (pairs := self.subjects * self.relations):
            raise ValueError(
                f"{length} facts need as many different ones, but {self.subjects} subjects with {self.relations} "
                f"relations make {pairs}; raise subjects"
            )
        device = generator.device

        def draw(high: int, *shape: int) -> Int[Tensor, "B ..."]:
            return torch.randint(high, (batch, *shape), generator=generator, device=device)

        # the places of the largest of random numbers are a uniform draw without replacement, in random order
        fact = torch.rand(batch, pairs, generator=generator, device=device).topk(length, 1).indices
        told = torch.cat([draw(self.values, length, 1), 1 + draw(self.values - 1, length, self.updates)], 2)
        told = told.cumsum(2) % self.values

        stated, mixed = self.updates + 1, self.updates + (2 if self.gap is None else 1)
        spread = length * (mixed + stated * self.distractors)
        spread += -spread % self.statements
        count = spread if self.gap is None else spread + self.gap * self.statements + length
        place = torch.rand(batch, spread, generator=generator, device=device).topk(length * mixed, 1).indices
        place = place.view(batch, length, mixed).sort(2).values
        if self.gap is None:
            rank = 1 + draw(stated, length, 1)
            asked, answer = place.gather(2, rank), told.gather(2, rank - 1)
            statement = torch.arange(stated, device=device).expand(batch, length, -1)
            place = place.gather(2, statement + (statement >= rank))
        else:
            asked = torch.arange(count - length, count, device=device).expand(batch, -1)[..., None]
            answer = told[..., -1:]

        def put(drawn: Tensor, statements: Tensor, questions: Tensor) -> Tensor:
            drawn.scatter_(1, place.flatten(1), statements.expand_as(place).flatten(1))
            return drawn.scatter_(1, asked.flatten(1), questions.flatten(1))

        subject, relation = fact[..., None] // self.relations, fact[..., None] % self.relations
        wording = 1 + draw(self.wordings, count)
        wording.scatter_(1, asked.flatten(1), 0)
        parts = [
            self._subject + put(self.subjects + draw(self.other_subjects, count), subject, subject),
            self._relation + put(draw(self.relations, count), relation, relation),
            self._value + put(draw(self.values, count), told, answer),
            ASK + 2 * wording,
            OF + 2 * wording,
        ]
        orders = [QUESTION, *(ORDERS[each % len(ORDERS)] for each in range(self.wordings))]
        inputs = torch.stack(parts, 2).gather(2, torch.tensor(orders, device=device)[wording]).flatten(1)
        targets = torch.cat([inputs[:, 1:], torch.zeros_like(inputs[:, :1])], 1)
        weight = torch.zeros(inputs.shape, device=device)
        weight.scatter_(1, asked.flatten(1) * WIDTH + WIDTH - 2, 1.0)
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the latest value of a fact to where it is asked for."""
        said, asked, latest, _ = self._bindings(episode)
        within = (said.gather(1, latest[..., None].expand(-1, -1, WIDTH)) >= self._value).int().argmax(2)
        unit = asked * WIDTH + WIDTH - 2
        return torch.zeros_like(episode.inputs).scatter(1, unit, unit - latest * WIDTH - within)

    def displaced(self, episode: Episode) -> Int[Tensor, "B T"]:
        """The value that the latest one replaced."""
        said, asked, _, before = self._bindings(episode)
        old = said.max(2).values.gather(1, before.clamp(min=0))  # values are the highest tokens
        old = torch.where(before >= 0, old, -1)
        return torch.full_like(episode.targets, -1).scatter(1, asked * WIDTH + WIDTH - 2, old)

    def _bindings(
        self, episode: Episode
    ) -> tuple[Int[Tensor, "B N W"], Int[Tensor, "B Q"], Int[Tensor, "B Q"], Int[Tensor, "B Q"]]:
        """Statements and questions; which are questions; the latest statement of each one's fact, and the one before.

        -1 = there is none.
        """
        said = episode.inputs.unflatten(1, (-1, WIDTH))
        asked = (said[..., 0] == ASK).nonzero()[:, 1].view(len(said), -1)
        subject = torch.where((said >= self._subject) & (said < self._relation), said, 0).sum(2)
        relation = torch.where((said >= self._relation) & (said < self._value), said, 0).sum(2)
        fact = subject * self.vocabulary + relation
        number = torch.arange(said.shape[1], device=said.device)
        same = (fact[:, None] == fact.gather(1, asked)[..., None]) & (number < asked[..., None])
        latest, before = torch.where(same, number, -1).topk(2, 2).values.unbind(2)
        return said, asked, latest, before
