"""What a safetensors file promises, from its header alone: names, types and shapes, and what was noted beside them.

Names, shapes and sizes of a damaged or hostile file are compared with what is there before anything is allocated.
Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from .domain import Count, build, fault, shown
from .files import parse_json

LONGEST = 1 << 25
"""Bytes of a header at most: names and shapes of some hundred thousand tensors."""
AXES, LARGEST = 64, 2**60
"""Axes and numbers of one tensor at most; torch counts no further."""
WIDTHS = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "C64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of a number of each type that tensors in files may be made of, by the names of the format."""


@dataclass(frozen=True)
class Promise:
    """What a header says of one tensor."""

    dtype: Literal["F64", "F32", "F16", "BF16", "C64", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]

    @property
    def nbytes(self) -> int:
        """Of the tensor's own."""
        return math.prod(self.shape) * WIDTHS[self.dtype]


class TensorHeader:
    """The header of an open file, examined; ``metadata`` is what was noted, ``promises`` its tensors by name.

    Args:
        file: open for reading.
        path: of the file, for sentences.
        mend: what to do about a file that is not as it should be.

    Raises:
        ValueError: the file does not hold what its header says.
    """

    def __init__(self, file: IO[bytes], path: str, mend: str) -> None:
        self.path, self.mend = path, mend
        size = os.fstat(file.fileno()).st_size
        length = struct.unpack("<Q", file.read(8))[0] if size >= 8 else 0
        self._start = 8 + length
        if not 2 <= length <= size - 8:
            raise self.damaged(f"a header of {length:,} bytes in a file of {size:,}")
        if length > LONGEST:
            raise self.damaged(f"a header of {length:,} bytes where ours have at most {LONGEST:,}")
        content: dict[str, Any] = parse_json(
            file.read(length), dict[str, Any], source=f"{path} is not a whole safetensors file: its header", mend=mend
        )
        self.metadata: dict[str, str] = content.pop("__metadata__", {})
        self.promises: dict[str, Promise] = content
        found = fault(self.metadata, dict[str, str], "__metadata__") or fault(content, dict[str, Promise])
        if found:
            raise self.damaged(found)
        self.promises = {name: build(Promise, promise) for name, promise in content.items()}
        end = 0
        for name, promise in self.promises.items():
            if len(promise.shape) > AXES or math.prod(max(1, length) for length in promise.shape) > LARGEST:
                raise self.damaged(f"{name} has the shape {shown(list(promise.shape))}")
        for name, promise in sorted(self.promises.items(), key=lambda item: item[1].data_offsets):
            begin, last = promise.data_offsets
            if begin != end or last - begin != promise.nbytes:
                raise self.damaged(f"{name} of {promise.nbytes:,} bytes stands at {begin:,} to {last:,}")
            end = last
        if end != size - self._start:
            raise self.damaged(f"{end:,} bytes of tensors are promised and {size - self._start:,} are there")

    def damaged(self, reason: str) -> ValueError:
        """That the file is not whole, and why."""
        return ValueError(
            f"{self.path} is not a whole safetensors file ({reason}); it was truncated or is of another kind: "
            f"{self.mend}"
        )


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str], *, mend: str) -> Iterator[IO[bytes]]:
    """A regular file, open for reading.

    Args:
        path: the file.
        mend: what to do about one that is not as it should be, the end of a sentence.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder or device, or a file that cannot be read; one sentence.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or pipe"
            raise ValueError(f"{told(path)} is {kind} and no file; {mend}")
        file = open(path, "rb")  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no file at {told(path)}; {mend}") from None
    except OSError as error:
        raise ValueError(f"{told(path)} cannot be read ({error.strerror}); {mend}") from None
    with file:
        yield file


def read_header(path: str | os.PathLike[str], *, mend: str) -> TensorHeader:
    """The header of a safetensors file.

    Args:
        path: the file.
        mend: what to do about a file that is not as it should be, the end of a sentence.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder or device, a file that cannot be read, or none of this kind that is whole; one sentence.
    """
    with open_file(path, mend=mend) as file:
        return TensorHeader(file, told(path), mend)


def told(path: str | os.PathLike[str]) -> str:
    """A path in a sentence, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
