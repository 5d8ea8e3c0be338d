"""Which questions a bAbI task asks, as patterns, so that a reader can say what it was trained to answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from .files import TASK_NAMES
from .questions import simulate_story

STORIES = 200
"""Whose questions are looked at: they hold every person, room and object many times."""


@dataclass(frozen=True)
class QuestionKind:
    """Questions that differ in single words."""

    words: tuple[frozenset[str], ...]
    """For each place of the question, the words that may stand there."""

    def fits(self, question: str) -> bool:
        """Whether this is a question of the kind, word for word."""
        asked = question.split()
        return len(asked) == len(self.words) and all(
            word in known for word, known in zip(asked, self.words, strict=True)
        )

    def __str__(self) -> str:
        places = ["/".join(sorted(word.rstrip("?") for word in known)) for known in self.words]
        return " ".join(places) + "?"


@cache
def question_kinds(task: int) -> tuple[QuestionKind, ...]:
    """What a task asks: questions that begin with the same word and are as long are one kind; none if unknown."""
    if task not in TASK_NAMES:
        return ()
    generator = torch.Generator().manual_seed(0)
    found: dict[tuple[str, int], list[set[str]]] = {}
    for _ in range(STORIES):
        for question in simulate_story(task, generator).questions:
            words = question.text.split()
            for known, word in zip(
                found.setdefault((words[0], len(words)), [set() for _ in words]), words, strict=True
            ):
                known.add(word)
    return tuple(QuestionKind(tuple(map(frozenset, places))) for places in found.values())
