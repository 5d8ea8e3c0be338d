"""Training on BABILong: rows that live through many samples, asked all the while.

A recurrent memory that is trained on short samples alone drifts when it reads long ones. Here every row of an episode
lives through samples one after the other, each fresh and exactly as BABILong lays it out, and in every batch some rows
live short lives and some long ones. At the end of every window a fork of the state is asked about whatever has been
told so far, so that the loss punishes all that damages the memory, however long ago the fact stood; inside the windows
questions may stand too, whose answers are not read, so that they do not refresh what they ask for.

Example (task 1, window of 12 words, answers in brackets; the questions after | are asked by forking)::

    Mary moved to the office. The tide turned slowly. Where is Mary? [office] | Where is Mary? office <end>
    Few people at the bridge ever knew why. John went to the garden. | Where is Mary? ... Where is John? ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....core.domain import Count, Share
from ....core.task import Episode, Forks, Task
from ..babi.moving import OBJECTS, PEOPLE, QUESTION_KINDS, ROOMS, oracle, simulate
from ..story import Story, StoryQuestion
from ..wording import Piece
from .babilong import BABILong
from .sample import lay_out

END_WEIGHT = 0.1
"""Of the end behind a fork's answer, which is soon learned and would only dilute what the answer teaches."""

LANGUAGE_WEIGHT = 0.1
"""Of a unit that is asked for the next, of which there are many."""


class BABILongLives(Task):
    """Episodes of rows that live through BABILong samples of many lengths.

    Args:
        task: what a sample is; bAbI task 1, 2 or 3. Its ``show_answers`` holds for questions inside the windows.
        window: units between forks. Train with this truncation.
        period: lives are whole periods, so that a reset never leaves the grid of a segment memory; None = the window.
            Windows that are no whole periods end, and ask, all over the segments.
        shortest: the shortest life, a number of periods.
        forks: questions put to a fork of each row's state at every window's end; 0 = none.
        questions: mean number of questions inside a window; they can be answered from the window or from the memory.
        easier: ask the questions of the easier tasks too, as often as those of each other task: what task 2 asks is
            built from what task 1 asks (where a person is), and task 3's from both.
        renamed: exchange people, rooms and objects of every story at random, so that stories from files, of which there
            are few, cannot be learned by heart.
        facts: the longest story told in a life; None = as bAbI's, up to half of the life.
        language: share of the other units that are asked for the token that follows, at a tenth of an answer's weight,
            so that a pretrained model goes on speaking its language.

    Raises:
        ValueError: a task that cannot be told, or numbers out of range.
    """

    def __init__(
        self,
        task: BABILong,
        *,
        window: int = 512,
        period: int | None = None,
        shortest: int = 1,
        forks: Count = 4,
        questions: float = 0.2,
        easier: bool = False,
        renamed: bool = False,
        facts: int | None = None,
        language: Share = 0.0,
    ) -> None:
        if task.task not in (1, 2, 3):
            raise ValueError(f"bAbI task {task.task} has no oracle to ask all the while; train on tasks 1, 2 or 3")
        period = window if period is None else period
        self.babilong, self.window, self.period, self.shortest = task, window, period, shortest
        self.forks, self.questions, self.facts = forks, questions, facts
        self.renamed, self.language = renamed, language
        self.vocabulary, self.chance = task.vocabulary, task.chance
        asked = range(1 if easier else task.task, task.task + 1)
        self.wordings = [[text for kind in QUESTION_KINDS[number] for text in kind.texts()] for number in asked]

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Rows of ``length`` units; the lives of row b are from the b-th part of the log-scale up to ``length``."""
        if length % self.window:
            raise ValueError(f"length={length} is not whole windows of {self.window}; give a multiple")
        seeds = torch.randint(2**62, (batch,), generator=generator).tolist()
        most = max(1, length // self.period)
        edges = np.geomspace(min(self.shortest, most), most, batch + 1)
        rows = [
            self._row(length, (edges[row], edges[row + 1]), np.random.default_rng(seed))
            for row, seed in enumerate(seeds)
        ]
        numbers = [np.random.default_rng(seed + 1) for seed in seeds]
        forks = self._forks([row.known for row in rows], numbers) if self.forks else None
        stack = lambda index: torch.from_numpy(np.stack([row[index] for row in rows]))  # noqa: E731
        return Episode(stack(0), stack(1), stack(2), reset=stack(3), forks=forks)

    def _row(self, length: int, windows: tuple[float, float], numbers: np.random.Generator) -> _Row:
        tokens, said = np.zeros(length + 1, np.int64), np.full(length + 1, -1, np.int64)
        weight, reset = np.zeros(length + 1, np.float32), np.zeros(length, np.bool_)
        known: list[tuple[str, ...]] = []
        begin = 0
        while begin < length:
            life = round(windows[0] * (windows[1] / windows[0]) ** numbers.random()) * self.period
            reset[begin] = True
            for piece, before, after in self._life(life, numbers):
                end = min(begin + len(piece.tokens), length + 1)
                tokens[begin:end] = piece.tokens[: end - begin]
                if piece.weight is not None and piece.said is not None:
                    weight[begin:end], said[begin:end] = piece.weight[: end - begin], piece.said[: end - begin]
                # A window that ends inside a fact does not know it yet, one that ends with it does.
                stop = min(begin + len(piece.tokens), length)
                ends = range(len(known) + 1, stop // self.window + 1)
                known.extend(after if end * self.window == begin + len(piece.tokens) else before for end in ends)
                begin += len(piece.tokens)
                if begin >= length:
                    break
        if self.language:
            goes_on = np.append(~reset[1:], True)  # what begins a life follows from nothing
            weight[:-1][(weight[:-1] == 0) & goes_on & (numbers.random(length) < self.language)] = LANGUAGE_WEIGHT
        targets = np.where(said[:-1] >= 0, said[:-1], tokens[1:])
        return _Row(tokens[:-1], targets, weight[:-1], reset, known)

    def _life(self, length: int, numbers: np.random.Generator) -> list[tuple[Piece, tuple[str, ...], tuple[str, ...]]]:
        """Pieces of one sample of exactly ``length`` tokens, and the facts told before and after each."""
        wording = self.babilong.wording
        sentences = self._story(length, numbers)
        facts = [Piece(wording.text(text)) for text in sentences]
        asked = self._questions_inside(sentences, length, numbers)
        order = sorted([*enumerate(facts), *asked], key=lambda item: item[0])
        sample = lay_out([piece for _, piece in order], (), length, self.babilong.background, None, numbers)
        pieces, told, remaining = [], 0, {id(piece) for piece in facts}
        for piece in sample.read():
            before = told
            told += id(piece) in remaining
            pieces.append((piece, sentences[:before], sentences[:told]))
        return pieces

    def _story(self, length: int, numbers: np.random.Generator) -> tuple[str, ...]:
        """The sentences of a story, cut where they would fill more than half of the life."""
        story = self._draw(numbers)
        sentences, budget = [], length // 2
        for sentence in self._rename(story.sentences[: self.facts], numbers):
            budget -= len(self.babilong.wording.text(sentence))
            if budget < 0:
                break
            sentences.append(sentence)
        return tuple(sentences)

    def _rename(self, sentences: tuple[str, ...], numbers: np.random.Generator) -> Iterable[str]:
        if not self.renamed:
            return sentences
        names = {
            name: other
            for group in (PEOPLE, ROOMS, OBJECTS)
            for name, other in zip(group, numbers.permutation(group).tolist(), strict=True)
        }
        return (_NAME.sub(lambda found: names[found[0]], sentence) for sentence in sentences)

    def _draw(self, numbers: np.random.Generator) -> Story:
        stories = self.babilong.stories
        if stories is None:
            generator = torch.Generator().manual_seed(int(numbers.integers(2**62)))
            slices = list(simulate(self.babilong.task, generator).slices())
        else:
            slices = list(stories[int(numbers.integers(len(stories)))].slices())
        return slices[int(numbers.integers(len(slices)))]

    def _questions_inside(
        self, sentences: Sequence[str], length: int, numbers: np.random.Generator
    ) -> list[tuple[int, Piece]]:
        """Questions between the facts, each with the index of the fact that it follows."""
        if not sentences:
            return []
        wanted = numbers.poisson(self.questions * length / self.window)
        # Their tokens are counted in the life: at most an eighth of it for every task that is asked.
        wanted = min(int(wanted), length // 64 * len(self.wordings))
        asked = []
        for _ in range(wanted):
            last = int(numbers.integers(len(sentences)))
            if question := self._ask(sentences[: last + 1], 1, numbers):
                shown = bool(numbers.random() < self.babilong.show_answers)
                asked.append((last, self.babilong.wording.asked(question[0], shown)))
        return asked

    def _ask(self, told: Sequence[str], most: int, numbers: np.random.Generator) -> list[StoryQuestion]:
        """Up to so many different questions that the sentences settle, of each task asked in turn."""
        tasks = [self._settled(told, texts, numbers) for texts in self.wordings]
        if len(tasks) > 1:
            tasks = [tasks[index] for index in numbers.permutation(len(tasks))]
        turns = chain.from_iterable(zip_longest(*tasks))
        return list(islice((question for question in turns if question), most))

    @staticmethod
    def _settled(told: Sequence[str], texts: Sequence[str], numbers: np.random.Generator) -> Iterator[StoryQuestion]:
        for index in numbers.permutation(len(texts)):
            text = texts[int(index)]
            try:
                yield StoryQuestion(len(told), text, oracle(told, text))
            except ValueError:  # not settled by what was told
                continue

    def _forks(self, known: list[list[tuple[str, ...]]], numbers: list[np.random.Generator]) -> Forks:
        """Question, answer and end, with targets at the answer and its end."""
        asked = [[self._spelled(told, numbers[row]) if told else [] for told in ends] for row, ends in enumerate(known)]
        width = max((len(run) - 1 for row in asked for end in row for run, _ in end), default=1)
        shape = (len(known[0]), len(known), self.forks, width)
        inputs, targets, weight = (
            torch.zeros(shape, dtype=torch.long),
            torch.zeros(shape, dtype=torch.long),
            torch.zeros(shape),
        )
        for row, ends in enumerate(asked):
            for end, questions in enumerate(ends):
                for index, (run, prompt) in enumerate(questions):
                    inputs[end, row, index, : len(run) - 1] = run[:-1]
                    targets[end, row, index, : len(run) - 1] = run[1:]
                    weight[end, row, index, prompt - 1 : len(run) - 1] = 1
                    weight[end, row, index, len(run) - 2] = END_WEIGHT
        return Forks(self.window, inputs, targets, weight)

    def _spelled(self, told: tuple[str, ...], numbers: np.random.Generator) -> list[tuple[Tensor, int]]:
        wording = self.babilong.wording
        spelled = []
        for question in self._ask(told, self.forks, numbers):
            prompt, answer = wording.text(question.text), wording.answer(question.answer)
            spelled.append((torch.from_numpy(np.concatenate([prompt, answer]).astype(np.int64)), len(prompt)))
        return spelled


_NAME = re.compile(rf"\b(?:{'|'.join((*PEOPLE, *ROOMS, *OBJECTS))})\b")


class _Row(NamedTuple):
    tokens: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    reset: np.ndarray
    known: list[tuple[str, ...]]
    """Facts told at the end of each window."""
