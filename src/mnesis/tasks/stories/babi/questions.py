"""The twenty bAbI tasks word by word: stories that never end being new, or those of the original files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ....core.task import Episode, Task
from ..story import Story
from .files import TASK_NAMES, read_stories
from .moving import prove, simulate
from .people import simulate_people
from .people_oracle import prove_people
from .places import prove_places, simulate_places
from .proof import Proof
from .reasons import prove_reasons, simulate_reasons

UNKNOWN, END = 0, 1
"""A word that no simulated story has, and the end of an answer."""
SPLITS: dict[str, tuple[str, str]] = {
    "train": ("train", "en-10k"),
    "valid": ("valid", "en-valid-10k"),
    "test": ("test", "en"),
}
"""Where the original files keep each part."""
SAMPLE = 1000
"""Stories whose words and answers are counted."""
TRIES = 1000
"""Stories drawn before one is called too long."""
_WORDS = re.compile(r"\w+|[.?]")


def simulate_story(task: int, generator: torch.Generator) -> Story:
    """One story of any of the twenty tasks, drawn like those of the original files.

    Raises:
        ValueError: no such task.
    """
    if task in (1, 2, 3):
        return simulate(task, generator)
    if task not in TASK_NAMES:
        raise ValueError(f"task = {task}: bAbI has the tasks 1 to {len(TASK_NAMES)}; choose one of them")
    random = Random(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    return AFTER_MOVING[task][0](task, random)


def prove_question(task: int, sentences: Sequence[str], question: str) -> Proof:
    """The answer to a question of any of the twenty tasks, and the sentences that prove it, read off the text alone.

    Raises:
        ValueError: no such task, a question that it does not ask, or one that the sentences do not settle.
    """
    if task in (1, 2, 3):
        return prove(sentences, question)
    if task not in TASK_NAMES:
        raise ValueError(f"task = {task}: bAbI has the tasks 1 to {len(TASK_NAMES)}; choose one of them")
    return AFTER_MOVING[task][1](task, sentences, question)


AFTER_MOVING = {
    **dict.fromkeys((4, 17, 18, 19), (simulate_places, prove_places)),
    **dict.fromkeys(range(5, 15), (simulate_people, prove_people)),
    **dict.fromkeys((15, 16, 20), (simulate_reasons, prove_reasons)),
}
"""What draws a story of a task, and what proves its questions; of all but the first three."""


class Babi(Task):
    """Read a story and answer the questions that come in it.

    The tasks of Weston et al. 2015 (arXiv 1502.05698), a unit a word, as simulated without end by rules measured on
    the files (see :func:`simulate_story`), or as the files hold them. One example of task 1, ``;`` the end of an
    answer::

        inputs   mary went to the office . where is mary ? office ;
        targets  .    .    .  .   .      . .     .  .    office ; .

    Answers stand among the inputs once they were asked for; of several items (tasks 8 and 19) each is a word. Tokens:
    words in lower case, full stop and question mark; 0 is a word that no simulated story has, 1 the end. ``length``
    counts words at most: a row is one story up to its last question that fits, and stories whose first does not fit are
    drawn again. Chance is that of the commonest word of an answer, ends left out.

    Args:
        task: 1 to 20.
        files: the archive or folder of the original files; None = simulated.
        part: "train", "valid" or "test", of the files.

    Raises:
        ValueError: an unknown task or part, or files that are missing or broken.
    """

    def __init__(self, task: int = 1, *, files: str | Path | None = None, part: str = "train") -> None:
        if part not in SPLITS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(SPLITS)}")
        self.task, self.files, self.part = task, files, part
        self.words, shares = _counted(task)
        self.stories = None if files is None else read_stories(files, task, *SPLITS[part])
        self._ids = {word: number for number, word in enumerate(self.words)}
        self._shares = shares
        self.vocabulary, self.chance = len(self.words), float(shares.max())

    def unseen(self, part: Literal["valid", "test"]) -> Babi:
        return self if self.files is None else Babi(self.task, files=self.files, part=part)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` stories of at most ``length`` words.

        Raises:
            ValueError: ``batch`` below 1, or too few words for the first question of hardly any story.
        """
        if batch < 1:
            raise ValueError(f"batch = {batch} draws nothing; give 1 row or more")
        rows = [self._row(length, generator) for _ in range(batch)]
        units = torch.tensor([len(tokens) for tokens, _ in rows])
        tokens = torch.zeros(batch, int(units.max()) + 1, dtype=torch.long)
        weight = torch.zeros(tokens.shape)
        for row, (told, asked) in enumerate(rows):
            tokens[row, : len(told)] = torch.tensor(told)
            weight[row, torch.tensor(asked) - 1] = 1
        device = generator.device
        return Episode(
            tokens[:, :-1].to(device), tokens[:, 1:].to(device), weight[:, :-1].to(device), length=units.to(device)
        )

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """How often each word comes in answers; the end is not sure where answers have several items."""
        return self._shares.to(episode.targets.device)[episode.targets].log2()

    def _row(self, length: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Words up to the last question that fits, and the places of what is asked."""
        for _ in range(TRIES):
            if self.stories is None:
                story = simulate_story(self.task, generator)
            else:
                index = torch.randint(len(self.stories), (), generator=generator, device=generator.device)
                story = self.stories[int(index)]
            tokens, asked = self._told(story, length)
            if asked:
                return tokens, asked
        raise ValueError(f"length = {length} holds hardly any story of task {self.task} up to a question; give more")

    def _told(self, story: Story, length: int) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        asked: list[int] = []
        told = 0
        for question in story.questions:
            piece = [self._id(word) for text in story.sentences[told : question.after] for word in _split(text)]
            piece += [self._id(word) for word in _split(question.text)]
            answer = [*(self._id(word) for word in question.answer.split(",")), END]
            if len(tokens) + len(piece) + len(answer) > length:
                break
            begin, told = len(tokens) + len(piece), question.after
            asked += range(begin, begin + len(answer))
            tokens += piece + answer
        return tokens, asked

    def _id(self, word: str) -> int:
        return self._ids.get(word, UNKNOWN)


@cache
def _split(text: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(text.lower()))


@cache
def _counted(task: int) -> tuple[tuple[str, ...], Float[Tensor, " V"]]:
    """Words of simulated stories, and the share of each among those of answers, ends included."""
    generator = torch.Generator().manual_seed(0)
    words: set[str] = set()
    answers: list[str] = []
    ends = 0
    for _ in range(SAMPLE):
        story = simulate_story(task, generator)
        for text in (*story.sentences, *(question.text for question in story.questions)):
            words.update(_split(text))
        for question in story.questions:
            answers += question.answer.split(",")
            ends += 1
    ordered = ("<unknown>", ";", *sorted(words | set(answers)))
    counts = torch.tensor([ends if word == ";" else answers.count(word) for word in ordered], dtype=torch.float32)
    return ordered, (counts + 0.5) / (counts.sum() + len(ordered) / 2)
