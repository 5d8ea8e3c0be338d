"""Pictures with their classes, as every loader returns them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Pictures of one size, ink high: 0..255, or 0 and 1 where they are binary.

    Raises:
        ValueError: parts that do not fit each other.
    """

    pixels: UInt8[Tensor, "N H W"]
    label: Int[Tensor, " labels"]
    """Class of each picture, 0..C-1."""
    groups: tuple[str, ...]
    """What each class belongs to: its alphabet, or its own name where classes stand alone."""
    binary: bool
    about: str = ""
    """What must be told beside every figure of them, such as where they were derived from; "" = nothing."""

    def __post_init__(self) -> None:
        if len(self.label) != len(self.pixels):
            raise ValueError(f"{len(self.pixels)} pictures have {len(self.label)} labels; give one for each picture")
        if len(self.label) and not 0 <= int(self.label.min()) <= int(self.label.max()) < len(self.groups):
            raise ValueError(f"labels reach {int(self.label.max())} but there are {len(self.groups)} classes")
        if self.binary and len(self.pixels) and int(self.pixels.max()) > 1:
            raise ValueError(f"binary pictures hold 0 and 1 alone, these reach {int(self.pixels.max())}; binarise them")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.groups)

    @property
    def highest(self) -> int:
        """What a pixel of nothing but ink holds; divided by it, pixels reach from 0 to 1."""
        return 1 if self.binary else 255

    @cached_property
    def members(self) -> tuple[Int[Tensor, " n"], ...]:
        """Indices of the pictures of each class."""
        order = self.label.argsort(stable=True)
        return order.split(torch.bincount(self.label, minlength=self.classes).tolist())

    def where(self, chosen: Bool[Tensor, " N"] | Int[Tensor, " n"]) -> ImageSet:
        """Some of the pictures by mask or index, classes as they were."""
        return replace(self, pixels=self.pixels[chosen], label=self.label[chosen])

    def drawn(self, count: int, *, seed: int = 0) -> ImageSet:
        """So many of the pictures, or all if there are fewer, in an order that the seed draws: files may be sorted by
        class, so that the first of them are of a few classes alone.

        Raises:
            ValueError: ``count`` below 1.
        """
        if count < 1:
            raise ValueError(f"count={count} draws no picture; give 1 or more")
        return self.where(torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:count])

    def of_groups(self, groups: set[str]) -> ImageSet:
        """The pictures of some groups; their classes are numbered anew.

        Raises:
            ValueError: a group that is not there.
        """
        if missing := groups - set(self.groups):
            raise ValueError(
                f"there is no group {min(missing)!r}; the groups are {', '.join(sorted(set(self.groups)))}"
            )
        kept = [index for index, group in enumerate(self.groups) if group in groups]
        number = torch.full((self.classes,), -1)
        number[kept] = torch.arange(len(kept))
        label = number[self.label]
        names = tuple(self.groups[index] for index in kept)
        return replace(self, pixels=self.pixels[label >= 0], label=label[label >= 0], groups=names)

    def binarised(self, generator: torch.Generator) -> UInt8[Tensor, "N H W"]:
        """Each pixel drawn with its brightness as probability; binary pictures as they are."""
        if self.binary:
            return self.pixels
        noise = torch.rand(self.pixels.shape, generator=generator)
        return (255 * noise < self.pixels).to(torch.uint8)
