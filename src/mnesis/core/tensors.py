"""safetensors files: what the header promises is examined before anything is allocated or read.

Written by safetensors, atomically; read here, because names, shapes and sizes of a damaged or hostile file have to be
compared with what is expected first, and because a path may be any that the system allows.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

import torch
from jaxtyping import Shaped
from safetensors.torch import save_file
from torch import Tensor

from .domain import Count, build, fault, shown
from .files import atomic_path, parse_json

HEADER = 1 << 25
"""Bytes of a header at most: names and shapes of some hundred thousand tensors."""
AXES, LARGEST = 64, 2**60
"""Axes and numbers of one tensor at most; torch counts no further."""
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "C64": torch.complex64,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""What tensors in files may be made of, by the names of the format."""


@dataclass(frozen=True)
class Promise:
    """What a header says of one tensor."""

    dtype: Literal["F64", "F32", "F16", "BF16", "C64", "I64", "I32", "I16", "I8", "U8", "BOOL"]
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]

    @property
    def nbytes(self) -> int:
        """Of the tensor's own."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class TensorFile:
    """An open file whose header has been examined.

    Args:
        file: open for reading.
        path: of the file, for sentences.
        mend: what to do about a file that is not as it should be.
    """

    def __init__(self, file: IO[bytes], path: str, mend: str) -> None:
        self.path, self.mend, self._file = path, mend, file
        size = os.fstat(file.fileno()).st_size
        length = struct.unpack("<Q", file.read(8))[0] if size >= 8 else 0
        self._start = 8 + length
        if not 2 <= length <= size - 8:
            raise self._damaged(f"a header of {length:,} bytes in a file of {size:,}")
        if length > HEADER:
            raise self._damaged(f"a header of {length:,} bytes where ours have at most {HEADER:,}")
        content: dict[str, Any] = parse_json(
            file.read(length), dict[str, Any], source=f"{path} is not a whole safetensors file: its header", mend=mend
        )
        self.metadata: dict[str, str] = content.pop("__metadata__", {})
        self.promises: dict[str, Promise] = content
        found = fault(self.metadata, dict[str, str], "__metadata__") or fault(content, dict[str, Promise])
        if found:
            raise self._damaged(found)
        self.promises = {name: build(Promise, promise) for name, promise in content.items()}
        end = 0
        for name, promise in self.promises.items():
            if len(promise.shape) > AXES or math.prod(max(1, length) for length in promise.shape) > LARGEST:
                raise self._damaged(f"{name} has the shape {shown(list(promise.shape))}")
        for name, promise in sorted(self.promises.items(), key=lambda item: item[1].data_offsets):
            begin, last = promise.data_offsets
            if begin != end or last - begin != promise.nbytes:
                raise self._damaged(f"{name} of {promise.nbytes:,} bytes stands at {begin:,} to {last:,}")
            end = last
        if end != size - self._start:
            raise self._damaged(f"{end:,} bytes of tensors are promised and {size - self._start:,} are there")

    def read(self, name: str) -> Shaped[Tensor, ...]:
        """One tensor, in memory of its own: mapped files are not aligned, and kernels sum in another order there."""
        promise = self.promises[name]
        tensor = torch.empty(promise.shape, dtype=DTYPES[promise.dtype], device="cpu")
        if tensor.numel():
            raw = tensor.view(-1).view(torch.uint8)
            self._file.seek(self._start + promise.data_offsets[0])
            if cast(Any, self._file).readinto(raw.numpy()) != promise.nbytes:
                raise self._damaged(f"{name} ends early")
            if tensor.dtype == torch.bool and int(raw.max()) > 1:
                raise self._damaged(f"{name} holds what is neither true nor false")
        return tensor

    def _damaged(self, reason: str) -> ValueError:
        return ValueError(
            f"{self.path} is not a whole safetensors file ({reason}); it was truncated or is of another kind: "
            f"{self.mend}"
        )


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike[str], *, mend: str) -> Iterator[TensorFile]:
    """A safetensors file, its header examined.

    Args:
        path: the file.
        mend: what to do about a file that is not as it should be, the end of a sentence.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder or device, a file that cannot be read, or none of this kind that is whole; one sentence.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or pipe"
            raise ValueError(f"{_told(path)} is {kind} and no file; {mend}")
        file = open(path, "rb")  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no file at {_told(path)}; {mend}") from None
    except OSError as error:
        raise ValueError(f"{_told(path)} cannot be read ({error.strerror}); {mend}") from None
    with file:
        yield TensorFile(file, _told(path), mend)


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Shaped[Tensor, ...]], metadata: dict[str, str]
) -> None:
    """Write tensors, of any strides, and what is to be kept beside them; atomically.

    Raises:
        ValueError: a dtype that files do not hold, a tensor without numbers, or a place that cannot be written.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values() or tensor.is_meta:
            kind = "on the meta device, without numbers" if tensor.is_meta else f"{tensor.dtype}"
            raise ValueError(f"cannot write {_told(path)}: {name} is {kind}; give it in another form, such as float32")
    # Copied into memory of their own, whatever they are views of: the format knows neither strides nor conjugation.
    whole = {name: torch.empty(t.shape, dtype=t.dtype, device="cpu").copy_(t.detach()) for name, t in tensors.items()}
    with atomic_path(Path(path)) as temporary:
        save_file(whole, temporary, metadata=metadata)
        with temporary.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
        if length > HEADER:
            raise ValueError(
                f"cannot write {_told(path)}: {len(tensors):,} tensors are too many for one file; split it"
            )


def _told(path: str | os.PathLike[str]) -> str:
    """A path in a sentence, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
