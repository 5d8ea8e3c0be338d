"""How Omniglot's alphabets are shared out among training, choice of a model, and test."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from .image_set import ImageSet

TEST_ALPHABETS = ("Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG")
"""The 144 classes that Bornschein et al. 2017 (arXiv 1709.07116) and others test on; 45 alphabets are left."""
VALIDATION_ALPHABETS = ("Atlantean", "Balinese", "Greek", "Mongolian", "N_Ko")
"""Ours, from the 45: the text says that rates were chosen on held-out classes and not on which."""

BACKGROUND_VALIDATION = ("Balinese", "Greek", "Hebrew", "N_Ko", "Tagalog")
"""Ours, from the 30 background alphabets, for the split that Omniglot was published with."""


PUBLISHED = (24_345, 8_070)
"""Pictures to train on and to test on in chardata.mat (Burda et al. 2015, arXiv 1509.00519)."""
HELD_OUT = 1_345
"""Of its pictures to train on, those that its authors' code chooses by."""
DRAWERS, TEST_DRAWERS = 20, 5
"""Of every character, and of those the ones to test on."""


class Split(NamedTuple):
    """Three sets, without a common alphabet where nothing else is said."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def split_45_5(images: ImageSet) -> Split:
    """Both of Omniglot's zips as 40 alphabets to train on, 5 to choose by, and 5 to test on.

    Raises:
        ValueError: an alphabet is missing.
    """
    rest = set(images.groups) - {*TEST_ALPHABETS, *VALIDATION_ALPHABETS}
    return Split(*(images.of_groups(set(names)) for names in (rest, VALIDATION_ALPHABETS, TEST_ALPHABETS)))


def split_45_5_as_published(images: ImageSet) -> Split:
    """All 45 alphabets to train on (1,479 classes) and 5 to test on (144), as Bornschein et al. 2017 count them.

    Alphabets to choose by are among those trained on: the text names no others.

    Raises:
        ValueError: an alphabet is missing.
    """
    rest = set(images.groups) - set(TEST_ALPHABETS)
    return Split(*(images.of_groups(set(names)) for names in (rest, VALIDATION_ALPHABETS, TEST_ALPHABETS)))


def split_by_drawers(images: ImageSet) -> Split:
    """All characters to train, to choose and to test on, each by other drawers: as many pictures as chardata.mat has.

    Who is tested on is drawn; nine characters have none to test on, by which 24,345 and 8,070 pictures are left of
    32,460.

    Raises:
        ValueError: other pictures than Omniglot's 1,623 characters by 20 drawers.
    """
    if any(len(members) != DRAWERS for members in images.members) or len(images) - sum(PUBLISHED) not in range(1, 46):
        raise ValueError(
            f"{len(images):,} drawings of {images.classes:,} characters are not Omniglot's 1,623 by {DRAWERS} drawers; "
            "give both of its zips"
        )
    generator = torch.Generator().manual_seed(0)
    train, test = [], []
    for members in images.members:
        drawn = members[torch.randperm(DRAWERS, generator=generator)]
        train.append(drawn[TEST_DRAWERS:])
        test.append(drawn[:TEST_DRAWERS])
    order = torch.cat(train)[torch.randperm(PUBLISHED[0], generator=generator)]
    tested = torch.stack(test)[torch.randperm(len(test), generator=generator)][: PUBLISHED[1] // TEST_DRAWERS]
    return held_out(images.where(order), images.where(tested.flatten()), "derived from the drawings, not chardata")


def held_out(train: ImageSet, test: ImageSet, about: str) -> Split:
    """chardata.mat's two sets, the last pictures to train on held out to choose by; ``about`` them is kept."""
    last = torch.arange(len(train)) >= len(train) - HELD_OUT
    return Split(*(replace(part, about=about) for part in (train.where(~last), train.where(last), test)))


def split_30_20(background: ImageSet, evaluation: ImageSet) -> Split:
    """Omniglot as published: 25 of the background alphabets to train on, 5 to choose by, all 20 others to test on.

    Raises:
        ValueError: an alphabet is missing.
    """
    rest = set(background.groups) - set(BACKGROUND_VALIDATION)
    return Split(background.of_groups(rest), background.of_groups(set(BACKGROUND_VALIDATION)), evaluation)
