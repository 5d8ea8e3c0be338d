"""Where the pictures of a training come from, as plain values that are kept with the run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch

from .collections import open_collection
from .folders import Paper, Reading, read_pictures, resized
from .image_set import ImageSet

VALIDATION = 0.2
"""Of the classes of one's own pictures, held out to choose a model by."""
LEAST_CLASSES = 3
LARGEST, USUAL = 64, 28
"""Pixels of the longest side that is modelled, and of pictures of one's own that have more."""


class Shares(NamedTuple):
    """Pictures to train on, and those of other classes to choose weights by."""

    train: ImageSet
    validation: ImageSet


@dataclass(frozen=True)
class PictureSource:
    """Pictures by plain values.

    Args:
        data: a folder, an .npz file, or, of a collection, what holds its folder.
        collection: by name; "" = pictures of one's own.
        side: of the pictures, resized; None = as they are, or 28 where they are pictures of one's own with sides
            beyond 64.
        binary: ink or paper; False = grey.
        threshold: share of ink from which a pixel is ink.
        paper: of pictures of one's own: light, dark, or as their borders say.
        seed: of which classes are held out.
    """

    data: str | None = None
    collection: str = ""
    side: int | None = None
    binary: bool = True
    threshold: float = 0.3
    paper: Paper = "auto"
    seed: int = 0

    @property
    def reading(self) -> Reading:
        """How its pictures become pixels."""
        size = None if self.side is None else (self.side, self.side)
        return Reading(size, self.binary, self.threshold, self.paper)

    @cached_property
    def shares(self) -> Shares:
        """Its pictures; a collection's as it is shared out itself.

        Raises:
            ValueError: pictures that cannot be read, or too few classes or drawings of one to train on.
        """
        if self.collection:
            split = open_collection(self.collection, self.data)
            shares = Shares(*(resized(part, self.reading) for part in (split.train, split.validation)))
        else:
            shares = split_classes(self._own(), self.seed)
        for part in shares:
            _refuse_few(part, self.collection or str(self.data))
        return shares

    def _own(self) -> ImageSet:
        images = read_pictures(str(self.data), self.reading)
        height, width = images.pixels.shape[1:]
        if self.side is not None or max(height, width) <= LARGEST:
            return images
        smaller = read_pictures(str(self.data), replace(self.reading, size=(USUAL, USUAL)))
        told = f"brought from {width}x{height} to {USUAL}x{USUAL} pixels (--side says another)"
        return replace(smaller, about=f"{told}; {smaller.about}")

    def part(self, name: str) -> ImageSet:
        """``train`` or ``validation``."""
        return getattr(self.shares, name)

    def digest(self) -> str:
        """A short name for all pixels and classes: other pictures have another."""
        found = hashlib.blake2b(digest_size=8)
        for part in self.shares:
            found.update(repr((tuple(part.pixels.shape), part.groups)).encode())
            found.update(part.pixels.contiguous().numpy().tobytes())
            found.update(part.label.contiguous().numpy().tobytes())
        return found.hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Plain values that ``PictureSource(**values)`` reads back."""
        return asdict(self)


def split_classes(images: ImageSet, seed: int) -> Shares:
    """A fifth of the classes held out, drawn by the seed.

    Raises:
        ValueError: fewer than three classes.
    """
    if images.classes < LEAST_CLASSES:
        names = ", ".join(images.groups)
        raise ValueError(
            f"the pictures are of {images.classes} classes ({names}), and training takes {LEAST_CLASSES} or more, one "
            "of them to choose weights by; give more subfolders"
        )
    order = torch.randperm(images.classes, generator=torch.Generator().manual_seed(seed)).tolist()
    held = max(1, round(VALIDATION * images.classes))
    names = [images.groups[index] for index in order]
    return Shares(images.of_groups(set(names[held:])), images.of_groups(set(names[:held])))


def lesson_sizes(shares: Shares, given: Mapping[str, int]) -> dict[str, int]:
    """How many classes, examples in the bank and targets a lesson can have: 8, 4 and 4, or as many as there are.

    Args:
        shares: the pictures.
        given: sizes that were asked for, and stay as they are.
    """
    fewest = min(len(members) for part in shares for members in part.members)
    targets = given.get("targets", max(1, min(4, fewest // 2, fewest - given.get("examples", 0))))
    return {
        "classes": given.get("classes", min(8, shares.train.classes)),
        "examples": given.get("examples", max(1, min(4, fewest - targets))),
        "targets": targets,
    }


def _refuse_few(images: ImageSet, source: str) -> None:
    for name, members in zip(images.groups, images.members, strict=True):
        if len(members) < 2:
            raise ValueError(
                f"{source}: class {name} has {len(members)} drawing{'s' * (len(members) != 1)}, and training takes two "
                "or more of every class, since what stands in the bank cannot be what is explained; add one, or take "
                "the class away"
            )
