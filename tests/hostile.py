"""What hostile data files are made of, and how they have to be met."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz import Input, WrongSuccess

Content = bytes | Callable[[], bytes] | None
"""Of a file; made late where it is large; None for a FIFO."""


class Hostile(NamedTuple):
    """Files, and what reading them has to say."""

    label: str
    files: dict[str, Content]
    read: Callable[[Path], Any]
    """Of the folder with the files."""
    refusal: str
    """A pattern in the sentence."""

    def make(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                os.mkfifo(folder / name)
            else:
                (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return folder


def drawn(files: list[Hostile], seed: int) -> Iterator[Input]:
    """All of them, in an order that the seed draws."""
    random.Random(seed).shuffle(files)
    for each in files:
        yield Input(f"{each.label} {seed}", each.make, _refused(each))


def _refused(each: Hostile) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        try:
            each.read(folder)
        except (ValueError, FileNotFoundError) as error:
            if re.search(each.refusal, str(error)):
                raise
            raise WrongSuccess(f"refused as {error}, not as {each.refusal}") from None
        raise WrongSuccess(f"read, though {each.refusal}")

    return read


MEGABYTE = bytes(2**20)


def bomb(head: bytes, megabytes: int) -> bytes:
    """What gunzips to ``head`` and so many megabytes of zeros."""
    return gzip.compress(head) + gzip.compress(MEGABYTE) * megabytes


def zipped(name: str, content: bytes | Callable[[], Iterator[bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive, archive.open(name, "w") as entry:
        for part in (content,) if isinstance(content, bytes) else content():
            entry.write(part)
    return file.getvalue()
