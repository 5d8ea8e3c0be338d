"""Few-shot episodes: targets of a few classes, and a bank of other drawings of the same classes.

The protocol of Bornschein et al. 2017 (arXiv 1709.07116, section 4.3): in every step some classes are drawn, some of
their pictures are targets and some of the remaining ones stand in the bank, where no target ever stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ...core.task import Episode, Task
from .image_set import ImageSet


class FewShot(NamedTuple):
    """One bank and its targets."""

    targets: UInt8[Tensor, "B H W"]
    bank: UInt8[Tensor, "N H W"]
    target_class: Int[Tensor, " B"]
    """0..C-1, as they were drawn for this episode."""
    bank_class: Int[Tensor, " N"]


def few_shot(
    images: ImageSet,
    generator: torch.Generator,
    *,
    classes: int = 8,
    examples: int = 4,
    targets: int = 4,
    among: Int[Tensor, " C"] | None = None,
) -> FewShot:
    """Draw an episode.

    Args:
        images: whose classes are drawn from.
        generator: the only source of randomness.
        classes: C, without replacement.
        examples: of each class, in the bank.
        targets: of each class.
        among: classes to draw from; None = all.

    Raises:
        ValueError: fewer classes than asked for, or a class with too few pictures.
    """
    for name, value in (("classes", classes), ("examples", examples), ("targets", targets)):
        if value < 1:
            raise ValueError(f"{name}={value}: an episode needs 1 or more")
    pool = torch.arange(images.classes) if among is None else among
    if classes > len(pool):
        raise ValueError(f"classes={classes} of {len(pool)} that there are; ask for fewer or give more pictures")
    drawn = pool[torch.randperm(len(pool), generator=generator)[:classes]].tolist()
    chosen = []
    for index in drawn:
        members = images.members[index]
        if len(members) < examples + targets:
            raise ValueError(
                f"class {index} ({images.groups[index]}) has {len(members)} pictures, too few for examples={examples} "
                f"and targets={targets}; ask for fewer of them"
            )
        chosen.append(members[torch.randperm(len(members), generator=generator)[: examples + targets]])
    picked = torch.stack(chosen)
    own = torch.arange(classes)
    return FewShot(
        images.pixels[picked[:, examples:].flatten()],
        images.pixels[picked[:, :examples].flatten()],
        own.repeat_interleave(targets),
        own.repeat_interleave(examples),
    )


class Lessons(NamedTuple):
    """Inputs of an episode: every unit is a bank with its targets."""

    targets: Float[Tensor, "B T n H W"]
    bank: Float[Tensor, "B T N H W"]


class FewShotLessons(Task):
    """Episodes whose rows are few-shot banks and targets, one unit each; ``length`` is the number of examples a class.

    Nothing is asked: what a generative model makes of a lesson is its own loss.

    Args:
        images: whose classes are drawn from.
        classes: of a lesson.
        targets: of each class.
        among: classes to draw from; None = all.

    Raises:
        ValueError: numbers that the pictures cannot serve.
    """

    vocabulary, chance = 0, float("nan")

    def __init__(
        self, images: ImageSet, *, classes: int = 8, targets: int = 4, among: Int[Tensor, " C"] | None = None
    ) -> None:
        self.images, self.classes, self.targets, self.among = images, classes, targets, among

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        options = {"classes": self.classes, "examples": length, "targets": self.targets, "among": self.among}
        drawn = [few_shot(self.images, generator, **options) for _ in range(batch)]
        scale = 1.0 if self.images.binary else 255.0
        lessons = Lessons(
            *(torch.stack([pictures[index] for pictures in drawn])[:, None].float() / scale for index in range(2))
        )
        nothing = torch.zeros(batch, 1)
        return Episode(cast(Any, lessons), nothing, nothing)


class PictureLessons(Task):
    """Episodes whose rows are pictures without a bank, one lesson a row; ``length`` is the number of pictures.

    Grey pictures are binarised anew at every presentation, each pixel drawn with its brightness as probability.

    Args:
        images: to draw from, with replacement.
        binarised: False leaves grey pictures grey, 0..1.
    """

    vocabulary, chance = 0, float("nan")

    def __init__(self, images: ImageSet, *, binarised: bool = True) -> None:
        self.images, self.binarised = images, binarised

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        drawn = self.images.where(torch.randint(len(self.images), (batch * length,), generator=generator))
        pixels = drawn.binarised(generator).float() if self.binarised or drawn.binary else drawn.pixels / 255.0
        targets = pixels.unflatten(0, (batch, 1, length))
        nothing = torch.zeros(batch, 1)
        empty = targets.new_zeros(batch, 1, 0, *targets.shape[3:])
        return Episode(cast(Any, Lessons(targets, empty)), nothing, nothing)
