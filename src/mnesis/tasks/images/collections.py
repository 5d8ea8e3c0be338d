"""Collections of pictures by name: from a folder, fetched with checksums, or made up where there are no files.

A folder has one subfolder a collection, with the files under their original names (gzipped or not)::

    data/mnist/train-images-idx3-ubyte.gz
    data/omniglot/images_background.zip
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ..files.fetching import File, fetch, places
from .files import read_amat, read_chardata, read_digits, read_omniglot, read_omniglot_grey
from .glyphs import draw_glyphs
from .image_set import ImageSet
from .splits import (
    PUBLISHED,
    Split,
    held_out,
    split_30_20,
    split_45_5,
    split_45_5_as_published,
    split_by_drawers,
)

HELD_OUT = 10_000
"""The last pictures of MNIST's training set, to validate on, by custom."""
GLYPH_CLASSES = (400, 40, 144)
"""Of training, validation and test; as many to test on as Omniglot's five alphabets have."""


@dataclass(frozen=True)
class Collection:
    """Pictures shared out among training, choice of a model, and test."""

    name: str
    files: tuple[File, ...]
    """Empty where the pictures are made on the spot."""
    read: Callable[[Path], Split]
    """From the collection's own folder."""
    shares: str = ""
    """Another collection, whose folder and files it has."""

    def own(self, folder: Path) -> Path:
        """Where its files stand."""
        return folder / (self.shares or self.name)


def open_collection(name: str, folder: str | Path | None = None) -> Split:
    """A collection's pictures, kept for the next call.

    Args:
        name: mnist, binarized-mnist, fashion-mnist; omniglot (40 alphabets, 5 to choose by and 5 to test on),
            omniglot-45-5 (without those to choose by), omniglot-30-20 (as published) or omniglot-28 (grey, other
            drawers of the same characters: chardata.mat where it stands beside the zips, else made of them and said
            so); digits (those of scikit-learn, 8x8) or glyphs, which need no files.
        folder: that holds the collection's own folder.

    Raises:
        ValueError: an unknown name, no folder where files are needed, or files that are missing or broken.
    """
    collection = _find(name)
    if collection.files and folder is None:
        raise ValueError(f"{name} is read from files; say which folder holds {name}/, or get it with mnesis fetch")
    return _opened(name, Path(folder or "."))


@cache
def _opened(name: str, folder: Path) -> Split:
    return COLLECTIONS[name].read(COLLECTIONS[name].own(folder))


def fetch_collection(name: str, folder: str | Path, *, progress: bool = True) -> Path:
    """Download what is missing of a collection; every file is checked against its checksum, those that are there too.

    Returns:
        The collection's folder.

    Raises:
        ValueError: an unknown name, one that needs no files, or a folder that cannot be written.
        OSError: no network, or another file than the one that was published.
    """
    collection = _find(name)
    if not collection.files:
        raise ValueError(f"{name} needs no files: open it without a folder")
    own = collection.own(Path(folder))
    fetch(collection.files, own, progress=progress)
    return own


def _find(name: str) -> Collection:
    if name not in COLLECTIONS:
        raise ValueError(f"no collection of pictures is called {name!r}; there are {', '.join(COLLECTIONS)}")
    return COLLECTIONS[name]


def _path(folder: Path, name: str) -> Path:
    first, other = places(folder, name)
    return other if other.exists() and not first.exists() else first


def _idx(folder: Path) -> Split:
    train, test = (
        read_digits(_path(folder, f"{part}-images-idx3-ubyte.gz"), _path(folder, f"{part}-labels-idx1-ubyte.gz"))
        for part in ("train", "t10k")
    )
    held = torch.arange(len(train)) >= len(train) - HELD_OUT
    return Split(train.where(~held), train.where(held), test)


def _amat(folder: Path) -> Split:
    return Split(*(read_amat(_path(folder, f"binarized_mnist_{part}.amat")) for part in ("train", "valid", "test")))


def _omniglot(folder: Path) -> Split:
    return split_45_5(read_omniglot(*_omniglot_zips(folder)))


def _omniglot_45_5(folder: Path) -> Split:
    return split_45_5_as_published(read_omniglot(*_omniglot_zips(folder)))


def _omniglot_28(folder: Path) -> Split:
    path = folder / "chardata.mat"
    if not path.exists():
        return split_by_drawers(read_omniglot_grey(*_omniglot_zips(folder)))
    train, test = read_chardata(path), read_chardata(path, test=True)
    if (len(train), len(test)) != PUBLISHED:
        raise ValueError(
            f"{path} holds {len(train):,} + {len(test):,} pictures, and the published file 24,345 + 8,070; give that, "
            "or move it away"
        )
    with path.open("rb") as file:
        return held_out(train, test, f"chardata.mat, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}")


def _omniglot_as_published(folder: Path) -> Split:
    return split_30_20(*map(read_omniglot, _omniglot_zips(folder)))


def _omniglot_zips(folder: Path) -> tuple[Path, Path]:
    return folder / "images_background.zip", folder / "images_evaluation.zip"


def _digits(folder: Path) -> Split:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('the digits come with scikit-learn: pip install "mnesis[images]"') from error
    levels, digit = load_digits(return_X_y=True)  # 0..16
    pixels = torch.from_numpy(np.rint(levels * 255 / 16).astype(np.uint8).reshape(-1, 8, 8))
    whole = ImageSet(pixels, torch.from_numpy(digit.astype(np.int64)), tuple("0123456789"), binary=False)
    place = torch.arange(len(whole)) / len(whole)
    return Split(whole.where(place < 0.7), whole.where((place >= 0.7) & (place < 0.8)), whole.where(place >= 0.8))


def _glyphs(folder: Path) -> Split:
    return Split(*(draw_glyphs(classes, seed=seed) for seed, classes in enumerate(GLYPH_CLASSES)))


_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_LAROCHELLE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python"


def _published(base: str, sums: dict[str, str], contents: Mapping[str, str] = {}) -> tuple[File, ...]:
    return tuple(File(name, f"{base}/{name}", sha256, contents.get(name, "")) for name, sha256 in sums.items())


_OMNIGLOT = _published(_LAKE, {
    "images_background.zip": "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
    "images_evaluation.zip": "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
})  # fmt: skip


COLLECTIONS = {
    collection.name: collection
    for collection in (
        Collection(
            "mnist",
            _published(_MNIST, {
                "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            }, {
                "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            }),
            _idx,
        ),
        Collection(
            "fashion-mnist",
            _published(_FASHION, {
                "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            }),
            _idx,
        ),
        Collection(
            "binarized-mnist",
            _published(_LAROCHELLE, {
                "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
                "binarized_mnist_valid.amat": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
                "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            }),
            _amat,
        ),
        Collection("omniglot", _OMNIGLOT, _omniglot),
        Collection("omniglot-45-5", _OMNIGLOT, _omniglot_45_5, shares="omniglot"),
        Collection("omniglot-28", _OMNIGLOT, _omniglot_28, shares="omniglot"),
        Collection("omniglot-30-20", _OMNIGLOT, _omniglot_as_published, shares="omniglot"),
        Collection("digits", (), _digits),
        Collection("glyphs", (), _glyphs),
    )
}  # fmt: skip
