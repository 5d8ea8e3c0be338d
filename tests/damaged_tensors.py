"""safetensors files, damaged in the ways that disks, transfers and strangers damage them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any


def damage(path: Path, kind: str, random: Random) -> None:
    """Damage a file in one of the ways of :data:`DAMAGE`."""
    path.write_bytes(DAMAGE[kind](path.read_bytes(), random))


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, data: bytes) -> bytes:
    """A file of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _flipped(content: bytes, random: Random, start: int, stop: int) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 8])):
        changed[random.randrange(start, max(start + 1, stop))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _header_flipped(content: bytes, random: Random) -> bytes:
    return _flipped(content, random, 8, 8 + struct.unpack("<Q", content[:8])[0])


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def _longer(content: bytes, random: Random) -> bytes:
    return content + random.randbytes(random.choice([1, 4, 4096]))


def _length(content: bytes, random: Random) -> bytes:
    return struct.pack("<Q", random.choice([0, 1, 2**31, 2**62, 2**64 - 1, random.randrange(2**20)])) + content[8:]


def _foreign(content: bytes, random: Random) -> bytes:
    return random.choice(
        [b"", b"\x80\x04pickle", b"PK\x03\x04" + content, content.decode("latin-1").encode("utf-16"), content[8:],
         bytes(len(content)), random.randbytes(len(content)), b"[" * 99_999]
    )  # fmt: skip


def _nested(content: bytes, random: Random) -> bytes:
    return joined(random.choice([b"[" * 50_000, b'{"a":' * 9000, b"{" * 9, b'{"0":' + b"9" * 6000 + b"}"]), b"")


def _entry(content: bytes, random: Random, key: str, values: list[Any]) -> bytes:
    header, data = parts(content)
    name = random.choice([name for name in header if name != "__metadata__"])
    header[name][key] = random.choice(values)
    return joined(header, data)


OFFSETS = [[0, 0], [1, 2], [0, 2**63], [0], 7, [4, 0]]
HUGE = [[], [0], [-1], [10**9], [10**30], [2**62, 4], [0, 2**62], [1] * 300, "4", None, [1.5], [True], {}]


def _surplus(content: bytes, random: Random) -> bytes:
    header, data = parts(content)
    name = random.choice(["more", "9999", "0", "00000", "-1", ""])
    if name in header:
        name = "more"
    header[name] = {"dtype": "F32", "shape": [1], "data_offsets": [len(data), len(data) + 4]}
    return joined(header, data + bytes(4))


def _missing(content: bytes, random: Random) -> bytes:
    header, data = parts(content)
    last = max((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    begin, _ = header.pop(last)["data_offsets"]
    return joined(header, data[:begin])


def _renamed(content: bytes, random: Random) -> bytes:
    header, data = parts(content)
    name = random.choice([name for name in header if name != "__metadata__"])
    header[random.choice(["x", "²", "-1", "0x1", "1e3", "9" * 40, " 0"])] = header.pop(name)
    return joined(header, data)


DAMAGE: dict[str, Callable[[bytes, Random], bytes]] = {
    "header flipped": _header_flipped,
    "cut": _cut,
    "longer": _longer,
    "length": _length,
    "foreign": _foreign,
    "nested": _nested,
    "dtype": lambda content, random: _entry(content, random, "dtype", ["F99", "F8_E5M2", "I8", "C64", 5, None, "f32"]),
    "shape": lambda content, random: _entry(content, random, "shape", HUGE),
    "offsets": lambda content, random: _entry(
        content, random, "data_offsets", [[0, 0], [1, 2], [0, 2**63], [0], 7, [4, 0]]
    ),
    "surplus": _surplus,
    "missing": _missing,
    "renamed": _renamed,
    "no entries": lambda content, random: joined(random.choice([{}, [], 5, None, {"__metadata__": 5}]), b""),
}
