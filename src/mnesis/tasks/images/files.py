"""Readers of the formats that digit and character sets come in: idx, text and MATLAB matrices, zips of PNG.

What is known to go wrong with them is said where it is handled: files named .amat that are MATLAB's, pictures stored
column by column, ink stored as 0.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..files.matlab import MAGIC, read_matrix
from ..files.opening import AGAIN, damage, held, opened, read_bytes, shown, text_of
from .image_set import ImageSet

OMNIGLOT_SIDE = 105
"""Pixels of an original Omniglot drawing; one row and column are dropped before pooling."""
POOL = 4
DRAWING_BYTES = 2**18
"""Of a PNG of so many pixels, at most."""
CHARDATA_SIDE = 28


def read_idx(path: str | Path) -> np.ndarray:
    """An idx file of bytes, gzipped or not (the format of MNIST): [n], or [n, rows, columns], uint8.

    Raises:
        ValueError: another format, or a file that is not whole.
    """
    with opened(Path(path)) as file:
        magic = file.head(4)
        if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not magic[3]:
            raise ValueError(
                f"{file.name} is no idx file of bytes (it begins with {magic.hex() or 'nothing'}); give one"
            )
        sizes = file.head(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise ValueError(f"{file.name} promises {magic[3]} dimensions and ends before they do; {AGAIN}")
        shape = struct.unpack(f">{magic[3]}I", sizes)
        return file.promised(math.prod(shape), shown("x".join(map(str, shape)))).reshape(shape)


def read_digits(images: str | Path, labels: str | Path) -> ImageSet:
    """MNIST, Fashion-MNIST and their like, from a pair of idx files; ten classes of grey pictures.

    Raises:
        ValueError: files that cannot be read, or do not belong together.
    """
    pixels, label = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or label.ndim != 1:
        raise ValueError(f"{images} has {pixels.ndim} axes and {labels} {label.ndim}; give pictures (3) and labels (1)")
    names = tuple(str(digit) for digit in range(max(10, int(label.max(initial=0)) + 1)))
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(label.astype(np.int64)), names, binary=False)


def read_amat(path: str | Path, side: int = 28) -> ImageSet:
    """Rows of binary pixels: text as of the fixed binarisation of MNIST, or a MATLAB file that bears the same name.

    All pictures are of one class, since these files have no labels.

    Raises:
        ValueError: another format, other numbers than 0 and 1, or rows of another width.
    """
    path = Path(path)
    content = read_bytes(path)
    if content.startswith(MAGIC):
        rows = read_matrix(path, "X", content=content)
        if rows.ndim != 2 or rows.shape[1] != side * side:
            raise ValueError(
                f"{shown(path)} has shape {rows.shape}, not rows of {side}x{side} pixels; say side= or give another"
            )
        if not ((rows == 0) | (rows == 1)).all():
            raise ValueError(f"{shown(path)} {_NOT_BINARY}")
        pixels = rows.astype(np.uint8)
    else:
        pixels = _rows(text_of(content, path), path, side * side)
    pictures = torch.from_numpy(pixels.reshape(-1, side, side))
    return ImageSet(pictures, torch.zeros(len(pictures), dtype=torch.long), ("picture",), binary=True)


_NOT_BINARY = "holds numbers other than 0 and 1; give the binarised files, or read grey ones as idx"
_LONGEST_NUMBER = 32


def _rows(text: str, path: Path, width: int) -> np.ndarray:
    """[rows, width] of 0 and 1, from lines of numbers."""
    rows = bytearray()
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        where = f"{shown(path)}, line {number},"
        if len(line) > _LONGEST_NUMBER * width:
            raise ValueError(f"{where} has {len(line):,} characters, too many for {width} pixels; say side= or {AGAIN}")
        fields = line.split()
        if len(fields) != width:
            raise ValueError(f"{where} has {len(fields):,} numbers, not {width} pixels; say side= or give another file")
        try:
            pixels = list(map(float, fields))
        except ValueError as error:
            raise ValueError(f"{where} is no row of numbers ({error}), nor is this a MATLAB file; give one") from None
        if not {0.0, 1.0}.issuperset(pixels):
            raise ValueError(f"{where} {_NOT_BINARY}")
        rows += bytes(map(int, pixels))
    if not rows:
        raise ValueError(f"{shown(path)} holds no row of numbers; {AGAIN}")
    return np.frombuffer(rows, np.uint8).reshape(-1, width)


def read_chardata(path: str | Path, *, test: bool = False) -> ImageSet:
    """Omniglot at 28x28 as Burda et al. 2015 (arXiv 1509.00519) prepared it: chardata.mat, grey.

    A column is a picture, stored column by column; classes are (alphabet, character) pairs.

    Raises:
        ValueError: another format.
    """
    path, names = Path(path), ("testdata", "testtarget", "testtargetchar") if test else ("data", "target", "targetchar")
    content = read_bytes(path)
    columns, alphabet, character = (read_matrix(path, name, content=content) for name in names)
    if columns.ndim != 2 or columns.shape[0] != CHARDATA_SIDE**2 or not columns.shape[1]:
        raise ValueError(f"{shown(path)}: {names[0]} has shape {columns.shape}, not columns of 28x28 pixels; {AGAIN}")
    count = columns.shape[1]
    if alphabet.ndim != 2 or not len(alphabet) or alphabet.shape[1] != count or character.size != count:
        raise ValueError(
            f"{shown(path)}: {names[0]} {columns.shape}, {names[1]} {alphabet.shape} and {names[2]} {character.shape} "
            f"do not fit; {AGAIN}"
        )
    if not ((columns >= 0) & (columns <= 1)).all():
        raise ValueError(f"{shown(path)}: {names[0]} holds pixels outside 0 to 1, or that are no numbers; {AGAIN}")
    if not ((alphabet == 0) | (alphabet == 1)).all() or not (alphabet.sum(0, dtype=np.int64) == 1).all():
        raise ValueError(f"{shown(path)}: {names[1]} does not have a single 1 in every column; {AGAIN}")
    whole = np.rint(character.astype(np.float64).ravel())
    if not (whole == character.ravel()).all() or not (np.abs(whole) < 2**31).all():
        raise ValueError(f"{shown(path)}: {names[2]} holds numbers that count nothing; {AGAIN}")
    upright = columns.reshape(CHARDATA_SIDE, CHARDATA_SIDE, count, order="F").transpose(2, 0, 1)
    pixels = np.rint(255.0 * upright).astype(np.uint8)
    pairs, label = np.unique(np.stack([alphabet.argmax(0), whole.astype(np.int64)]), axis=1, return_inverse=True)
    groups = tuple(f"alphabet {int(number)}" for number in pairs[0])
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(label.ravel().astype(np.int64)), groups, binary=False)


def read_omniglot(*paths: str | Path) -> ImageSet:
    """Omniglot's own zips, as the 26x26 binary pictures of Bornschein et al. 2017 (arXiv 1709.07116).

    Ink is inverted to 1, the last row and column dropped, and every 4x4 block is ink where any of its pixels is.
    Classes are characters, groups their alphabets; those of a class stand in the order of their drawers.

    Raises:
        ValueError: no zip, no drawings in it, or a drawing that is broken or of another size.
    """
    return _drawings(paths, _pooled, binary=True)


def read_omniglot_grey(*paths: str | Path) -> ImageSet:
    """The same, area-averaged to 28x28 and grey: as chardata.mat was made, by another hand than its own.

    Raises:
        ValueError: as :func:`read_omniglot`.
    """
    return _drawings(paths, _averaged, binary=False)


def _drawings(paths: tuple[str | Path, ...], shrink: Callable[[Image.Image], np.ndarray], *, binary: bool) -> ImageSet:
    pixels, names = [], []
    for path in map(Path, paths):
        with held(path, "Omniglot's images", suffix=".png") as zipped:
            found = [(parts[-3], parts[-2], "/".join(parts)) for parts in map(_parts, sorted(zipped.names())) if parts]
            if not found:
                raise ValueError(f"{shown(path)} holds no ALPHABET/characterNN/*.png; give a zip of Omniglot's images")
            for alphabet, character, name in found:
                drawing = zipped.read(name, DRAWING_BYTES)
                pixels.append(_drawing(f"{shown(path)}: {shown(name)}", drawing, shrink))
                names.append((alphabet, character))
    classes = sorted(set(names))
    number = {name: index for index, name in enumerate(classes)}
    label = torch.tensor([number[name] for name in names])
    groups = tuple(alphabet for alphabet, _ in classes)
    return ImageSet(torch.from_numpy(np.stack(pixels)), label, groups, binary=binary)


def _parts(name: str) -> list[str]:
    """Of the path of a drawing, ALPHABET/characterNN/NAME.png; nothing of others."""
    parts = name.split("/")
    is_drawing = len(parts) >= 3 and parts[-3] and parts[-2].removeprefix("character").isdecimal()
    return parts if is_drawing and parts[-2].startswith("character") else []


def _drawing(name: str, content: bytes, shrink: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    with damage(f"{name} is broken"):
        picture = Image.open(BytesIO(content), formats=("PNG",))
    if picture.size != (OMNIGLOT_SIDE, OMNIGLOT_SIDE):  # before any pixel is unpacked
        raise ValueError(f"{name} is {picture.width}x{picture.height}, not 105x105 as Omniglot's drawings are; {AGAIN}")
    with damage(f"{name} is broken"):
        return shrink(picture.convert("L"))


def _pooled(picture: Image.Image) -> np.ndarray:
    side = OMNIGLOT_SIDE // POOL
    ink = (np.asarray(picture) <= 127)[: side * POOL, : side * POOL]
    return np.asarray(ink.reshape(side, POOL, side, POOL).any((1, 3)), np.uint8)


def _averaged(picture: Image.Image) -> np.ndarray:
    return 255 - np.asarray(picture.resize((CHARDATA_SIDE, CHARDATA_SIDE), Image.Resampling.BOX))
