"""Pictures read pixel by pixel, or row by row, to be told apart at the end."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import torch

from ...core.domain import Count
from ...core.task import Episode, Task
from .collections import open_collection
from .image_set import ImageSet

PARTS = {"train": "train", "valid": "validation", "test": "test"}
"""What a collection calls them."""
DIGITS = (1297, 200)
"""How many of scikit-learn's 1,797 digits are trained on and validated on; the last 300, by other writers, test."""


class SequentialImages(Task):
    """Say what a picture shows once all of its pixels have been read.

    Sequential classification of pictures as in Le et al. 2015 (arXiv 1504.00941): one pixel a unit, in rows, or in one
    random order for all pictures (``permuted``), which leaves no neighbourhood to rely on. Behind the picture stand
    units of normal noise where ``length`` asks for more than it has, as in the noise-padded tasks of Chang et al. 2019
    (arXiv 1902.09689) and Rusch and Mishra 2022 (LEM, arXiv 2110.04744). One example of a picture of 2 x 2::

        inputs   0.0 0.9 0.8 0.1 0.3 -1.2
        targets   .   .   .   .   .   7

    ``length`` counts units; 64 hold a picture of 8 x 8, 784 one of 28 x 28. Chance is that of the commonest class.

    Args:
        collection: "digits" (8 x 8, which scikit-learn holds), or one of ``mnist``, ``fashion-mnist`` and their like.
        folder: of the collection's files, as :func:`~mnesis.tasks.images.collections.open_collection` reads them.
        part: "train", "valid" or "test".
        permuted: seed of the order of pixels; None = as they stand.
        rows: a row of pixels is a unit.

    Raises:
        ValueError: an unknown part or collection, or files that cannot be read.
    """

    def __init__(
        self,
        collection: str = "digits",
        folder: str | Path | None = None,
        *,
        part: str = "train",
        permuted: Count | None = None,
        rows: bool = False,
    ) -> None:
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of train, valid, test")
        self.collection, self.folder, self.part, self.permuted, self.rows = collection, folder, part, permuted, rows
        images = _digits(part) if collection == "digits" else getattr(open_collection(collection, folder), PARTS[part])
        pixels = images.pixels.float() / (1 if images.binary else 255)
        width = pixels.shape[2]
        pixels = pixels.flatten(1)
        if permuted is not None:
            pixels = pixels[:, torch.randperm(pixels.shape[1], generator=torch.Generator().manual_seed(permuted))]
        self.pictures = pixels.unflatten(1, (-1, width if rows else 1))
        """[N units features], ink between 0 and 1."""
        self.label, self.features, self.vocabulary = images.label, self.pictures.shape[2], images.classes
        self.chance = float(self.label.bincount().max()) / len(self.label)

    def unseen(self, part: Literal["valid", "test"]) -> SequentialImages:
        return SequentialImages(self.collection, self.folder, part=part, permuted=self.permuted, rows=self.rows)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pictures, and noise behind them up to ``length`` units.

        Raises:
            ValueError: ``batch`` below 1, or fewer units than a picture has.
        """
        units = self.pictures.shape[1]
        if batch < 1 or length < units:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and {units} units or more")
        device = generator.device
        index = torch.randint(len(self.label), (batch,), generator=generator, device=device)
        noise = torch.randn(batch, length - units, self.features, generator=generator, device=device)
        x = torch.cat([self.pictures.to(device)[index], noise], 1)
        targets, weight = torch.zeros(batch, length, dtype=torch.long, device=device), torch.zeros(batch, length)
        targets[:, -1], weight[:, -1] = self.label.to(device)[index], 1
        return Episode(x, targets, weight.to(device))


@cache
def _digits(part: str) -> ImageSet:
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs]

    images, targets = load_digits(return_X_y=True)
    train, valid = DIGITS
    here = {"train": slice(0, train), "valid": slice(train, train + valid), "test": slice(train + valid, None)}[part]
    pixels = torch.from_numpy(images[here] * (255 / 16)).round().to(torch.uint8).view(-1, 8, 8)
    label = torch.from_numpy(targets[here]).long()
    return ImageSet(pixels, label, tuple(str(digit) for digit in range(10)), binary=False)
