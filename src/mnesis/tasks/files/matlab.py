"""Reader of numbers in MATLAB files (level 5): matrices, and cells of matrices.

Everything that a file promises is compared with what stands in it before anything is made of it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .opening import AGAIN, damage, read_bytes, shown

MAGIC = b"MATLAB 5"
CELLS = 2**17
"""Matrices in one variable, at most."""
UNPACKED_MATRIX = 2**28
"""Bytes of a variable; the 24,345 pictures of Omniglot have 153 million."""
BEGINNING = 2**10
"""Bytes in which a matrix has said its name."""
_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""How numbers are stored, whatever a matrix is of."""
_INT32, _UINT32, _INT8 = 5, 6, 1
_CLASSES = {2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix", 16: "a function", 17: "an object"}
_CELL, _NUMBERS = 1, range(6, 16)
_COMPLEX = 0x08


class _Matrix(NamedTuple):
    """What stands before the content of a matrix."""

    name: str
    kind: int
    complex: bool
    shape: tuple[int, ...]
    rest: memoryview


def read_matrix(path: Path, name: str, *, content: bytes | None = None) -> np.ndarray:
    """The variable of a name, as numbers in the type that they are stored in.

    Args:
        path: of the file.
        name: of the variable.
        content: of the file, where it has been read already.

    Raises:
        ValueError: no file that can be read, no such variable, or one that holds other things than real numbers.
    """
    found, order = _variable(path, name, content)
    return _numbers(found, order, f"{shown(path)}, {name}")


def read_cells(path: Path, name: str) -> list[np.ndarray]:
    """The matrices in the cells of a variable, column by column.

    Raises:
        ValueError: no file that can be read, no such variable, or one of another kind.
    """
    found, order = _variable(path, name, None)
    where = f"{shown(path)}, {name}"
    if found.kind != _CELL:
        raise ValueError(f"{where} is {_kind(found)} and no cells; give a file of this format")
    count = math.prod(found.shape)
    if count > CELLS:
        raise ValueError(f"{where} promises {count:,} cells, and {CELLS:,} are read; give a smaller file")
    matrices = []
    for number, (kind, content) in enumerate(_elements(found.rest, order, where), 1):
        if kind != _MATRIX or number > count:
            raise ValueError(f"{where}: what follows cell {number - 1} is damaged; {AGAIN}")
        matrices.append(_numbers(_matrix(content, order, where), order, f"{where} {number}"))
    if len(matrices) != count:
        raise ValueError(f"{where} promises {count:,} cells and holds {len(matrices):,}; {AGAIN}")
    return matrices


def _variable(path: Path, name: str, content: bytes | None) -> tuple[_Matrix, str]:
    """The variable of a name, and the byte order of the file."""
    content = read_bytes(path) if content is None else content
    where = shown(path)
    orders = {b"IM": "<", b"MI": ">"}
    if not content.startswith(MAGIC) or content[126:128] not in orders:
        raise ValueError(f"{where} is no MATLAB file of level 5; save it with -v6 or -v7")
    order, names = orders[content[126:128]], []
    for kind, element in _elements(memoryview(content)[_HEADER:], order, where):
        if kind == _COMPRESSED:
            matrix = _unpacked(element, order, where, name)
        elif kind == _MATRIX:
            matrix = _matrix(element, order, where)
        else:
            continue
        if matrix.name == name:
            return matrix, order
        names.append(matrix.name)
    there = shown(", ".join(names)) or "none"
    raise ValueError(f"{where} has no variable {name} (its variables: {there}); give a file of this format")


def _unpacked(element: memoryview, order: str, where: str, name: str) -> _Matrix:
    """The matrix in a compressed element, whole if it has this name."""
    packed = zlib.decompressobj()
    with damage(f"{where} is not whole"):
        begin = packed.decompress(element, 8 + BEGINNING)
        kind, size = struct.unpack(f"{order}II", begin[:8])
    if kind != _MATRIX or size > UNPACKED_MATRIX:
        raise ValueError(f"{where} promises {size:,} bytes of a matrix, and {UNPACKED_MATRIX:,} are unpacked; {AGAIN}")
    matrix = _matrix(memoryview(begin)[8 : 8 + size], order, where)
    if matrix.name != name:
        return matrix
    with damage(f"{where} is not whole"):  # one byte more than promised, since the checksum comes after the last one
        content = begin[8:] + packed.decompress(packed.unconsumed_tail, max(1, size + 9 - len(begin)))
    if len(content) != size or not packed.eof:
        raise ValueError(f"{where} promises {size:,} bytes of {name} and holds {len(content):,}; {AGAIN}")
    return _matrix(memoryview(content), order, where)


def _elements(content: memoryview, order: str, where: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of what stands one after the other."""
    place = 0
    while place < len(content):
        kind, element, place = _element(content, place, order, where)
        yield kind, element


def _element(content: memoryview, place: int, order: str, where: str) -> tuple[int, memoryview, int]:
    """Type and content of what stands at a place, and the place after it."""
    if len(content) - place < 8:
        raise ValueError(f"{where} is not whole (it ends within what begins at {place:,}); {AGAIN}")
    kind, size = struct.unpack_from(f"{order}II", content, place)
    start = place + 8
    end = start + size + (0 if kind == _COMPRESSED else -size % 8)
    if kind >> 16:  # type, size and content in eight bytes
        kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
    if start + size > min(end, len(content)):
        raise ValueError(f"{where} promises {size:,} bytes at {place:,} and holds fewer; {AGAIN}")
    return kind, content[start : start + size], end


def _matrix(content: memoryview, order: str, where: str) -> _Matrix:
    parts, place = [], 0
    for expected in (_UINT32, _INT32, _INT8):
        kind, part, place = _element(content, place, order, where)
        if kind != expected:
            raise ValueError(f"{where} has a matrix that does not begin with flags, dimensions and a name; {AGAIN}")
        parts.append(part)
    flags, shape, name = parts
    sizes = struct.unpack(f"{order}{len(shape) // 4}i", shape[: len(shape) // 4 * 4])
    if len(flags) != 8 or len(sizes) < 2 or min(sizes) < 0:
        raise ValueError(f"{where} has a matrix of shape {shown(sizes)}; {AGAIN}")
    word = struct.unpack(f"{order}II", flags)[0]
    return _Matrix(bytes(name).decode("latin-1"), word & 0xFF, bool(word >> 8 & _COMPLEX), sizes, content[place:])


def _numbers(matrix: _Matrix, order: str, where: str) -> np.ndarray:
    if matrix.kind not in _NUMBERS or matrix.complex:
        raise ValueError(f"{where} is {_kind(matrix)} and no matrix of real numbers; give a file of this format")
    kind, content, _ = _element(matrix.rest, 0, order, where)
    if kind not in _TYPES:
        raise ValueError(f"{where} stores its numbers in an unknown type ({kind}); {AGAIN}")
    stored = np.dtype(order + _TYPES[kind])
    if len(content) != math.prod(matrix.shape) * stored.itemsize:
        shape = "x".join(map(str, matrix.shape))
        raise ValueError(f"{where} promises {shape} numbers and holds {len(content) // stored.itemsize:,}; {AGAIN}")
    return np.frombuffer(content, stored).reshape(matrix.shape, order="F")


def _kind(matrix: _Matrix) -> str:
    if matrix.kind == _CELL:
        return "cells"
    return "complex" if matrix.kind in _NUMBERS else _CLASSES.get(matrix.kind, f"of class {matrix.kind}")
