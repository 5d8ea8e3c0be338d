"""What a safetensors file holds, from its header alone: names, shapes and what was noted beside them."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ..core.domain import Count, fault
from ..core.files import parse_json

LARGEST = 100_000_000
"""Bytes of a header at most, as in the format's own library."""
MEND = "it was truncated or is of another kind: save it anew"


class Entry(TypedDict):
    """One tensor."""

    dtype: str
    shape: list[Count]
    data_offsets: list[Count]


@dataclass(frozen=True)
class Header:
    """All tensors of a file."""

    tensors: dict[str, Entry]
    noted: dict[str, str]
    """What was written beside them."""

    @property
    def numbers(self) -> int:
        """Of all tensors together."""
        return sum(math.prod(entry["shape"]) for entry in self.tensors.values())

    @property
    def nbytes(self) -> int:
        """Of all tensors together."""
        return sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in self.tensors.values())

    @property
    def dtypes(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(entry["dtype"] for entry in self.tensors.values()))


def read_header(path: Path) -> Header:
    """Read it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no whole safetensors file.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LARGEST + 1
        if length > min(size - 8, LARGEST):
            raise ValueError(f"{path} is not a whole safetensors file; {MEND}")
        entries = parse_json(file.read(length), dict[str, dict], source=str(path), mend=MEND)
    noted = entries.pop("__metadata__", {})
    found = fault(noted, dict[str, str], "__metadata__") or fault(entries, dict[str, Entry])
    ends = [] if found else [end for entry in entries.values() for end in entry["data_offsets"]]
    if found or max(ends, default=0) + 8 + length > size:
        raise ValueError(f"{path} is not a whole safetensors file ({found or 'tensors are missing'}); {MEND}")
    return Header(entries, noted)
