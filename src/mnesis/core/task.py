"""What a memory is asked to remember: tasks, the episodes they draw, and streams too long to hold.

A task knows nothing of models. Everything random comes from one explicit ``torch.Generator`` or an integer seed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .domain import Checked, bound_arguments

T = TypeVar("T", bound="Task")


class Forks(NamedTuple):
    """Questions put to forks of the state while an episode is read; what they read does not stay.

    Fork n is asked after (n + 1) * ``every`` units, K questions a row, each of P units.
    """

    every: int
    inputs: Int[Tensor, "N B K P"]
    targets: Int[Tensor, "N B K P"]
    weight: Float[Tensor, "N B K P"]
    """0 = not asked; a question without any weight is not read at all."""


class Episode(NamedTuple):
    """A batch of training or test sequences. ``targets[b, t]`` is what the output at ``inputs[b, t]`` should say."""

    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T D"]
    targets: Int[Tensor, "B T"] | Float[Tensor, "B T E"]
    weight: Float[Tensor, "B T"]
    """Weight of each target in the loss and the score; 0 = not asked."""
    reset: Bool[Tensor, "B T"] | None = None
    """True: the state is fresh before this unit."""
    length: Int[Tensor, " B"] | None = None
    """Units of each row that are real; None = all."""
    forks: Forks | None = None

    @property
    def units(self) -> int:
        """Real ones of all rows together."""
        return self.weight.numel() if self.length is None else int(self.length.sum())


@dataclass(frozen=True)
class Question:
    """One question asked at the end of a stream, by forking the reader's state."""

    prompt: Int[Tensor, " P"]
    """Tokens fed after the stream."""
    answer: Int[Tensor, " A"]
    """Tokens expected after the prompt, the end token included."""
    text: str
    answer_text: str
    choices: tuple[str, ...] = ()
    """Every answer that this kind of question can have (the scorer's labels)."""
    depth: float = float("nan")
    """Where the last supporting fact stands: 0 = start of the stream, 1 = its end."""


@dataclass(frozen=True)
class Stream:
    """A sequence of exactly ``length`` units, produced in chunks and never held whole, with questions at its end."""

    length: int
    chunks: Callable[[int], Iterator[Int[Tensor, " n"]]]
    """``chunks(size)`` starts the stream anew and yields pieces of ``size`` units (the last may be shorter)."""
    questions: tuple[Question, ...] = field(default=())


class Task(Checked, ABC):
    """Draws episodes for a length and a seed; scores answers."""

    vocabulary: int
    """Number of ids of inputs and targets, of targets alone where inputs are vectors; 0 where targets are numbers."""
    features: int = 0
    """Width of the inputs where they are vectors; 0 where they are tokens."""
    target_features: int = 0
    """Width of the targets where they are numbers (regression); 0 where they are ids."""
    chance: float
    """Accuracy of the best constant answer; 0, its R2, where targets are numbers."""

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        task = object.__new__(cls)
        if bound := bound_arguments(cls, args, kwargs):
            object.__setattr__(task, "_arguments", dict(list(bound.arguments.items())[1:]))
        return task

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as they were given."""
        return dict(getattr(self, "_arguments", {}))

    @abstractmethod
    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences whose length (in the task's own unit, see the class) is ``length``."""

    def unseen(self, part: Literal["valid", "test"]) -> Task:
        """The task on data that training does not draw from; itself where every episode is made anew."""
        return self

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """log2 of the probability of every target for somebody who knows the question and not the stream.

        By default that of the best constant answer, which is right where answers are uniform over a fixed set.
        """
        return torch.full(episode.weight.shape, math.log2(self.chance), device=episode.weight.device)

    def items(self, length: int) -> int | None:
        """How many items a sequence of this length stores, each asked with the same probability; None = no such."""
        return None

    def distance(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        """How many units before each question its answer was stored; None where that has no one meaning."""
        return None

    def span(self, length: int) -> int | None:
        """Latest units that any answer depends on at this length, the question's own among them; None = any, back to
        the start."""
        return None

    def displaced(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        """The answer that held before each asked item was bound anew, -1 where no other did; None = nowhere."""
        return None

    def stream(self, length: int, seed: int) -> Stream:
        """A stream of ``length`` units with questions at its end; tasks without a streaming form raise TypeError."""
        raise TypeError(
            f"task {type(self).__name__} has no streaming form; use episodes() at a length that fits memory"
        )

    def correct(self, question: Question, output: Sequence[int]) -> bool:
        """Whether the generated tokens answer the question: exact match of the whole answer by default."""
        return list(output) == question.answer.tolist()
