"""Few-shot episodes: targets of a few classes, and a bank of other drawings of the same classes.

The protocol of Bornschein et al. 2017 (arXiv 1709.07116, section 4.3): in every step some classes are drawn, some of
their pictures are targets and some of the remaining ones stand in the bank, where no target ever stands.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

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
        _check_members(images, index, examples, targets)
        chosen.append(members[torch.randperm(len(members), generator=generator)[: examples + targets]])
    picked = torch.stack(chosen)
    own = torch.arange(classes)
    return FewShot(
        images.pixels[picked[:, examples:].flatten()],
        images.pixels[picked[:, :examples].flatten()],
        own.repeat_interleave(targets),
        own.repeat_interleave(examples),
    )


class Nested(NamedTuple):
    """Every class with targets and exemplars, in a random order of classes."""

    targets: UInt8[Tensor, "C t H W"]
    exemplars: UInt8[Tensor, "C n H W"]

    def slots(self, index: int, classes: int, examples: int) -> Int[Tensor, " N"]:
        """Where a bank for the targets of one class stands among all exemplars, flattened.

        It holds ``examples`` of that class and of the ``classes - 1`` after it in the order, round and round: banks of
        more classes, or of more examples, hold those of fewer.
        """
        total, each = self.exemplars.shape[:2]
        chosen = (index + torch.arange(classes)) % total
        return (chosen[:, None] * each + torch.arange(examples)).flatten()


def nested(images: ImageSet, generator: torch.Generator, *, examples: int, targets: int = 4) -> Nested:
    """Draw targets and exemplars of every class, so that models and banks can be compared on the same targets.

    Args:
        images: whose classes are drawn from; targets are the same whatever ``examples`` says.
        generator: the only source of randomness.
        examples: of each class, at most.
        targets: of each class.

    Raises:
        ValueError: a class with too few pictures.
    """
    chosen = []
    for index in torch.randperm(images.classes, generator=generator).tolist():
        members = images.members[index]
        _check_members(images, index, examples, targets)
        chosen.append(members[torch.randperm(len(members), generator=generator)[: targets + examples]])
    picked = torch.stack(chosen)
    return Nested(images.pixels[picked[:, :targets]], images.pixels[picked[:, targets:]])


def _check_members(images: ImageSet, index: int, examples: int, targets: int) -> None:
    if (count := len(images.members[index])) < examples + targets:
        raise ValueError(
            f"class {index} ({images.groups[index]}) has {count} pictures, too few for examples={examples} and "
            f"targets={targets}; ask for fewer of them"
        )
