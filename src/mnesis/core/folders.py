"""Folders that several commands write into: one at a time, and nobody replaces what is not its own.

What a command may replace carries a mark: pages and figures a comment at their end, pictures a name in their metadata,
JSON the entries that ours have. Nothing here needs torch.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .files import atomic_path, parse_json

MARK = "<!-- written by mnesis -->"
"""At the end of every page, table and figure: a comment in HTML, SVG and Markdown alike."""
SOFTWARE = "mnesis"
"""Named as the software of every PNG."""
_BEFORE = (b"--series-0:", b"| memory | % | bits | held | state B | bits/B |")
"""What pages and tables held before there were marks, and what nobody else's hold."""
_START, _END = 1 << 16, 256
"""Bytes in which these are looked for."""


@contextlib.contextmanager
def alone(folder: Path, *files: str, name: str = "", wait: float | int = 0) -> Iterator[None]:
    """Keep every other writer out of a folder; a process that dies lets go of it.

    Args:
        folder: made if missing, and removed again if nothing was put into it.
        files: names in it that nobody but the holder writes; what kills left of writing them is removed.
        name: of the lock, where several do not concern one another: ``.lock``, or ``.NAME.lock``.
        wait: seconds for another writer to be done.

    Raises:
        ValueError: another one is in it, or it cannot be written.
    """
    path = folder / (f".{name}.lock" if name else ".lock")
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    lock = FileLock(path, timeout=wait)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except FileNotFoundError:  # another writer has left, and taken the empty folder with it
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout:
        raise ValueError(
            f"another process is writing in {folder}; wait until it is done, or give another folder"
        ) from None
    except OSError as error:
        raise ValueError(f"cannot write {folder}: {error.strerror}; choose a folder that you may write to") from None
    try:
        for file in files:
            clear_leftovers(folder / file)
        yield
    finally:
        # Removed while it is held: who has opened it meanwhile finds that it is gone, and opens the next.
        path.unlink(missing_ok=True)
        lock.release()
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()


def leftovers(path: Path) -> list[Path]:
    """What kills left of writing a file with :func:`~mnesis.core.files.atomic_path`."""
    if not path.parent.is_dir():
        return []
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    return [path.parent / name for name in os.listdir(path.parent) if ours.fullmatch(name)]


def clear_leftovers(path: Path) -> None:
    """Remove them; only who holds the file's folder may."""
    for each in leftovers(path):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)


def tidy(folder: Path, *files: str) -> None:
    """Remove what kills left in a folder whose work is done, unless somebody is in it or it cannot be written."""
    if (folder / ".lock").exists() or any(leftovers(folder / file) for file in files):
        with contextlib.suppress(ValueError), alone(folder, *files):
            pass


def is_ours(path: Path, shape: Any = None) -> bool:
    """Whether a file was written by us: JSON of a ``shape``, else a page, table or figure with our mark."""
    if shape is not None:
        try:
            parse_json(path.read_bytes(), shape, source=path.name, mend="", finite=False)
        except (OSError, ValueError):
            return False
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_START)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
            end = file.read()
    except OSError:
        return False
    if start.startswith(b"\x89PNG"):
        # A figure's picture from before there were marks is known by the drawing beside it.
        return b"Software\0" + SOFTWARE.encode() in start or is_ours(path.with_suffix(".svg"))
    return MARK.encode() in end or any(text in start for text in _BEFORE)


def require_ours(paths: Iterable[Path], shape: Any = None, *, mend: str) -> None:
    """Refuse to replace what somebody else wrote.

    Raises:
        ValueError: one of these files is there and is not ours.
    """
    for path in paths:
        if path.exists() and not is_ours(path, shape):
            raise ValueError(f"{path} is there and was not written by this command; {mend}")


def write_page(path: Path, text: str, *, mend: str, overwrite: bool = False) -> None:
    """Write a page, table or figure with our mark, atomically.

    Raises:
        ValueError: somebody else's file stands there, and nobody said to ``overwrite`` it.
    """
    if not overwrite:
        require_ours([path], mend=mend)
    with atomic_path(path) as temporary:
        temporary.write_text(f"{text.rstrip()}\n{MARK}\n", encoding="utf-8")


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is left in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()
