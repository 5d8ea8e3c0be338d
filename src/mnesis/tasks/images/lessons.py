"""Lessons for generative models: pictures, and the bank that may be read for them.

A row of an episode is one lesson, a unit of the recurrence. Nothing is asked: what a generative model makes of a lesson
is its own loss.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.task import Episode, Task
from .few_shot import few_shot
from .image_set import ImageSet


class Lesson(NamedTuple):
    """Targets and bank, 0..1; N = 0: no bank."""

    targets: Float[Tensor, "n H W"]
    bank: Float[Tensor, "N H W"]


class Lessons(NamedTuple):
    """Inputs of an episode: every unit is a bank with its targets."""

    targets: Float[Tensor, "B T n H W"]
    bank: Float[Tensor, "B T N H W"]


class LessonTask(Task):
    """Episodes of one lesson a row."""

    vocabulary, chance = 0, float("nan")

    @abstractmethod
    def lesson(self, length: int, generator: torch.Generator) -> Lesson:
        """Draw one; what ``length`` counts is the task's."""

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        drawn = [self.lesson(length, generator) for _ in range(batch)]
        lessons = Lessons(*(torch.stack(parts)[:, None] for parts in zip(*drawn, strict=True)))
        nothing = torch.zeros(batch, 1)
        return Episode(cast(Any, lessons), nothing, nothing)


class FewShotLessons(LessonTask):
    """Targets of a few classes, and a bank of other drawings of them; ``length`` is the number of examples a class.

    Args:
        images: whose classes are drawn from.
        classes: of a lesson.
        targets: of each class.
        among: classes to draw from; None = all.

    Raises:
        ValueError: numbers that the pictures cannot serve.
    """

    def __init__(
        self, images: ImageSet, *, classes: int = 8, targets: int = 4, among: Int[Tensor, " C"] | None = None
    ) -> None:
        self.images, self.classes, self.targets, self.among = images, classes, targets, among

    def lesson(self, length: int, generator: torch.Generator) -> Lesson:
        options = {"classes": self.classes, "examples": length, "targets": self.targets, "among": self.among}
        drawn = few_shot(self.images, generator, **options)
        return Lesson(drawn.targets / self.images.highest, drawn.bank / self.images.highest)


class RecallLessons(LessonTask):
    """A bank of any pictures, and targets that stand in it; ``length`` is the number of slots.

    Source: Bornschein et al. 2017, arXiv 1709.07116, section 4.1 ("train to recall").

    Args:
        images: to draw from; grey ones are binarised as they are drawn.
        targets: of a lesson.

    Raises:
        ValueError: more slots than pictures.
    """

    def __init__(self, images: ImageSet, *, targets: int = 32) -> None:
        self.images, self.targets = images, targets

    def lesson(self, length: int, generator: torch.Generator) -> Lesson:
        if length > len(self.images):
            raise ValueError(
                f"a bank of {length} slots needs as many pictures, there are {len(self.images)}; ask for fewer"
            )
        bank = self.images.where(torch.randperm(len(self.images), generator=generator)[:length])
        pixels = bank.binarised(generator).float()
        return Lesson(pixels[torch.randint(length, (self.targets,), generator=generator)], pixels)


class PictureLessons(LessonTask):
    """Pictures without a bank; ``length`` is their number.

    Args:
        images: to draw from, with replacement.
        binarised: each pixel is drawn anew at every presentation, its brightness being the probability of ink; False
            leaves grey pictures grey, 0..1.
    """

    def __init__(self, images: ImageSet, *, binarised: bool = True) -> None:
        self.images, self.binarised = images, binarised

    def lesson(self, length: int, generator: torch.Generator) -> Lesson:
        drawn = self.images.where(torch.randint(len(self.images), (length,), generator=generator))
        pixels = drawn.binarised(generator).float() if self.binarised or drawn.binary else drawn.pixels / 255.0
        return Lesson(pixels, pixels.new_zeros(0, *pixels.shape[1:]))
