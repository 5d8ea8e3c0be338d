"""Files that we write and read back: they appear whole or not at all, and say what they should say or are refused.

Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .domain import build, fault

LARGEST = 1 << 26
"""Bytes of a JSON file of ours at most: 64 MiB."""
DEEPEST = 64
"""Lists and mappings inside one another at most."""


def read_json(path: str | os.PathLike[str], shape: Any, *, mend: str, largest: int = LARGEST) -> Any:
    """A JSON file that we wrote ourselves, of a declared shape.

    Args:
        path: the file.
        shape: an annotation (:mod:`~mnesis.core.domain`): a dataclass or typed dictionary that names the entries, or
            ``dict[str, Any]``.
        mend: what to do about a file that is not as it should be, the end of a sentence.
        largest: bytes at most.

    Returns:
        The content; mappings become the dataclasses that stand for them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is larger, no regular file, no JSON in UTF-8, nested deeper, or of another shape; one sentence
            with file, value, rule and mend.
    """
    return parse_json(read_bytes(path, largest, mend=mend), shape, source=str(path), mend=mend)


def parse_json(text: str | bytes, shape: Any, *, source: str, mend: str) -> Any:
    """JSON of a declared shape, out of text that came from ``source``; see :func:`read_json`."""
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 text (byte {error.start}); {mend}") from None
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not whole JSON ({error.msg}, line {error.lineno}); {mend}") from None
    except ValueError as error:  # NaN, or a number of thousands of digits
        raise ValueError(f"{source} is not whole JSON ({error}); {mend}") from None
    except RecursionError:
        raise ValueError(f"{source} is nested deeper than the {DEEPEST} levels that ours have; {mend}") from None
    if (depth := _depth(content)) > DEEPEST:
        raise ValueError(f"{source} is nested {depth} levels deep where ours have at most {DEEPEST}; {mend}")
    if found := fault(content, shape):
        raise ValueError(f"{source} cannot be read: {found}; {mend}")
    return build(shape, content)


def read_bytes(path: str | os.PathLike[str], largest: int, *, mend: str) -> bytes:
    """All of a regular file of at most ``largest`` bytes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, device or pipe, or a larger file.
    """
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no file at {path}; {mend}") from None
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or pipe"
        raise ValueError(f"{path} is {kind} and no file; {mend}")
    if about.st_size > largest:
        raise ValueError(f"{path} has {about.st_size:,} bytes where ours have at most {largest:,}; {mend}")
    with open(path, "rb") as file:
        return file.read(largest + 1)


def write_json(path: str | os.PathLike[str], values: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file, atomically; numbers are finite."""
    text = json.dumps(values, indent=indent, allow_nan=False)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends well, and vanishes otherwise.

    A file that stands there keeps its mode, and a link goes on to point where it did; a new file has the mode that the
    process gives to new files.

    Raises:
        ValueError: the folder cannot be written, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}; choose a folder that you may write to") from None
    os.close(handle)
    temporary = Path(name)
    try:
        with told(path):
            yield temporary
            os.chmod(temporary, _mode(target))
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """A full disk, or one that fails, as one sentence.

    Raises:
        ValueError: what is written in this block has no room.
    """
    full = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your quota is used up", errno.EFBIG: "it is larger than a "
            "file may be here"}  # fmt: skip
    try:
        yield
    except Exception as error:
        # safetensors tells of the system's errors in words of its own.
        number = error.errno if isinstance(error, OSError) else None
        number = next((n for n in full if f"os error {n}" in str(error)), number)
        if number in full:
            raise ValueError(f"cannot write {path}: {full[number]}; make room, and do the same again") from None
        if isinstance(error, OSError) and error.errno in (errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS):
            raise ValueError(f"cannot write {path}: {error.strerror}; give another path") from None
        raise


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        umask = os.umask(0)  # there is no other way to ask for it
        os.umask(umask)
        return 0o666 & ~umask


def _depth(content: Any) -> int:
    """How many lists and mappings stand inside one another."""
    depth, level = 0, [content]
    while level := [each for each in level if isinstance(each, (list, dict))]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
