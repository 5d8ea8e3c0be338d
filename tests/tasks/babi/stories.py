"""What the tests of bAbI's simulators share: stories of the files and of ours, and how often things come in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from random import Random

from mnesis.tasks.stories.babi.files import read_stories
from mnesis.tasks.stories.babi.questions import AFTER_MOVING
from mnesis.tasks.stories.story import Story, StoryQuestion
from tests.real_data import real


@cache
def originals(task: int) -> tuple[Story, ...]:
    corpus = real("babi", "tasks_1-20_v1-2.zip")
    return (*read_stories(corpus, task, "train", "en-10k"), *read_stories(corpus, task, "test", "en"))


@cache
def simulated(task: int) -> tuple[Story, ...]:
    random, (simulate, _) = Random(task), AFTER_MOVING[task]
    return tuple(simulate(task, random) for _ in range(2500 if task in (17, 18, 20) else 6000))


def shares(values: Iterable[Hashable]) -> dict:
    counts = Counter(values)
    return {value: count / counts.total() for value, count in counts.items()}


def told_and_asked(story: Story) -> Iterator[tuple[tuple[str, ...], StoryQuestion]]:
    return ((story.sentences[: question.after], question) for question in story.questions)
