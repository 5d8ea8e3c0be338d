"""One page for a run, or for several side by side, that opens anywhere: no network, no scripts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...core.folders import alone, clear_leftovers, require_ours, write_page
from . import figures, page
from .runs import Run, load_run

TEMPLATE = "report.html.jinja"
PAGE, FIGURES = "report.html", "figures"
"""Of a single run, in its folder."""
NAMED = 4
"""Runs whose names stand in the name of their page."""
WAIT = 60.0
"""Seconds for another process to be done with its page."""
_MEND = "move it away, or give another place"
MOST_BYTES = 1_000_000
"""Larger files are named on the page, not carried in it."""


def write_report(
    folders: Sequence[str | Path],
    path: str | Path | None = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write report.html and its figures (SVG and PNG), and return the page's path.

    Args:
        folders: of runs; several are compared side by side. A run that is not evaluated, or half written, is shown as
            far as it goes, with a sentence that says what is missing.
        path: of the page; that of :func:`usual_place` if None. Figures go to ``figures/`` beside the page of a single
            run, to ``<page's name>-figures/`` beside a comparison.
        labels: names of the runs; those of their folders if None.
        title: of the page.
        overwrite: replace somebody else's file at ``path``.

    Raises:
        ValueError: no folder, a folder that holds no run, labels that do not fit, or somebody else's files where the
            page and its figures go.
    """
    runs = _load(folders, labels)
    path = usual_place([run.folder for run in runs]) if path is None else Path(path)
    beside = path.parent / (FIGURES if len(runs) == 1 else f"{path.stem}-figures")
    drawn = draw(runs)
    text = render(runs, drawn, title)  # before figures get titles, which the page has as headings
    # Not the run's own lock: a page may be asked for while the run is trained.
    with alone(path.parent, path.name, name="pages", wait=WAIT):
        require_places(path, beside, drawn, overwrite=overwrite)
        for name, figure in drawn.items():
            for end in figures.ENDS:
                clear_leftovers(beside / f"{name}{end}")
            figures.save(figure, beside / name, _titled(name, runs))
        write_page(path, text, overwrite=overwrite, mend=_MEND)
    return path


def usual_place(folders: Sequence[Path]) -> Path:
    """Where a report goes: into a single run's folder; of several beside the first, under the names of all."""
    if len(folders) == 1:
        return folders[0] / PAGE
    names = list(dict.fromkeys(folder.resolve().name for folder in folders))
    named = "-and-".join(names) if len(names) <= NAMED else f"{names[0]}-and-{len(names) - 1}-others"
    return folders[0].parent / f"{named}.html"


def require_places(path: Path, beside: Path, names: Iterable[str], *, overwrite: bool = False) -> None:
    """Refuse to write a page at ``path`` and figures ``beside`` it where somebody else's files stand.

    Raises:
        ValueError: there is one; it names it.
    """
    drawn = [beside / f"{name}{end}" for name in names for end in figures.ENDS]
    require_ours([*([] if overwrite else [path]), *drawn], mend=_MEND)


def require_place(folder: Path) -> None:
    """The same for the report of a run in its own folder, before there is anything to draw.

    Raises:
        ValueError: as :func:`require_places`.
    """
    require_places(folder / PAGE, folder / FIGURES, _SHOWN)


def draw(runs: Sequence[Run]) -> dict[str, Figure]:
    """Every figure that the runs have numbers for, by name."""
    evaluated, drawn = [run for run in runs if run.lengths], {}
    for name, measure in (("accuracy", "accuracy"), ("explained", "R2")):
        if judged := [run for run in evaluated if run.measure == measure]:
            drawn[name] = figures.accuracy_by_length(judged)
    if streamed := [run for run in evaluated if run.streamed]:
        drawn["cost"] = figures.cost_by_length(streamed)
    if trained := [run for run in runs if any(line.get("units") is not None for line in run.metrics)]:
        drawn["training"] = figures.training_curves(trained)
    for index, run in enumerate(runs):
        if any(row.get("depth") for row in run.lengths):
            drawn[f"depth{'' if len(runs) == 1 else f'-{index + 1}'}"] = figures.accuracy_by_depth(run)
    return drawn


def render(runs: Sequence[Run], drawn: Mapping[str, Figure], title: str | None = None) -> str:
    """The page's text."""
    views = [_View(run, f"-{i + 1}" if len(runs) > 1 else "") for i, run in enumerate(runs)]
    differing, alike = _side_by_side(views)
    return page.render(
        TEMPLATE,
        title=title or ("Memory report: " + ", ".join(run.label for run in runs)),
        runs=views,
        labels=[run.label for run in runs],
        differing=differing,
        alike=alike,
        learned=any(run.stages for run in runs),
        figures={name: page.inline(figure, name, _described(name)) for name, figure in drawn.items()},
        lengths=sorted({row["length"] for run in runs for row in run.lengths}),
        scorers=SCORERS,
        streamed=any(run.streamed for run in runs),
        on_device=any(row.get("device_bytes") for run in runs for row in run.lengths),
        judged=any(row.get("scorers") for run in runs for row in run.lengths),
        graded=any(line.get("accuracy") is not None for run in runs for line in run.metrics),
    )


SCORERS = {"official": "BABILong's metric", "whole_word": "Exact words"}
"""Further ways to judge answers, as columns are headed; others by their own names."""


@dataclass
class _View:
    """A run as the template wants it."""

    run: Run
    suffix: str
    commands: list[str] = field(init=False)
    settings: list[tuple[str, str]] = field(init=False)
    downloads: list[tuple[str, str | None]] = field(init=False)

    def __post_init__(self) -> None:
        about = self.run.results.get("about", {})
        found = [self.run.command, about.get("command")]
        self.commands = list(dict.fromkeys(_command(command) for command in found if command))
        settings = {**self.run.config, "evaluation": {**about, **self.run.results.get("settings", {})}}
        self.settings = [pair for pair in _flat(settings) if pair[0].split(".")[-1] != "command"]
        self.downloads = list(_downloads(self.run))

    def at(self, length: int) -> dict[str, Any] | None:
        """The summary of one length."""
        return next((row for row in self.run.lengths if row["length"] == length), None)


def _side_by_side(views: Sequence[_View]) -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]]]:
    """Settings that differ, with a value a run ("" where it has none), and those that all share, with that one."""
    told = [dict(view.settings) for view in views]
    rows = [
        (name, [each.get(name, "") for each in told]) for name in dict.fromkeys(name for each in told for name in each)
    ]
    differing = [(name, values) for name, values in rows if len(set(values)) > 1]
    return differing, [(name, values[:1]) for name, values in rows if len(set(values)) == 1]


def _load(folders: Sequence[str | Path], labels: Sequence[str] | None) -> list[Run]:
    if not folders:
        raise ValueError("a report is about runs; give at least one run's folder")
    if labels is not None and len(labels) != len(folders):
        raise ValueError(f"{len(labels)} labels for {len(folders)} runs; give one label a run")
    runs = [load_run(folder, label) for folder, label in zip(folders, labels or [None] * len(folders), strict=True)]
    names = [run.label for run in runs]
    for run in runs:
        if names.count(run.label) > 1:
            run.label = str(run.folder)
    return runs


_SHOWN = {
    "accuracy": ("Accuracy against length", "the numbers are in the table below"),
    "explained": ("R2 against length", "the numbers are in the table below"),
    "cost": ("Units read a second and memory against length", "the numbers are in the table below"),
    "depth": ("Accuracy by length and by the place of the last supporting fact", "its cells hold the numbers"),
    "training": ("Training against units seen", "where each stage ended is in the table below"),
}
"""Figures by name: what they show, and where those find it who do not see them."""


def _described(name: str) -> str:
    return "; ".join(_SHOWN[name.partition("-")[0]])


def _titled(name: str, runs: Sequence[Run]) -> str:
    """The title of a figure that stands alone; runs that share it are named in its legend."""
    kind, _, number = name.partition("-")
    own = runs[int(number) - 1] if number else runs[0] if len(runs) == 1 else None
    return _SHOWN[kind][0] + (f": {own.label}" if own else "")


def _command(command: Any) -> str:
    return " ".join(map(str, command)) if isinstance(command, list) else str(command)


def _flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested dictionaries as (dotted name, text)."""
    if not isinstance(tree, dict):
        yield prefix, tree if isinstance(tree, str) else json.dumps(tree, default=str)
        return
    for key, value in tree.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def _downloads(run: Run) -> Iterator[tuple[str, str | None]]:
    """Names and data addresses of what may be taken along; the address of a file too large to carry is None."""
    if run.lengths:
        yield "lengths.csv", page.data_address("text/csv", lengths_csv(run).encode())
    for name, kind in (
        ("results.json", "application/json"),
        ("config.json", "application/json"),
        ("metrics.jsonl", "application/x-ndjson"),
        ("evaluation.jsonl", "application/x-ndjson"),
        ("scores.jsonl", "application/x-ndjson"),
    ):
        file = run.folder / name
        if file.is_file():
            yield name, page.data_address(kind, file.read_bytes()) if file.stat().st_size <= MOST_BYTES else None


def lengths_csv(run: Run) -> str:
    """What was found at each length, as a table; a figure that was not taken is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    plain = ("length", "measure", "units", "streams", "questions", "chance", "above_chance")
    cost = ("state_bytes", "units_per_second", "peak_bytes", "growth_bytes", "device_bytes")
    parts = ("accuracy", "control_accuracy", "bits")
    writer.writerow([*plain, *(f"{n}{end}" for n in parts for end in ("", "_low", "_high")), *cost])
    for row in run.lengths:
        values = [value for n in parts for value in (row[n]["mean"], *(row[n]["interval"] or ("", "")))]
        told = {"measure": run.measure, **row}
        writer.writerow([*(told.get(key, "") for key in plain), *values, *(told.get(key, "") for key in cost)])
    return buffer.getvalue()
