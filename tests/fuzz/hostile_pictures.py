"""Pictures and piano rolls made to run a reader out of time, memory or sense, and what they have to be met with."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from mnesis.tasks.files.matlab import read_cells, read_matrix
from mnesis.tasks.images.files import read_amat, read_chardata, read_idx, read_omniglot
from mnesis.tasks.signals.polyphonic_music import PolyphonicMusic
from tests.fuzz import Input
from tests.hostile import MEGABYTE, Content, Hostile, bomb, drawn, zipped


def inputs(seed: int) -> Iterator[Input]:
    """All of them, in an order that the seed draws."""
    return drawn(hostile(), seed)


def hostile() -> list[Hostile]:
    """Every one."""
    return [*_idx(), *_rows(), *_matlab(), *_omniglot()]


IDX = b"\0\0\x08\x03" + struct.pack(">3I", 1, 2, 3)


def _idx() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return read_idx(folder / "a")

    most = b"\0\0\x08\x03" + struct.pack(">3I", *3 * [2**32 - 1])
    return [
        Hostile(
            "idx of a header alone",
            {"a": b"\0\0\x08\x03"},
            read,
            "/a promises 3 dimensions and ends before they do; get",
        ),
        Hostile(
            "idx without dimensions",
            {"a": b"\0\0\x08\0abc"},
            read,
            r"/a is no idx file of bytes \(it begins with 00000800",
        ),
        Hostile(
            "idx that promises all",
            {"a": most + b"abc"},
            read,
            r"/a promises 79,228,.* bytes of 4294967295x.* are read; get",
        ),
        Hostile(
            "idx bomb",
            {"a": lambda: bomb(IDX, 1500)},
            read,
            "/a promises 6 bytes of 1x2x3 and holds more; get the file",
        ),
        Hostile("idx FIFO", {"a": None}, read, "/a is no file, but a device, a FIFO or a socket; give the path of one"),
        Hostile(
            "idx torn", {"a": gzip.compress(IDX + b"abcdef")[:-4]}, read, r"/a is not whole \(.*\); get the file again"
        ),
    ]


def _rows() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return read_amat(folder / "a", side=2)

    def picture(folder: Path) -> Any:
        return read_amat(folder / "a")

    return [
        Hostile(
            "amat of one line", {"a": lambda: b"0 " * 15_000_000}, picture, "/a, line 1, has 30,000,000 characters, too"
        ),
        Hostile(
            "amat bomb",
            {"a": lambda: bomb(b"0 1 0 1\n", 1500)},
            read,
            "/a holds more than 134,217,728 bytes; unpack it",
        ),
        Hostile(
            "amat in UTF-16",
            {"a": "0 1 1 0\n".encode("utf-16")},
            read,
            r"/a is not UTF-8 \(byte 0xFF at offset 0\); conv",
        ),
        Hostile("amat of halves", {"a": b"0 1 1 0.5\n"}, read, "/a, line 1, holds numbers other than 0 and 1; give"),
        Hostile(
            "amat of no numbers", {"a": b"0 1 1 nan\n"}, read, "/a, line 1, holds numbers other than 0 and 1; give"
        ),
    ]


def _mat(values: dict[str, Any], *, compressed: bool = True) -> bytes:
    file = io.BytesIO()
    savemat(file, values, do_compression=compressed)
    return file.getvalue()


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _matrix(name: bytes, shape: tuple[int, ...], kind: int, rest: bytes) -> bytes:
    head = _element(6, struct.pack("<II", kind, 0)) + _element(5, struct.pack(f"<{len(shape)}i", *shape))
    return _element(14, head + _element(1, name) + rest)


def _file(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(elements)


def _matlab() -> list[Hostile]:
    data = np.zeros((784, 2))
    whole = {"data": data, "target": np.eye(2), "targetchar": np.array([[1.0, 2.0]])}

    def chardata(**other: Any) -> dict[str, Content]:
        return {"a": _mat({**whole, **other})}

    def numbers(folder: Path) -> Any:
        return read_matrix(folder / "a", "X")

    def cells(folder: Path) -> Any:
        return read_cells(folder / "a", "X")

    def pictures(folder: Path) -> Any:
        return read_chardata(folder / "a")

    def play(folder: Path) -> Any:
        return PolyphonicMusic(folder / "a")

    huge = _matrix(b"X", (2**30, 2**30), 6, _element(9, bytes(16)))
    endless = struct.pack("<II", 14, 2**32 - 8)
    unpacking = bomb_in_zlib(_matrix(b"X", (1, 100), 9, _element(2, bytes(100))), 300)
    roll = np.zeros((3, 88))
    halves = np.empty((1, 1), object)
    halves[0, 0] = roll + 0.5
    return [
        Hostile(
            "matrix of 2^60 numbers",
            {"a": _file(huge)},
            numbers,
            "/a, X promises 1073741824x1073741824 numbers and holds 2",
        ),
        Hostile(
            "matrix of 4 GB",
            {"a": _file(endless)},
            numbers,
            "/a promises 4,294,967,288 bytes at 0 and holds fewer; get",
        ),
        Hostile(
            "matrix bomb",
            {"a": lambda: _file(struct.pack("<II", 15, len(unpacking)) + unpacking)},
            numbers,
            "/a promises 1.. bytes of X and holds",
        ),
        Hostile(
            "2^31 cells",
            {"a": _file(_matrix(b"X", (2**16, 2**15), 1, b""))},
            cells,
            "/a, X promises 2,147,483,648 cells, and 131,0",
        ),
        Hostile(
            "cells that are not there",
            {"a": _file(_matrix(b"X", (1, 9), 1, b""))},
            cells,
            "/a, X promises 9 cells and holds 0; get",
        ),
        Hostile(
            "cells for a matrix",
            {"a": _file(_matrix(b"X", (1, 9), 1, b""))},
            numbers,
            "/a, X is cells and no matrix of real num",
        ),
        Hostile(
            "matrix for cells", {"a": _mat({"X": roll})}, cells, "/a, X is .*and no cells; give a file of this format"
        ),
        Hostile(
            "complex numbers",
            {"a": _mat({"X": roll + 1j})},
            numbers,
            "/a, X is complex and no matrix of real numbers; give",
        ),
        Hostile(
            "MATLAB 7.3",
            {"a": b"MATLAB 7.3 MAT-file".ljust(512)},
            numbers,
            "/a is no MATLAB file of level 5; save it with -v6",
        ),
        Hostile(
            "chardata of strings",
            chardata(data=np.array(["abc", "de"])),
            pictures,
            "/a, data is text and no matrix of real",
        ),
        Hostile(
            "chardata of NaN",
            chardata(data=data * np.nan),
            pictures,
            "/a: data holds pixels outside 0 to 1, or that are no",
        ),
        Hostile(
            "chardata of sevens",
            chardata(data=data + 7),
            pictures,
            "/a: data holds pixels outside 0 to 1, or that are no",
        ),
        Hostile(
            "chardata of fractions",
            chardata(targetchar=np.array([[1.5, 2]])),
            pictures,
            "/a: targetchar holds numbers that count",
        ),
        Hostile(
            "chardata of no alphabet",
            chardata(target=np.zeros((2, 2))),
            pictures,
            "/a: target does not have a single 1 in every",
        ),
        Hostile(
            "chardata of others",
            chardata(targetchar=np.array([[1, 2, 3]])),
            pictures,
            r"/a: data \(784, 2\), target .* do not fit; get",
        ),
        Hostile(
            "piano rolls of halves",
            {"a": _mat({"traindata": halves})},
            play,
            "/a, traindata 1 is no roll of 0 and 1 for 88 keys; g",
        ),
        Hostile(
            "piano rolls in a FIFO",
            {"a": None},
            play,
            "/a is no file, but a device, a FIFO or a socket; give the path of JSB",
        ),
    ]


def bomb_in_zlib(head: bytes, megabytes: int) -> bytes:
    """What unpacks to the same, without gzip's frame."""
    packed = zlib.compressobj(9)
    parts = [packed.compress(head)] + [packed.compress(MEGABYTE) for _ in range(megabytes)]
    return b"".join([*parts, packed.flush()])


def changed(archive: bytes, *, flags: int | None = None, method: int | None = None, size: int | None = None) -> bytes:
    """A zip whose one file says other things of itself, in both of its headers."""
    other = bytearray(archive)
    central = archive.rindex(b"PK\x01\x02")
    for place, value, form in ((6, flags, "<H"), (8, method, "<H"), (22, size, "<I")):
        if value is not None:
            struct.pack_into(form, other, place, value)
            struct.pack_into(form, other, central + place + 2, value)
    return bytes(other)


def png(side: int, seed: int = 0) -> bytes:
    """A drawing of noise."""
    file = io.BytesIO()
    white = np.random.default_rng(seed).integers(2, size=(side, side), dtype=np.uint8) * 255
    Image.fromarray(white).convert("1").save(file, "png")
    return file.getvalue()


def _sized_png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunk = lambda name, content: (  # noqa: E731
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    )
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def _omniglot() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return read_omniglot(folder / "a")

    name = "x/Greek/character01/0001_01.png"
    whole, drawing = zipped(name, png(105)), png(105)
    broken = drawing[: drawing.index(b"IDAT")] + b"ID\0T" + drawing[drawing.index(b"IDAT") + 4 :]
    return [
        Hostile("drawing encrypted", {"a": changed(whole, flags=1)}, read, r"/a: .*01.png is not whole \(.*encrypted"),
        Hostile(
            "drawing packed unknown",
            {"a": changed(whole, method=77)},
            read,
            r"/a: .*01.png is not whole \(.*method is not",
        ),
        Hostile(
            "drawing with a broken chunk",
            {"a": zipped(name, broken)},
            read,
            r"/a: .*01.png is broken \(.*\); get the file",
        ),
        Hostile(
            "drawing of 400 million pixels",
            {"a": zipped(name, _sized_png(20_000, 20_000))},
            read,
            r"/a: .*01.png is (broken|20000)",
        ),
        Hostile(
            "drawing of a million pixels",
            {"a": zipped(name, _sized_png(1000, 1000))},
            read,
            "/a: .*01.png is 1000x1000, not 105",
        ),
        Hostile(
            "drawing cut off",
            {"a": zipped(name, drawing[:-60])},
            read,
            r"/a: .*01.png is broken \(.*\); get the file again",
        ),
        Hostile(
            "drawing of no bytes", {"a": zipped(name, b"")}, read, r"/a: .*01.png is broken \(.*\); get the file again"
        ),
        Hostile("drawing of another kind", {"a": zipped(name, b"GIF89a" + bytes(40))}, read, r"/a: .*01.png is broken"),
        Hostile(
            "drawing bomb",
            {"a": lambda: zipped(name, lambda: iter(300 * [MEGABYTE]))},
            read,
            "promises 314,572,800 bytes, and 262,144",
        ),
        Hostile(
            "drawing that says 4 GB",
            {"a": changed(whole, size=2**32 - 2)},
            read,
            "promises 4,294,967,294 bytes, and 262,144 are",
        ),
        Hostile("drawing that says less", {"a": changed(whole, size=9)}, read, r"/a: .*01.png is not whole \(Bad CRC"),
        Hostile(
            "drawing twice",
            {"a": _twice(name, drawing)},
            read,
            "/a holds a file twice under one name; get the file again",
        ),
        Hostile(
            "drawings of long names",
            {"a": zipped("a" * 65_000 + ".png", b"")},
            read,
            r"/a holds no ALPHABET/characterNN",
        ),
    ]


def _twice(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(name, content)
        archive.writestr(name, content)
    return file.getvalue()
