"""What commands print: tables on a terminal, plain lines where a script or a file reads them.

Names, labels and reasons are text: brackets in them mean nothing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.files import atomic_path, lack_of_room

_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")
"""torch's words."""


def sentence_of(error: Exception) -> str | None:
    """What a person is told of an error: its own sentence, or ours of what the system says; None of a bug."""
    if (number := lack_of_room(error)) is not None:
        place = getattr(error, "filename", None) or "the output"
        return f"cannot write {place}: {os.strerror(number)}; make room, and do the same again"
    if isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno is None):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; give a path that is there and that you may read and write"
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    ):
        return "this needs more memory than the machine gives; give smaller sizes, such as --dim or --batch"
    return None


def prepare_streams() -> None:
    """Let output that cannot say everything say what it can, and nothing else be opened in a closed stream's place.

    Raises:
        ValueError: standard output is closed.
    """
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if "stdout" in closed:
        raise ValueError("standard output is closed; let it go to a terminal, a file or a pipe")


def forget_output() -> None:
    """Throw away what standard output has not taken: it never will, and would be tried again at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def bold(text: str) -> str:
    """Text that stands out on a terminal."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    caption: str = "",
    right: Sequence[str] = (),
) -> None:
    """Print a table; piped, a line a row, two spaces or more between columns.

    Args:
        header: names of the columns.
        rows: as many cells each.
        title: above it.
        caption: below it.
        right: columns of numbers.
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_lines(header, rows, title, caption, right)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in header:
        table.add_column(Text(name), justify="right" if name in right else "left", no_wrap=name in right)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write mappings as a table: a column for every name that one of them has, what holds several values as JSON."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        values = [row.get(name, "") for name in names]
        writer.writerow([json.dumps(value) if isinstance(value, (list, tuple, dict)) else value for value in values])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _print_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str, caption: str, right: Sequence[str]
) -> None:
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    if title:
        print(title)
    for line in lines:
        cells = [
            f"{cell:>{width}}" if name in right else f"{cell:<{width}}"
            for name, cell, width in zip(header, line, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())
    if caption:
        print(caption)
