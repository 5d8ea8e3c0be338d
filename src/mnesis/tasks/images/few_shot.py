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
