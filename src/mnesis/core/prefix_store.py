"""States of texts on disk, so that a text is read once and many questions start from its end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from .amounts import parse_bytes
from .digest import digest, digest_tensors
from .domain import Checked
from .folders import alone, clear_leftovers
from .made_by import made_by
from .memory import Memory
from .state import detach, leaves, load_state, save_state, to
from .tensor_header import read_header

S = TypeVar("S")
FORMAT = 1
"""Raised whenever a key, or what stands in the files, means something else."""
WAIT = 60
"""Seconds for another process to be done with writing."""
_FILE = re.compile(r"[0-9a-f]{64}\.safetensors")
_LEFT = re.compile(r"\.([0-9a-f]{64}\.safetensors)\.[a-z0-9_]{8}")


class PrefixStore(Checked):
    """A folder of states, each after the first tokens of some text.

    A recurrence has one state after a text, of a size that the text does not change; it is what another text with the
    same beginning, or a question about this one, starts from. Kept is the state after every ``every`` tokens, in a
    file of its own whose name is the key: a sha256 of the format, the memory's class, options and revisions, the
    :func:`digest <mnesis.core.digest.digest>` of its weights with adapters and buffers, the dtype of its arithmetic,
    whether it is in training mode, and the tokens. So whatever changes the numbers is another key, and nothing that
    was written before an update is found after it. Only a change of the *code* of a class of your own goes unnoticed:
    delete the folder then.

    A file that is damaged, cut short, somebody else's or gone is one that is not there, and is written anew. Once the
    files pass ``limit``, those that were not used for longest go. Several processes may share a folder: files appear
    whole, and one process at a time writes. What cannot be stored (a full disk) is told by a warning, and read all the
    same.

    >>> store = mnesis.PrefixStore("runs/prefixes", limit="2GB")
    >>> state = store.read(model, document)  # reads what no earlier call has read, in this process or another
    >>> logits, _ = model(question, state)

    Args:
        folder: made when the first state is stored.
        limit: bytes of all files at most, a number or text such as ``"500MB"``.
        every: tokens from one stored state to the next. What a text has beyond the last is read each time.

    Raises:
        ValueError: a limit that is no number of bytes, or a file where the folder should be.
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int | str = "2GB", *, every: int = 256) -> None:
        self.folder, self.limit, self.every = Path(folder), parse_bytes(limit, "limit"), every
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{folder} is a file, and states are stored in a folder; give the path of one")

    @property
    def nbytes(self) -> int:
        """Bytes of all files at present."""
        return sum(size for _, size, _ in self._files())

    def longest(self, memory: Memory[S], tokens: Sequence[int] | Int[Tensor, "*row T"]) -> tuple[S | None, int]:
        """The state after as many of the tokens as were read before.

        Args:
            memory: any memory that reads token ids, such as a :class:`~mnesis.nets.LanguageModel`.
            tokens: ids of one text, ``[T]`` or ``[1 T]``.

        Returns:
            The state, of one row, on the device of the tokens, and how many tokens it has read; None and 0 if nothing
            fits.

        Raises:
            ValueError: a memory that reads something else, or tokens that are no row of whole numbers.
        """
        return self._longest(memory, ids := _row(memory, tokens), self._keys(memory, ids))

    def read(self, memory: Memory[S], tokens: Sequence[int] | Int[Tensor, "*row T"]) -> S:
        """The state after all the tokens: what was read before is taken up, the rest is read and stored.

        Read without gradients and without a head: for logits behind the last token, leave it out here and give it to
        the memory with the state.

        Args:
            memory: any memory that reads token ids, such as a :class:`~mnesis.nets.LanguageModel`.
            tokens: ids of one text, ``[T]`` or ``[1 T]``, at least one.

        Returns:
            The state, of one row.

        Raises:
            ValueError: a memory that reads something else, or tokens that are no row of its ids.
        """
        ids = _row(memory, tokens)
        memory._check_input(ids)
        keys = self._keys(memory, ids)
        state, begin = self._longest(memory, ids, keys)
        recurrence, _ = memory.parts()
        stored = True
        while begin < ids.shape[1]:
            with torch.no_grad():
                _, state = recurrence(ids[:, begin : begin + self.every], state)
            begin += self.every
            if stored and begin in keys:
                stored = self._store(keys[begin], detach(state), begin, memory)
        assert state is not None
        return state

    def _keys(self, memory: Memory, ids: Tensor) -> dict[int, str]:
        """Names of the states at the points of the grid, by the number of tokens."""
        revisions = {name: made["revision"] for name, made in made_by(memory)["memories"].items()}
        dtype, mode = str(memory.compute_dtype(ids)), "training" if memory.training else "evaluation"
        about = [FORMAT, memory.describe(), revisions, digest(memory), dtype, mode]
        total, keys = hashlib.sha256(json.dumps(about, sort_keys=True).encode() + b"\0"), {}
        numbers = ids[0].detach().cpu().numpy().astype("<i8")
        for end in range(self.every, len(numbers) + 1, self.every):
            total.update(numbers[end - self.every : end].tobytes())
            keys[end] = total.copy().hexdigest()
        return keys

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _longest(self, memory: Memory[S], ids: Tensor, keys: dict[int, str]) -> tuple[S | None, int]:
        for units, key in reversed(keys.items()):
            with contextlib.suppress(ValueError, OSError):  # not there, or not as it was written
                return self._load(memory, ids, key, units), units
        return None, 0

    def _load(self, memory: Memory[S], ids: Tensor, key: str, units: int) -> S:
        """One stored state.

        Raises:
            ValueError: it is not what was stored.
            FileNotFoundError: nothing is.
        """
        path, mend = self._path(key), "it is read anew"
        written = read_header(path, mend=mend).metadata.get("numbers")
        state = load_state(path, about={"prefix": key, "tokens": str(units)})
        if _numbers(state) != written:
            raise ValueError(f"{path} holds other numbers than were written; {mend}")
        memory._check_state(state, 1)
        with torch.no_grad():
            expected = [leaf.dtype for leaf in leaves(memory._fresh(1, ids))]
        if [leaf.dtype for leaf in leaves(state)] != expected:
            raise ValueError(f"{path} holds numbers of other types; {mend}")
        with contextlib.suppress(OSError):  # a folder that may only be read
            os.utime(path)
        return to(state, ids.device)

    def _store(self, key: str, state: Any, units: int, memory: Memory) -> bool:
        """Write a state, and make room for it; whether that went well."""
        path = self._path(key)
        about = {"prefix": key, "tokens": str(units), "numbers": _numbers(state), **memory.describe()}
        try:
            with alone(self.folder, wait=WAIT):
                if path.is_symlink():  # what it leads to is none of ours
                    path.unlink()
                save_state(state, path, about=about, durable=False)
                if (size := path.stat().st_size) > self.limit:
                    path.unlink()
                    raise ValueError(f"a state of {size:,} bytes passes the limit of {self.limit:,}; give a larger one")
                self._make_room()
        except (ValueError, OSError) as error:
            warnings.warn(f"states of prefixes are not stored: {error}", stacklevel=3)
            return False
        return True

    def _make_room(self) -> None:
        """Remove what kills left of writing, and then what was not used for longest."""
        for name in os.listdir(self.folder):
            if left := _LEFT.fullmatch(name):
                clear_leftovers(self.folder / left[1])
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self.limit:
                break
            path.unlink(missing_ok=True)
            total -= size

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """When each file was last used, its bytes, and where it is."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        for path in (self.folder / name for name in names if _FILE.fullmatch(name)):
            with contextlib.suppress(OSError):  # gone meanwhile
                about = path.lstat()
                if path.is_file():
                    yield about.st_mtime_ns, about.st_size, path


def _row(memory: Memory, tokens: Any) -> Tensor:
    """Tokens as ``[1 T]``."""
    name = type(memory).__name__
    if not isinstance(memory, Memory):
        raise ValueError(f"a {name} has no state to store; give a mnesis.Memory that reads token ids")
    if memory.dim is not None:
        raise ValueError(
            f"{name} reads vectors, and states are stored by token ids; give what reads these, such as "
            "mnesis.nets.LanguageModel"
        )
    try:
        ids = torch.as_tensor(tokens)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"tokens are a {type(tokens).__name__}, no row of token ids; tokenize the text first"
        ) from None
    ids = ids.long() if ids.numel() == 0 and not isinstance(tokens, Tensor) else ids
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"tokens are {ids.dtype} where token ids are whole numbers; write tokens.long()")
    if ids.ndim == 2 and len(ids) == 1:
        return ids
    if ids.ndim != 1:
        raise ValueError(
            f"tokens have the shape {list(ids.shape)} where one text has [T] or [1, T]; read texts in turns"
        )
    return ids[None]


def _numbers(state: Any) -> str:
    """The digest of a state's leaves."""
    return digest_tensors((str(index), leaf) for index, leaf in enumerate(leaves(state)))
