"""The page of a comparison: leaderboards to sort, a chooser, pictures, and what made every figure. Opens offline."""

from __future__ import annotations

import json
import math
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..core.catalog import Card, card
from ..core.files import read_json, write_json
from ..core.folders import alone, is_ours, require_ours
from ..core.folders import write_page as write_marked
from ..measure.pages import page
from .cell import Cell
from .grid import standing
from .growth import members
from .leaderboard import LEAST, Grown, Line, Spread, effort, leaderboard, listed, markdown, notes, verdict, winners
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

    @property
    def best(self) -> Line | Grown:
        """Accuracy and bits that it wins or loses by."""
        return self.line.grown if self.line.grown and self.line.holding else self.line

    @property
    def most(self) -> Spread:
        """Bits that it wins by."""
        found = self.line.holding or self.line.bits
        assert found is not None
        return found

    @property
    def doubled(self) -> list[tuple[bool, dict[str, Any]]]:
        """Trainings with doubled budgets, and whether each is with the one that is enough."""
        growth = self.cell.get("growth")
        if growth is None:
            return []
        told = {id(each) for each in members(growth)}
        return [(id(each) in told, each) for each in (*growth["doubled"], *growth["confirming"])]

    @property
    def above(self) -> float | None:
        """Right answers above chance, as a share of what is above it; None without any."""
        if self.line.accuracy is None or self.line.chance is None:
            return None
        chance = self.line.chance
        return (self.line.accuracy.median - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(frozen=True)
class _Section:
    """A task."""

    card: Card
    rows: list[_Row]
    figures: list[tuple[Markup, str]]

    @property
    def won(self) -> list[_Row]:
        """Who holds most, and everybody whose range over seeds meets theirs: with the budgets that are enough, where
        they were doubled, else with equal ones."""
        return self._won("holding" if self.has("holding") else "bits")

    @property
    def learned(self) -> list[_Row]:
        """The same with equal budgets."""
        return self._won("bits")

    def _won(self, figure: str) -> list[_Row]:
        lines = winners([row.line for row in self.rows], attrgetter(figure))
        return [row for line in lines for row in self.rows if row.line is line]

    @property
    def notes(self) -> list[str]:
        """What the marks mean, and what did not finish."""
        return notes([row.line for row in self.rows], verdicts=False).splitlines()

    def has(self, figure: str) -> bool:
        """Whether any of them has it: columns without are dropped."""
        return any(getattr(row.line, figure) is not None for row in self.rows)


@dataclass(frozen=True)
class _Other:
    """Another comparison, in a folder inside this one's."""

    name: str
    address: str
    verdicts: list[tuple[str, str]]
    """Of each task."""


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
    columns = sorted(sections, key=lambda section: -len(section.rows))  # those that all have first
    content = json.dumps([line.as_json() for line in lines], indent=2).encode()
    text = page.render(
        "page.html.jinja",
        package="mnesis.compare",
        short=label.__getitem__,
        sections=sections,
        grown=any(section.has("grown") for section in sections),
        effort=effort(cells),
        columns=columns,
        groups=_grouped(columns, memories),
        memories=len(memories),
        equal=_equal(cells),
        others=_others(folder),
        least=LEAST,
        download=page.data_address("application/json", content),
    )
    write_marked(folder / f"{BOARD}.html", text, mend=_MEND)
    return folder / f"{BOARD}.html"


def _grouped(columns: Sequence[_Section], memories: Sequence[str]) -> list[list[tuple[str, list[_Row | None]]]]:
    """Rows of the heat map, the best mean first; those that are on every task apart from the others."""
    rows = [(name, [_of(section, name) for section in columns]) for name in memories]

    def mean(row: tuple[str, list[_Row | None]]) -> float:
        found = [each.above for each in row[1] if each and each.above is not None and each.line.competes]
        return statistics.mean(found) if found else -math.inf

    ranked = sorted(rows, key=mean, reverse=True)
    whole = [row for row in ranked if all(row[1])]
    return [group for group in (whole, [row for row in ranked if row not in whole]) if group]


def _of(section: _Section, memory: str) -> _Row | None:
    return next((row for row in section.rows if row.line.memory == memory), None)


def _equal(cells: Sequence[Cell]) -> str:
    """What is equal for all of them, in words."""
    settings = [cell["asked"]["setting"] for cell in cells if "asked" in cell]
    told = []
    for key in ("match", "dim", "depth", "budget"):
        values = {json.dumps(setting[key]) for setting in settings}
        value = json.loads(values.pop()) if len(values) == 1 else None
        if key == "match" and value:
            unit = "bytes of a sequence's state" if value["kind"] == "state" else "parameters"
            told.append(f"{value['amount']:,} {unit}")
        elif key == "budget" and value:
            what = "units" if value["kind"] == "tokens" else "seconds of CPU time"
            told.append(f"{value['amount']:,} {what} of training")
        elif key == "dim" and value and not any(setting["match"] for setting in settings):
            told.append(f"width {value}")
        elif key == "depth" and value:
            told.append(f"{value} block" + "s" * (value > 1))
    return listed(told) if told else ""


def _others(folder: Path) -> list[_Other]:
    """Comparisons that stand in folders inside this one, by their leaderboards."""
    found = []
    for path in sorted(folder.glob(f"*/{BOARD}.json")):
        if not is_ours(path, list[Line]):
            continue
        lines = [Line.from_json(values) for values in read_json(path, list[dict[str, Any]], mend=_MEND, finite=False)]
        tasks = list(dict.fromkeys(line.task for line in lines))
        told = [(task, verdict([line for line in lines if line.task == task])) for task in tasks]
        if told:
            found.append(_Other(path.parent.name, f"{path.parent.name}/{BOARD}.html", told))
    return found


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
    if growth := cell.get("growth"):
        words += ["--doublings", str(len(growth["doubled"]) - 1 + ("broke" in growth))]
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
