"""Where an interrupted reading stands, beside the file that its state will become.

A reading with ``--save mary.safetensors`` that a signal stops leaves ``mary.safetensors.partial``: the state, how many
tokens it has read, and digests of them. So a file of the name that was asked for is always the state after a whole
text, and what stood there before stays until then. The same command reads the text again up to that place without the
network, which also works for a pipe, sees by the digests that it is the same text, and goes on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout

from ..core.domain import AtLeast, Count, Size
from ..core.files import parse_json
from ..core.folders import clear_leftovers
from ..core.tensor_header import read_header

SUFFIX = ".partial"
KEY = "reading"
"""Of a state file's description."""


@dataclass(frozen=True)
class Bookmark:
    """What must be alike for a reading to go on, and how far it came."""

    reader: str
    """Names weights and tokens."""
    start: str
    """Digest of the --resume file; empty = fresh."""
    chunk: Size
    """Tokens read at a time: other chunks round otherwise."""
    tokens: Count = 0
    """Read so far; whole chunks, or all of the text."""
    first: str = ""
    """Digest of the first chunk."""
    digest: str = ""
    """Of all tokens read."""
    seconds: Annotated[float, AtLeast(0)] = 0.0
    """That reading them took."""

    def goes_on_as(self, wanted: Bookmark) -> bool:
        """Whether a reading like this, of the same text, can go on from here."""
        return (self.reader, self.start, self.chunk) == (wanted.reader, wanted.start, wanted.chunk)

    def describe(self) -> dict[str, str]:
        """To be kept with the state."""
        return {KEY: json.dumps(asdict(self))}


class Digest:
    """Names a run of tokens."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, tokens: Sequence[int]) -> str:
        """The name of all tokens so far, these included."""
        self._hash.update(array("q", tokens).tobytes())
        return self._hash.hexdigest()


def beside(save: Path) -> Path:
    """Where the bookmark of a state file stands."""
    return save.with_name(save.name + SUFFIX)


def find(save: Path) -> Bookmark | None:
    """The bookmark that stands beside a state file, if there is one.

    Raises:
        ValueError: what stands there is no bookmark.
    """
    path, mend = beside(save), "move it away to read the text from its beginning"
    if not path.exists():
        return None
    if (told := description(path).get(KEY)) is None:
        raise ValueError(f"{path} does not say where a reading was interrupted; {mend}")
    return parse_json(told, Bookmark, source=str(path), mend=mend)


def description(path: Path) -> dict[str, str]:
    """What is kept beside the tensors of a state file.

    Raises:
        ValueError: not a whole safetensors file.
    """
    return read_header(path, mend="give another, or save it anew").metadata


def file_digest(path: Path | None) -> str:
    """Names the content of a file; empty for none."""
    if path is None:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def check_place(save: Path, overwrite: bool) -> None:
    """See that a state can be written there, and leave no trace.

    Raises:
        ValueError: it cannot, or something stands there that must not be replaced.
    """
    if save.exists():
        if not save.is_file():
            what = "a folder" if save.is_dir() else "no file"
            raise ValueError(f"{save} is {what}; give --save the path of a file")
        if not overwrite:
            raise ValueError(f"{save} exists; give another --save or --overwrite")
        if save.stat().st_size and "mnesis_state" not in _description_or_none(save):
            raise ValueError(f"{save} holds no state of mnesis, so it is not replaced; give another --save")
    folder = Path(os.path.realpath(save)).parent
    while not folder.exists():
        folder = folder.parent
    try:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with contextlib.suppress(FileNotFoundError):
            os.lstat(folder / f".{beside(save).name}.12345678")  # as long as the name of an atomic write
        tempfile.TemporaryFile(dir=folder).close()  # without a name, where the system can
    except OSError as error:
        raise ValueError(f"cannot write {save}: {error.strerror}; choose a folder that you may write to") from None


@contextlib.contextmanager
def alone(save: Path | None) -> Iterator[None]:
    """Keep every other process of this machine from reading into the same file; one that dies lets go of it.

    What it left of writing the file is cleared by the next.

    Raises:
        ValueError: another one does.
    """
    if save is None:
        yield
        return
    # Not beside the file: its folder is made when there is something to write.
    owner, place = os.path.expanduser("~"), os.path.realpath(save)
    name = hashlib.blake2b(os.fsencode(f"{owner}\n{place}"), digest_size=12).hexdigest()
    lock = FileLock(Path(tempfile.gettempdir(), f"mnesis-{name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another process reads into {save}; wait for it, or give another --save") from None
    try:
        for written in (save, beside(save)):
            clear_leftovers(Path(os.path.realpath(written)))
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _description_or_none(path: Path) -> dict[str, Any]:
    try:
        return dict(description(path))
    except ValueError:
        return {}
