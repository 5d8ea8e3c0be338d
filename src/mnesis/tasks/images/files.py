"""Readers of the formats that digit and character sets come in: idx, text and MATLAB matrices, zips of PNG.

What is known to go wrong with them is said where it is handled: files named .amat that are MATLAB's, pictures stored
column by column, ink stored as 0.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from .image_set import ImageSet

OMNIGLOT_SIDE = 105
"""Pixels of an original Omniglot drawing; one row and column are dropped before pooling."""
POOL = 4


def read_idx(path: str | Path) -> np.ndarray:
    """An idx file of bytes, gzipped or not (the format of MNIST): [n], or [n, rows, columns], uint8.

    Raises:
        ValueError: another format, or a file that is not whole.
    """
    path = Path(path)
    data = _read(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8:
        raise ValueError(f"{path} is no idx file of bytes (it begins with {data[:4].hex() or 'nothing'}); give one")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    body = data[4 + 4 * data[3] :]
    if len(body) != math.prod(shape):
        raise ValueError(
            f"{path} promises {math.prod(shape)} bytes of {'x'.join(map(str, shape))} and holds {len(body)}; "
            "download it again"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def read_digits(images: str | Path, labels: str | Path) -> ImageSet:
    """MNIST, Fashion-MNIST and their like, from a pair of idx files; ten classes of grey pictures.

    Raises:
        ValueError: files that cannot be read, or do not belong together.
    """
    pixels, label = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or label.ndim != 1:
        raise ValueError(f"{images} has {pixels.ndim} axes and {labels} {label.ndim}; give pictures (3) and labels (1)")
    names = tuple(str(digit) for digit in range(max(10, int(label.max(initial=0)) + 1)))
    return ImageSet(torch.from_numpy(pixels.copy()), torch.from_numpy(label.astype(np.int64)), names, binary=False)


def read_amat(path: str | Path, side: int = 28) -> ImageSet:
    """Rows of binary pixels: text as of the fixed binarisation of MNIST, or a MATLAB file that bears the same name.

    All pictures are of one class, since these files have no labels.

    Raises:
        ValueError: another format, other numbers than 0 and 1, or rows of another width.
    """
    path = Path(path)
    data = _read(path)
    if data.startswith(b"MATLAB"):
        rows = _matlab(path, data, "X")
    else:
        try:
            text = data.decode("ascii")
            rows = np.array([line.split() for line in text.splitlines() if line.strip()], np.float64)
        except ValueError as error:
            raise ValueError(f"{path} is neither rows of numbers nor a MATLAB file ({error}); give one") from None
    if rows.ndim != 2 or rows.shape[1] != side * side:
        raise ValueError(f"{path} has shape {rows.shape}, not rows of {side}x{side} pixels; say side= or give another")
    if not np.isin(rows, (0, 1)).all():
        raise ValueError(f"{path} holds numbers other than 0 and 1; give the binarised files, or read grey ones as idx")
    pixels = torch.from_numpy(rows.astype(np.uint8).reshape(-1, side, side))
    return ImageSet(pixels, torch.zeros(len(pixels), dtype=torch.long), ("picture",), binary=True)


def read_chardata(path: str | Path, *, test: bool = False) -> ImageSet:
    """Omniglot at 28x28 as Burda et al. 2015 (arXiv 1509.00519) prepared it: chardata.mat, grey.

    A column is a picture, stored column by column; classes are (alphabet, character) pairs.

    Raises:
        ValueError: another format.
    """
    path, kind = Path(path), "test" if test else ""
    data = _read(path)
    names = ("testdata", "testtarget", "testtargetchar") if test else ("data", "target", "targetchar")
    columns, alphabet, character = (_matlab(path, data, name) for name in names)
    count = columns.shape[1]
    side = math.isqrt(columns.shape[0])
    if side * side != columns.shape[0] or alphabet.shape[1] != count or character.size != count:
        raise ValueError(
            f"{path}: {kind}data {columns.shape}, target {alphabet.shape}, targetchar {character.shape} do not fit"
        )
    pixels = np.rint(255 * columns.reshape(side, side, count, order="F").transpose(2, 0, 1)).astype(np.uint8)
    pairs, label = np.unique(
        np.stack([alphabet.argmax(0), character.astype(np.int64).ravel()]), axis=1, return_inverse=True
    )
    groups = tuple(f"alphabet {int(number)}" for number in pairs[0])
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(label.ravel().astype(np.int64)), groups, binary=False)


def read_omniglot(*paths: str | Path) -> ImageSet:
    """Omniglot's own zips, as the 26x26 binary pictures of Bornschein et al. 2017 (arXiv 1709.07116).

    Ink is inverted to 1, the last row and column dropped, and every 4x4 block is ink where any of its pixels is.
    Classes are characters, groups their alphabets.

    Raises:
        ValueError: no zip, no drawings in it, or a drawing that is broken or of another size.
    """
    pixels, names = [], []
    for path in map(Path, paths):
        _check(path)
        try:
            archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile:
            raise ValueError(f"{path} is no whole zip; download it again") from None
        with archive:
            found = [(match, name) for name in sorted(archive.namelist()) if (match := _DRAWING.search(name))]
            if not found:
                raise ValueError(f"{path} holds no ALPHABET/characterNN/*.png; give a zip of Omniglot's images")
            for match, name in found:
                pixels.append(_drawing(path, archive, name))
                names.append((match[1], match[2]))
    classes = sorted(set(names))
    number = {name: index for index, name in enumerate(classes)}
    label = torch.tensor([number[name] for name in names])
    return ImageSet(torch.from_numpy(np.stack(pixels)), label, tuple(alphabet for alphabet, _ in classes), binary=True)


_DRAWING = re.compile(r"([^/]+)/(character\d+)/[^/]+\.png$")


def _drawing(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        white = np.asarray(Image.open(BytesIO(archive.read(name))).convert("L")) > 127
    except (UnidentifiedImageError, zipfile.BadZipFile, zlib.error, OSError) as error:
        raise ValueError(f"{path}: {name} is broken ({error}); download the zip again") from None
    if white.shape != (OMNIGLOT_SIDE, OMNIGLOT_SIDE):
        raise ValueError(f"{path}: {name} is {white.shape[1]}x{white.shape[0]}, not 105x105 as Omniglot's drawings are")
    side = OMNIGLOT_SIDE // POOL
    ink = ~white[: side * POOL, : side * POOL]
    return np.asarray(ink.reshape(side, POOL, side, POOL).any((1, 3)), np.uint8)


def _matlab(path: Path, data: bytes, name: str) -> np.ndarray:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise ImportError('MATLAB files need the extra: pip install "mnesis[images]"') from error
    try:
        variables: dict[str, Any] = loadmat(BytesIO(data), variable_names=[name])
    except (ValueError, TypeError, NotImplementedError, MatReadError, zlib.error, OSError) as error:
        raise ValueError(f"{path} is no MATLAB 5 file that can be read ({error}); download it again") from None
    if name not in variables:
        raise ValueError(f"{path} has no variable {name}; give a file of this format")
    return variables[name]


def _read(path: Path) -> bytes:
    _check(path)
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not whole ({error}); download it again") from None


def _check(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give the path of one")
