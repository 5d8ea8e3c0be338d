"""Pictures by name: read from folders, made up, or fetched with checksums."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import pytest

from mnesis.tasks.images import collections
from mnesis.tasks.images.collections import COLLECTIONS, Collection, File, fetch_collection, open_collection
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
