"""Files fetched from where they were published: a file stands in its place whole and as published, or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress

from ...core.files import told
from .opening import opened, shown, size_of

SECONDS = 60
"""Without a byte, after which a server is given up."""
LARGEST = 2**31
"""Bytes of a download; a server may send without end."""
LOCK = ".lock"
_PIECE = 2**18


class File(NamedTuple):
    """Where a file is published."""

    name: str
    address: str
    sha256: str
    content: str = ""
    """Of a gzipped file the sha256 of what is in it, where that is known."""


def places(folder: Path, name: str) -> tuple[Path, Path]:
    """A file and the same file gzipped, or not gzipped."""
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return folder / name, folder / other


def fetch(files: Iterable[File], folder: Path, *, progress: bool = True) -> None:
    """Download what is missing of some files. Those that stand there already are checked.

    A file that stands there unpacked, or gzipped in place of unpacked, counts if its content is the published one.

    Raises:
        OSError: a file that stands there is another than the published one, or so is the one that the network has; no
            network.
        ValueError: a folder that cannot be written, or that another process is fetching into.
    """
    files = list(files)
    if not (missing := [file for file in files if not _stands(folder, file)]):
        if (folder / LOCK).exists():  # left by a kill behind the last file, unless somebody is at work there
            with suppress(ValueError), _alone(folder):
                pass
        return
    with _alone(folder), Progress(console=Console(stderr=True), disable=not progress) as bars:
        for file in missing:
            if _stands(folder, file):  # since another process has fetched it meanwhile
                continue
            task = bars.add_task(file.name, total=None)
            _download(file, folder, lambda done, total, task=task: bars.update(task, completed=done, total=total))


def _stands(folder: Path, file: File) -> bool:
    """Whether a file is there as it was published."""
    first, other = places(folder, file.name)
    packed = file.name.endswith(".gz")
    if os.path.lexists(first):
        size_of(first, "remove it")
        with first.open("rb") as content:
            return _is_published(first, hashlib.file_digest(content, "sha256").hexdigest(), file.sha256)
    expected = file.content if packed else file.sha256
    if expected and os.path.lexists(other):
        with opened(other, "remove it") as reading:
            digest = hashlib.sha256()
            for piece in reading.pieces():
                digest.update(piece)
        return _is_published(other, digest.hexdigest(), expected)
    return False


def _is_published(path: Path, found: str, expected: str) -> bool:
    if found != expected:
        raise OSError(
            f"{path} is not the file that was published (its sha256 is {found[:12]}..., not {expected[:12]}...); "
            "remove it, or fetch into another folder"
        )
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep every other fetch out of a folder; a process that dies lets go of it."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ValueError(f"another process is at work in {folder}; wait for it, and do the same again") from None
    except OSError as error:
        raise ValueError(f"cannot write {folder}: {error.strerror}; choose a folder that you may write to") from None
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def _download(file: File, folder: Path, show: Callable[[int, int | None], Any]) -> None:
    path = folder / file.name
    part = folder / f".{file.name}.part"  # of one name, so that the next fetch writes over what a kill has left
    digest, done = hashlib.sha256(), 0
    try:
        with _answer(file, folder) as answer, told(path), part.open("wb") as written:
            total = answer.headers.get("Content-Length", "")
            total = int(total) if total.isdecimal() and len(total) < 16 else None
            while done <= LARGEST and (piece := _piece(answer, file)):
                written.write(piece)
                digest.update(piece)
                done += len(piece)
                show(done, total)
            written.flush()
            os.fsync(written.fileno())
        if total is not None and done < total:
            raise OSError(f"{file.address} broke off after {done:,} of {total:,} bytes; try again")
        if (found := digest.hexdigest()) != file.sha256:
            raise OSError(
                f"{file.address} is not the file that was published (its sha256 is {found[:12]}..., not "
                f"{file.sha256[:12]}...); try again later, or put the file into {folder} yourself"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _answer(file: File, folder: Path) -> Iterator[Any]:
    mend = f"put the file into {folder} yourself, or try again later"
    try:
        answer = build_opener(_Redirects).open(Request(file.address, headers={"User-Agent": "mnesis"}), timeout=SECONDS)
    except _LeadsAway as error:
        raise OSError(f"{file.address} leads to {shown(error)}, which is no address of the web; {mend}") from None
    except HTTPError as error:
        raise OSError(f"{file.address} answers {error.code} {_reason(error.reason)}; {mend}") from None
    except URLError as error:
        raise OSError(f"{file.address} cannot be reached ({_reason(error.reason)}); {mend}") from None
    except (OSError, HTTPException) as error:
        raise OSError(f"{file.address} cannot be reached ({_reason(error)}); {mend}") from None
    with answer:
        yield answer


def _piece(answer: Any, file: File) -> bytes:
    try:
        return answer.read(_PIECE)
    except (OSError, HTTPException) as error:
        raise OSError(f"{file.address} broke off ({_reason(error)}); try again") from None


def _reason(error: object) -> str:
    return shown(" ".join(str(error).split()) or type(error).__name__)


class _LeadsAway(Exception):  # noqa: N818 - an answer, to which the sentence is added above
    """An answer that sends elsewhere than to the web."""


class _Redirects(HTTPRedirectHandler):
    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = headers.get("location") or headers.get("uri") or ""
        if urlsplit(target).scheme not in ("http", "https", ""):
            raise _LeadsAway(target)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
