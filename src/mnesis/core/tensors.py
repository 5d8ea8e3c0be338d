"""Tensors in safetensors files, whose headers are examined before anything is allocated or read.

Written by safetensors, atomically. Read here: a path may be any that the system allows, and what is read stands in
memory of its own, since mapped files are not aligned and kernels sum in another order there.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from jaxtyping import Shaped
from safetensors.torch import save_file
from torch import Tensor

from .files import atomic_path
from .tensor_header import LONGEST, TensorHeader, open_file, told

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "C64": torch.complex64,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""What tensors in files may be made of, by the names of the format."""


class TensorFile(TensorHeader):
    """An open file whose header has been examined, and which goes on to be read.

    Args:
        file: open for reading.
        path: of the file, for sentences.
        mend: what to do about a file that is not as it should be.
    """

    def __init__(self, file: IO[bytes], path: str, mend: str) -> None:
        super().__init__(file, path, mend)
        self._file = file

    def read(self, name: str) -> Shaped[Tensor, ...]:
        """One tensor, in memory of its own: mapped files are not aligned, and kernels sum in another order there."""
        promise = self.promises[name]
        tensor = torch.empty(promise.shape, dtype=DTYPES[promise.dtype], device="cpu")
        if tensor.numel():
            raw = tensor.view(-1).view(torch.uint8)
            self._file.seek(self._start + promise.data_offsets[0])
            if cast(Any, self._file).readinto(raw.numpy()) != promise.nbytes:
                raise self.damaged(f"{name} ends early")
            if tensor.dtype == torch.bool and int(raw.max()) > 1:
                raise self.damaged(f"{name} holds what is neither true nor false")
        return tensor


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike[str], *, mend: str) -> Iterator[TensorFile]:
    """A safetensors file, its header examined; see :func:`~mnesis.core.tensor_header.read_header`."""
    with open_file(path, mend=mend) as file:
        yield TensorFile(file, told(path), mend)


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Shaped[Tensor, ...]],
    metadata: dict[str, str],
    *,
    durable: bool = True,
) -> None:
    """Write tensors, of any strides, and what is to be kept beside them; atomically, as ``atomic_path`` says.

    Raises:
        ValueError: a dtype that files do not hold, a tensor without numbers, or a place that cannot be written.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values() or tensor.is_meta:
            kind = "on the meta device, without numbers" if tensor.is_meta else f"{tensor.dtype}"
            raise ValueError(f"cannot write {told(path)}: {name} is {kind}; give it in another form, such as float32")
    # Copied into memory of their own, whatever they are views of: the format knows neither strides nor conjugation.
    whole = {name: torch.empty(t.shape, dtype=t.dtype, device="cpu").copy_(t.detach()) for name, t in tensors.items()}
    with atomic_path(Path(path), durable=durable) as temporary:
        save_file(whole, temporary, metadata=metadata)
        with temporary.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
        if length > LONGEST:
            raise ValueError(f"cannot write {told(path)}: {len(tensors):,} tensors are too many for one file; split it")
