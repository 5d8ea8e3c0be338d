"""Pictures by name: read from folders, made up, or fetched with checksums."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import pytest
import torch

from mnesis.tasks.images import collections
from mnesis.tasks.images.collections import COLLECTIONS, Collection, File, fetch_collection, open_collection
from mnesis.tasks.images.files import read_chardata
from mnesis.tasks.images.image_set import ImageSet
from mnesis.tasks.images.splits import split_by_drawers
from tests.loopback import Loopback
from tests.real_data import DATA, real


@pytest.mark.parametrize(("name", "classes"), [("glyphs", (400, 40, 144)), ("digits", (10, 10, 10))])
def test_some_need_no_files(name, classes) -> None:
    split = open_collection(name)
    assert tuple(part.classes for part in split) == classes
    assert all(len(part) for part in split)
    assert open_collection(name).train is split.train  # kept


def test_mnist_keeps_its_last_ten_thousand_to_validate_on() -> None:
    real("mnist")
    split = open_collection("mnist", DATA)
    assert tuple(map(len, split)) == (50_000, 10_000, 10_000)
    assert split.train.pixels.shape[1:] == (28, 28)


@pytest.mark.slow
def test_fixed_binarisation_is_read_whole() -> None:
    real("binarized-mnist")
    split = open_collection("binarized-mnist", DATA)
    assert tuple(map(len, split)) == (50_000, 10_000, 10_000)
    assert split.test.binary


def test_omniglot_is_split_by_alphabets() -> None:
    real("omniglot")
    assert open_collection("omniglot", DATA).test.classes == 144


@pytest.mark.slow
def test_omniglot_is_split_as_it_was_published() -> None:
    real("omniglot")
    split = open_collection("omniglot-30-20", DATA)
    assert split.test.classes == 659
    assert split.train.classes + split.validation.classes == 964
    assert len(set(split.validation.groups)) == 5
    assert not set(split.train.groups) & {*split.validation.groups, *split.test.groups}


@pytest.mark.slow
def test_omniglot_is_split_as_its_counts_say() -> None:
    real("omniglot")
    split = open_collection("omniglot-45-5", DATA)
    assert (split.train.classes, split.test.classes) == (1479, 144)
    assert set(split.validation.groups) < set(split.train.groups), "no others are named to choose by"
    assert not set(split.train.groups) & set(split.test.groups)


@pytest.mark.slow
def test_omniglot_at_28_pixels_is_made_of_the_drawings_and_says_so() -> None:
    """As many pictures as chardata.mat has, of the same characters by other drawers, grey and upright."""
    real("omniglot")
    split = open_collection("omniglot-28", DATA)
    train, validation, test = split
    assert (len(train) + len(validation), len(validation), len(test)) == (24_345, 1_345, 8_070)
    assert {part.about for part in split} == {"derived from the drawings, not chardata"}
    assert not train.binary
    assert train.classes == test.classes == 1623
    counts = train.label.bincount(minlength=1623) + validation.label.bincount(minlength=1623)
    assert counts.eq(15).all()
    assert test.label.bincount(minlength=1623).unique(return_counts=True)[1].tolist() == [9, 1614]
    small = read_chardata(DATA / "omniglot" / "chardata_derived_small.mat", test=True)
    flat = {picture.numpy().tobytes() for part in split for picture in part.pixels}
    found = sum(picture.numpy().tobytes() in flat for picture in small.pixels)
    assert found > 0.95 * len(small), "the same averages that somebody else has made"


def test_somebody_elses_chardata_is_refused(tmp_path) -> None:
    """By its count of pictures: the published file has one."""
    real("omniglot")
    (tmp_path / "omniglot").mkdir()
    (tmp_path / "omniglot" / "chardata.mat").symlink_to(DATA / "omniglot" / "chardata_derived_small.mat")
    with pytest.raises(
        ValueError, match=r"holds 3,856 \+ 554 pictures, and the published file 24,345 \+ 8,070; give that"
    ):
        open_collection("omniglot-28", tmp_path)


def test_drawings_that_are_not_omniglots_cannot_stand_for_chardata() -> None:
    images = ImageSet(torch.zeros(40, 2, 2, dtype=torch.uint8), torch.arange(2).repeat(20), ("a", "b"), binary=False)
    with pytest.raises(ValueError, match="40 drawings of 2 characters are not Omniglot's 1,623 by 20 drawers"):
        split_by_drawers(images)


def test_unknown_and_missing_ones_say_so(tmp_path) -> None:
    with pytest.raises(ValueError, match="no collection of pictures is called 'nist'; there are mnist"):
        open_collection("nist")
    with pytest.raises(ValueError, match="say which folder holds mnist/, or get it"):
        open_collection("mnist")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is no file"):
        open_collection("mnist", tmp_path)
    with pytest.raises(ValueError, match="glyphs needs no files"):
        fetch_collection("glyphs", tmp_path)


def _idx(shape, values) -> bytes:
    return gzip.compress(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(values))


@pytest.fixture
def loopback():
    with Loopback() as server:
        yield server


def test_what_is_missing_is_fetched_and_checked(loopback, tmp_path, monkeypatch) -> None:
    contents = {"a-images": _idx((2, 1, 2), [0, 255, 7, 8]), "a-labels": _idx((2,), [1, 0])}
    loopback.content |= contents
    files = tuple(
        File(name, f"{loopback.address}/{name}", hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )

    def read(own: Path):
        digits = collections.read_digits(own / "a-images", own / "a-labels")
        return collections.Split(digits, digits, digits)

    monkeypatch.setitem(COLLECTIONS, "small", Collection("small", files, read))
    assert fetch_collection("small", tmp_path / "data", progress=False) == tmp_path / "data/small"
    assert open_collection("small", tmp_path / "data").train.label.tolist() == [1, 0]

    loopback.content["a-labels"] = b"other"  # what is there is not fetched again
    fetch_collection("small", tmp_path / "data", progress=False)
    with pytest.raises(OSError, match="not the file that was published"):
        fetch_collection("small", tmp_path / "elsewhere", progress=False)
    assert not (tmp_path / "elsewhere/small/a-labels").exists()
    del loopback.content["a-images"]
    with pytest.raises(OSError, match=r"a-images answers 404 File not found; put the file into .*nowhere/small"):
        fetch_collection("small", tmp_path / "nowhere", progress=False)
