"""Text of any size and kind as tokens, in constant memory.

White space of any kind, and however much of it, counts as one space; every word has one before it, as in training. A
word of more than ``LONGEST`` characters (a language without spaces, a log without line ends) is encoded in pieces of
that many, with nothing between them. So what is held at a time is a block and a word's rest, whatever the text is, and
the tokens do not depend on where blocks end.
"""

from __future__ import annotations

import codecs
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from itertools import chain
from types import TracebackType

BLOCK = 1 << 14
"""Bytes read at a time."""
LONGEST = 1 << 12
"""Characters of a word that are encoded together."""
PATIENCE = 0.1
"""Seconds between two looks at whether the wait for more text shall end."""
MARK = "\ufeff"
"""The byte order mark."""


class UnreadableError(ValueError):
    """The rest of a text cannot be read; the message says what is wrong and where."""


class PlainText:
    """An open text in UTF-8: a file, a pipe, a device, or standard input.

    Byte order marks are left out wherever they stand, as texts that were put together have them in their middle.

    Args:
        name: a path, or "-" for standard input.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: a folder, or no standard input.
        OSError: what may not be read.
    """

    def __init__(self, name: str) -> None:
        self.name = "standard input" if name == "-" else name
        self._file = _standard_input() if name == "-" else _open(name)
        found = os.fstat(self._file.fileno())
        self._whole = stat.S_ISREG(found.st_mode)
        self.size = found.st_size if self._whole else None
        """Bytes, where that is known."""
        self.read = 0
        """Bytes read so far."""
        self.typed = self._file.isatty()
        """Whether somebody types it at a terminal."""

    def __enter__(self) -> PlainText:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def same_as(self, path: str | os.PathLike[str]) -> bool:
        """Whether this is the file of that path."""
        return os.path.exists(path) and os.path.samestat(os.fstat(self._file.fileno()), os.stat(path))

    def blocks(self, waiting: Callable[[], None] = lambda: None) -> Iterator[str]:
        """The characters in order, some thousands at a time.

        Args:
            waiting: called before every block, and now and then while a pipe or a terminal has nothing to read; what it
                raises ends the reading.

        Raises:
            UnreadableError: bytes that are not UTF-8, or what the system cannot read.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            block = self._next(waiting)
            begin = self.read - len(decoder.getstate()[0])
            self.read += len(block)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise UnreadableError(
                    f"{self.name} is not UTF-8 text ({error.reason} at byte {begin + error.start:,}); convert it first"
                ) from None
            if text := text.replace(MARK, ""):
                yield text
            if not block:
                return

    def _next(self, waiting: Callable[[], None]) -> bytes:
        """The next bytes; none at the end."""
        while True:
            waiting()
            if not self._whole and os.name == "posix":  # elsewhere only sockets can be waited for
                while not select.select([self._file], [], [], PATIENCE)[0]:
                    waiting()
            try:
                block = self._file.read(BLOCK)
            except OSError as error:
                raise UnreadableError(
                    f"{self.name} cannot be read ({error.strerror}); give a file, or - for standard input"
                ) from None
            if block is not None:
                return block


def stretches(blocks: Iterable[str]) -> Iterator[str]:
    """Runs of text whose encodings, one after the other, are the tokens of all of it.

    Every word has one space before it; the pieces of one that is longer than ``LONGEST`` begin runs of their own.
    """
    rest, inside = "", False  # the rest of a word that a block broke off; whether pieces of it were given already
    for block in chain(blocks, " "):
        text, run = rest + block, []
        words, broken = text.split(), not text[-1].isspace()
        inside = inside and not text[0].isspace()
        rest = ""
        for place, word in enumerate(words, 1):
            unfinished = broken and place == len(words)
            end = len(word) // LONGEST * LONGEST if unfinished else len(word)
            for start in range(0, end, LONGEST):
                if inside and run:
                    yield "".join(run)
                    run = []
                run.append(("" if inside else " ") + word[start : start + LONGEST])
                inside = True
            if unfinished:
                rest = word[end:]
            else:
                inside = False
        if run:
            yield "".join(run)


def chunks(texts: Iterable[str], encode: Callable[[str], list[int]], size: int) -> Iterator[list[int]]:
    """The tokens of runs of text, ``size`` at a time; the last chunk has what is left."""
    waiting: list[int] = []
    for text in texts:
        waiting.extend(encode(text))
        whole = len(waiting) // size * size
        for start in range(0, whole, size):
            yield waiting[start : start + size]
        waiting = waiting[whole:]
    if waiting:
        yield waiting


def _standard_input() -> FileIO:
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError("standard input is closed; give the path of a text, or write it into a pipe")
    return FileIO(sys.stdin.fileno(), closefd=False)


def _open(name: str) -> FileIO:
    try:
        return FileIO(name)
    except FileNotFoundError:
        raise FileNotFoundError(f"no file at {name}; give the path of a text, or - for standard input") from None
    except IsADirectoryError:
        raise ValueError(f"{name} is a folder; give the path of a text in it, or - for standard input") from None
