"""The page of a comparison: leaderboards to sort, a chooser, pictures, and what made every figure. Opens offline."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..core.catalog import Card, card
from ..core.files import write_json
from ..core.folders import alone, require_ours
from ..core.folders import write_page as write_marked
from ..measure.pages import page
from .cell import Cell
from .grid import standing
from .leaderboard import Line, effort, leaderboard, markdown
from .names import labels
from .pictures import by_distance, by_length, pareto

BOARD = "leaderboard"
WAIT = 60.0
"""Seconds for another comparison in the folder to be done with its leaderboards."""
_MEND = "move it away, or give another --folder"


@dataclass(frozen=True)
class _Row:
    """A memory on a task, as the template wants it."""

    line: Line
    card: Card
    cell: Cell
    anchor: str
    command: str
    """That fills this cell anew."""


@dataclass(frozen=True)
class _Section:
    """A task."""

    card: Card
    rows: list[_Row]
    figures: list[tuple[Markup, str]]


def require_boards(folder: Path) -> None:
    """Refuse a folder in which somebody else's files stand where leaderboards go.

    Raises:
        ValueError: there is one; it names it.
    """
    require_ours([folder / f"{BOARD}.json"], list[Line], mend=_MEND)
    require_ours([folder / f"{BOARD}.md", folder / f"{BOARD}.html"], mend=_MEND)


def write_boards(folder: Path, cells: Sequence[Cell]) -> tuple[list[Line], Path]:
    """Write leaderboard.json, .md and .html of these cells and of all others that stand in the folder.

    Returns:
        The lines, and the page.

    Raises:
        ValueError: somebody else's file stands there, or another process does not get done.
    """
    files = [f"{BOARD}{end}" for end in (".json", ".md", ".html")]
    with alone(folder, *files, name="pages", wait=WAIT):  # who comes last has read the cells of all before it
        require_boards(folder)
        cells = [*cells, *standing(folder, cells)]
        lines = leaderboard(cells)
        write_json(folder / f"{BOARD}.json", [each.as_json() for each in lines])
        write_marked(folder / f"{BOARD}.md", markdown(lines, effort(cells)), mend=_MEND)
        return lines, write_page(folder, cells)


def write_page(folder: Path, cells: Sequence[Cell]) -> Path:
    """Write leaderboard.html into the folder of a comparison, and return its path."""
    lines = leaderboard(cells)
    found = {(cell["task"], cell["memory"]): cell for cell in cells}
    label = {**labels(task for task, _ in found), **labels(memory for _, memory in found)}
    sections = []
    for task in dict.fromkeys(line.task for line in lines):
        own = [line for line in lines if line.task == task]
        rows = [
            _Row(
                line,
                card("memories", line.memory),
                found[task, line.memory],
                f"{label[task]}--{label[line.memory]}",
                _command(found[task, line.memory]),
            )
            for line in own
        ]
        cells_of_task = {memory: cell for (name, memory), cell in found.items() if name == task}
        sections.append(_Section(card("tasks", task), rows, _figures(label[task], own, cells_of_task)))
    memories = sorted({line.memory for line in lines})
    content = json.dumps([line.as_json() for line in lines], indent=2).encode()
    text = page.render(
        "page.html.jinja",
        package="mnesis.compare",
        short=label.__getitem__,
        sections=sections,
        effort=effort(cells),
        memories=[(name, [_of(section, name) for section in sections]) for name in memories],
        best=[(section.card, next((row for row in section.rows if row.line.bits), None)) for section in sections],
        download=page.data_address("application/json", content),
    )
    write_marked(folder / f"{BOARD}.html", text, mend=_MEND)
    return folder / f"{BOARD}.html"


def _of(section: _Section, memory: str) -> _Row | None:
    return next((row for row in section.rows if row.line.memory == memory), None)


def _command(cell: Cell) -> str:
    """What was asked for, as one would write it."""
    if "asked" not in cell:
        return f"mnesis compare {cell['task']} --memories {cell['memory']}"
    setting: dict[str, Any] = cell["asked"]["setting"]
    length = setting["length"]
    words = ["mnesis", "compare", cell["task"], "--memories", cell["memory"]]
    words += ["--budget", f"{setting['budget']['kind']}={setting['budget']['amount']}"]
    if setting["match"]:
        words += ["--match", f"{setting['match']['kind']}={setting['match']['amount']}"]
    words += ["--length", str(length) if isinstance(length, int) else "-".join(map(str, length))]
    words += ["--tests", ",".join(map(str, setting["tests"]))]
    words += _pairs("--task-options", "", setting["task_options"])
    words += _pairs("--options", f"{cell['memory']}:", cell["asked"]["options"])
    for name in ("dim", "depth", "batch", "seeds", "sequences"):
        words += [f"--{name}", str(setting[name])]
    words += ["--convolution", str(setting["convolution"] or 0), "--rates", *map(str, setting["rates"])]
    return shlex.join(words)


def _pairs(flag: str, before: str, options: dict[str, Any]) -> list[str]:
    return [flag, *(f"{before}{key}={json.dumps(value)}" for key, value in options.items())] if options else []


def _figures(task: str, lines: list[Line], cells: dict[str, Cell]) -> list[tuple[Markup, str]]:
    """Pictures of a task, with what they show."""
    if not any(line.bits for line in lines):
        return []
    done = next(cell for cell in cells.values() if cell["status"] == "done")
    length = done["asked"]["setting"]["length"]
    drawn = [
        (
            pareto(lines, lambda line: line.state_bytes, "bytes of a sequence's state"),
            "Bits an answer against the state's bytes",
        ),
        (
            pareto(lines, lambda line: line.units_per_second, "units trained a second", more=True),
            "Bits an answer against the speed of training",
        ),
        (
            pareto(lines, lambda line: line.multiply_adds, "multiply-adds of reading a unit"),
            "Bits an answer against what reading computes",
        ),
        (by_length(lines, length if isinstance(length, int) else length[1]), "Right answers by the length of the test"),
        (by_distance(cells, lines), "Bits an answer by how long ago it was stored"),
    ]
    return [
        (page.inline(figure, f"{task}-{index}", f"{text}; the numbers are in the tables."), text)
        for index, (figure, text) in enumerate(drawn)
        if figure is not None
    ]
