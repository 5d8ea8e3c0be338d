"""Stories with questions: what bAbI's files hold and what its simulators draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class StoryQuestion:
    """A question about the sentences told so far."""

    after: int
    """How many of the story's sentences stand before it."""
    text: str
    answer: str
    """Lower case, several items joined by a comma, as in the original files."""
    supporting: tuple[int, ...] = ()
    """Indices into the story's sentences that prove the answer."""


@dataclass(frozen=True)
class Story:
    """Sentences in order, and the questions asked between them."""

    sentences: tuple[str, ...]
    questions: tuple[StoryQuestion, ...]

    def slices(self) -> Iterator[Story]:
        """One story per question: all sentences told before it, and that question alone (BABILong's samples)."""
        for question in self.questions:
            yield Story(self.sentences[: question.after], (question,))
