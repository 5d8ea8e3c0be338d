"""Files that we write and read back: they appear whole or not at all, and say what they should say or are refused.

Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .domain import build, fault

LARGEST = 1 << 26
"""Bytes of a JSON file of ours at most: 64 MiB."""
LARGEST_LINES = 1 << 31
"""Bytes of a file of lines at most: 2 GiB."""
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota is used up",
    errno.EFBIG: "it is larger than a file may be here",
}
DEEPEST = 64
"""Lists and mappings inside one another at most."""


def read_json(
    path: str | os.PathLike[str],
    shape: Any,
    *,
    mend: str,
    largest: int = LARGEST,
    newest: int | None = None,
    finite: bool = True,
) -> Any:
    """A JSON file that we wrote ourselves, of a declared shape.

    Args:
        path: the file.
        shape: an annotation (:mod:`~mnesis.core.domain`): a dataclass or typed dictionary that names the entries, or
            ``dict[str, Any]``.
        mend: what to do about a file that is not as it should be, the end of a sentence.
        largest: bytes at most.
        newest: the latest ``format`` that is known here; a file that says another is refused before its shape is.
        finite: whether NaN and infinities, which JSON has no words for and Python writes all the same, are refused.

    Returns:
        The content; mappings become the dataclasses that stand for them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is larger, no regular file, no JSON in UTF-8, nested deeper, or of another shape; one sentence
            with file, value, rule and mend.
    """
    content = read_bytes(path, largest, mend=mend)
    return parse_json(content, shape, source=str(path), mend=mend, newest=newest, finite=finite)


def parse_json(
    text: str | bytes, shape: Any, *, source: str, mend: str, newest: int | None = None, finite: bool = True
) -> Any:
    """JSON of a declared shape, out of text that came from ``source``; see :func:`read_json`."""
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 text (byte {error.start}); {mend}") from None
    try:
        content = json.loads(text, parse_constant=_refuse_constant if finite else float)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not whole JSON ({error.msg}, line {error.lineno}); {mend}") from None
    except ValueError as error:  # NaN, or a number of thousands of digits
        raise ValueError(f"{source} is not whole JSON ({error}); {mend}") from None
    except RecursionError:
        raise ValueError(f"{source} is nested deeper than the {DEEPEST} levels that ours have; {mend}") from None
    if (depth := _depth(content)) > DEEPEST:
        raise ValueError(f"{source} is nested {depth} levels deep where ours have at most {DEEPEST}; {mend}")
    said = content.get("format") if isinstance(content, dict) else None
    if newest is not None and isinstance(said, int) and said > newest:
        raise ValueError(f"{source} has format {said}, this mnesis reads {newest} and below; upgrade mnesis, or {mend}")
    if found := fault(content, shape):
        raise ValueError(f"{source} cannot be read: {found}; {mend}")
    return build(shape, content)


class Lines(NamedTuple):
    """What stands in a file of lines."""

    entries: list[Any]
    whole: int
    """Bytes of the file that they take."""
    torn: bool = False
    """Whether half a line follows, as a kill leaves it."""


def read_lines(
    path: str | os.PathLike[str],
    shape: Any,
    *,
    mend: str,
    head: tuple[Any, int] | None = None,
    finite: bool = True,
    bad: list[str] | None = None,
) -> Lines:
    """A file of JSON, one entry a line, that we wrote ourselves; a last line that a kill has torn is left out.

    Args:
        path: the file; one that is not there has no lines.
        shape: of every line.
        mend: what to do about a line that is not as it should be, the end of a sentence.
        head: shape and newest format of the first line, where it is another.
        finite: as :func:`read_json` takes it.
        bad: takes the sentences about lines that cannot be read, and these are left out; None = they are refused.

    Raises:
        ValueError: one sentence with file, line, value, rule and mend.
    """
    if not os.path.exists(path):
        return Lines([], 0)
    entries, whole = [], 0
    *lines, half = read_bytes(path, LARGEST_LINES, mend=mend).split(b"\n")
    if lines and not half and not _is_json(lines[-1]):
        half = lines.pop()  # a block of zeros, as a machine that lost its power leaves it
    for number, line in enumerate(lines, 1):
        of, newest = (shape, None) if head is None or number > 1 else head
        try:
            source = f"line {number} of {path}"
            entries.append(parse_json(line, of, source=source, mend=mend, newest=newest, finite=finite))
        except ValueError as error:
            if bad is None:
                raise
            bad.append(str(error))
        whole += len(line) + 1
    return Lines(entries, whole, bool(half))


def differences(earlier: Any, now: Any, name: str = "") -> Iterator[str]:
    """What is not the same in two pieces of JSON: ``seed is 1 there and 2 here``, with dots between names."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in {**earlier, **now}:
            yield from differences(earlier.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        for index, (before, after) in enumerate(zip(earlier, now, strict=True)):
            yield from differences(before, after, f"{name}[{index}]")
    elif earlier != now:
        yield f"{name} is {json.dumps(earlier)} there and {json.dumps(now)} here"


def shown_differences(earlier: Any, now: Any) -> str:
    """The first three of them, and how many more there are; empty where all is the same."""
    found = list(differences(earlier, now))
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if found[3:] else "")


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


def write_json(path: str | os.PathLike[str], values: Any, *, indent: int | None = 2, finite: bool = True) -> None:
    """Write a JSON file, atomically; a number that is not finite is a bug unless ``finite`` is False."""
    text = json.dumps(values, indent=indent, allow_nan=not finite)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends well, and vanishes otherwise.

    A file that stands there keeps its mode, and a link goes on to point where it did; a new file has the mode that the
    process gives to new files.

    Args:
        path: the file.
        durable: wait until the disk has it. False is for what can be made again: a loss of power may leave it damaged.

    Raises:
        ValueError: the folder cannot be written, what stands there is no file of data, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if os.path.lexists(target) and not (target.is_file() or target.is_dir()):  # a device or a pipe would be replaced
        raise ValueError(f"cannot write {path}: something stands there that is no file of data; give another path")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder, for libraries that make temporary files of their own beside what they write.
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        if error.errno in _FULL:
            raise ValueError(f"cannot write {path}: {_FULL[error.errno]}; make room, and do the same again") from None
        raise ValueError(f"cannot write {path}: {error.strerror}; choose a folder that you may write to") from None
    temporary = beside / target.name
    try:
        with told(path):
            yield temporary
            os.chmod(temporary, _mode(target))
            if durable:
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def lack_of_room(error: Exception) -> int | None:
    """The system's number of an error that says there is no room for what is written; None of any other."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _FULL else None
    # safetensors and tokenizers tell of the system's errors in words of their own.
    return next((number for number in _FULL if f"(os error {number})" in str(error)), None)


@contextlib.contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """A full disk, or one that fails, as one sentence.

    Raises:
        ValueError: what is written in this block has no room.
    """
    try:
        yield
    except Exception as error:
        if (number := lack_of_room(error)) is not None:
            raise ValueError(f"cannot write {path}: {_FULL[number]}; make room, and do the same again") from None
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


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
