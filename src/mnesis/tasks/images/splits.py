"""How Omniglot's alphabets are shared out among training, choice of a model, and test."""

from __future__ import annotations

from typing import NamedTuple

from .image_set import ImageSet

TEST_ALPHABETS = ("Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG")
"""The 144 classes that Bornschein et al. 2017 (arXiv 1709.07116) and others test on; 45 alphabets are left."""
VALIDATION_ALPHABETS = ("Atlantean", "Balinese", "Greek", "Mongolian", "N_Ko")
"""Ours, from the 45: the text says that rates were chosen on held-out classes and not on which."""


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
