"""How Omniglot's alphabets are shared out among training, choice of a model, and test."""

from __future__ import annotations

from typing import NamedTuple

from .image_set import ImageSet

TEST_ALPHABETS = ("Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG")
"""The 144 classes that Bornschein et al. 2017 (arXiv 1709.07116) and others test on; 45 alphabets are left."""
VALIDATION_ALPHABETS = ("Atlantean", "Balinese", "Greek", "Mongolian", "N_Ko")
"""Ours, from the 45: the text says that rates were chosen on held-out classes and not on which."""

BACKGROUND_VALIDATION = ("Balinese", "Greek", "Hebrew", "N_Ko", "Tagalog")
"""Ours, from the 30 background alphabets, for the split that Omniglot was published with."""


class Split(NamedTuple):
    """Three sets without a common alphabet."""

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


def split_30_20(background: ImageSet, evaluation: ImageSet) -> Split:
    """Omniglot as published: 25 of the background alphabets to train on, 5 to choose by, all 20 others to test on.

    Raises:
        ValueError: an alphabet is missing.
    """
    rest = set(background.groups) - set(BACKGROUND_VALIDATION)
    return Split(background.of_groups(rest), background.of_groups(set(BACKGROUND_VALIDATION)), evaluation)
