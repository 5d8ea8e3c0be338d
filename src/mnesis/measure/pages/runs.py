"""A run's folder, read for its report; what is missing or half written is said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ...core.domain import Size, require
from ...core.files import read_json, read_lines
from ...core.run_files import CONFIG, METRICS, Line
from ..lengths import format_length
from ..streaming.records import FILE, read_records
from ..streaming.summary import RESULTS, Results, summarize

_MEND = "it is left out"


class _Stage(TypedDict, total=False):
    """What a page needs of a recipe's stage."""

    length: Size | tuple[Size, Size]
    start: str


@dataclass
class Run:
    """What is known of one run."""

    label: str
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    metrics: list[Line] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def lengths(self) -> list[dict[str, Any]]:
        """The evaluated lengths that had questions."""
        return [row for row in self.results.get("lengths", []) if "accuracy" in row]

    @property
    def trained_length(self) -> int | None:
        """The longest sequence it was trained on; None where that is not known.

        ``trained_length`` in the configuration, else the recipe's longest stage, else the longest of metrics.jsonl.
        Where a stage carries its state from episode to episode their length says little, so only the first counts.
        """
        if given := self._configured("trained_length"):
            return given
        stages = self.config.get("recipe", {}).get("stages", [])
        if any(stage.get("start") == "carried" for stage in stages):
            return None
        told = [length for stage in stages for length in _numbers(stage.get("length"))]
        return max(told or [stage["length"] for stage in self.stages if stage["length"]], default=None)

    @property
    def command(self) -> Any:
        """What trained it; None where the configuration does not say."""
        return self._configured("command")

    @property
    def stages(self) -> list[dict[str, Any]]:
        """Each stage of training: ``first`` (units seen when it began), its longest ``length``, and its last line."""
        found: list[dict[str, Any]] = []
        for index, line in enumerate(self.metrics):
            if not index or line.get("stage") != self.metrics[index - 1].get("stage"):
                found.append({"first": self.metrics[index - 1].get("units") if index else 0, "length": None})
            keys = ("stage", "update", "units", "loss", "accuracy", "seconds")
            lengths = [length for length in (found[-1]["length"], line.get("length")) if length]
            found[-1] |= {key: line.get(key) for key in keys} | {"length": max(lengths, default=None)}
        return found

    def _configured(self, key: str) -> Any:
        inner = self.config.get("config")
        return self.config.get(key) or (inner.get(key) if isinstance(inner, dict) else None)

    @property
    def finding(self) -> str:
        """One plain sentence: what was found."""
        return describe_finding(self.lengths, self.trained_length) if self.lengths else " ".join(self.problems)


def load_run(folder: str | Path, label: str | None = None) -> Run:
    """Read config.json, metrics.jsonl and results.json of a run's folder, as far as they are there.

    Where an evaluation is not finished, its streams so far are summed up.

    Raises:
        ValueError: no such folder, or nothing of a run in it.
    """
    folder = Path(folder)
    names = (CONFIG, METRICS, RESULTS, FILE)
    if not any((folder / name).is_file() for name in names):
        raise ValueError(f"{folder} holds no run (none of {', '.join(names)}); give a folder that training wrote")
    run = Run(label or folder.resolve().name, folder)
    run.config = _object(folder / CONFIG, dict[str, Any], run.problems)
    try:
        _check_config(run)
    except ValueError as error:
        run.problems.append(f"{error}.")
        run.config = {}
    run.metrics = _metrics(folder / METRICS, run.problems)
    run.results = _object(folder / RESULTS, Results, run.problems)
    if not run.results.get("lengths"):
        try:
            run.results |= summarize(read_records(folder))
        except ValueError as error:
            run.problems.append(f"{error}.")
        if run.results.get("lengths"):
            run.problems.insert(0, "The evaluation is not finished; what follows is what it has found so far.")
        else:
            run.problems.insert(0, "This run is not evaluated yet; mnesis evaluate measures what it holds.")
    return run


def describe_finding(lengths: list[dict[str, Any]], trained: int | None) -> str:
    """One sentence from the summaries: up to which length the accuracy holds, against chance and control.

    A length holds if its interval lies above chance and control and its accuracy above chance is at least nine tenths
    of the best; the sentence names the longest up to which every one holds.
    """
    holding = []
    best = max((row["above_chance"] or 0.0) for row in lengths)
    for row in lengths:
        if not (clear(row) and (row["above_chance"] or 0.0) >= 0.9 * best):
            break
        holding.append(row)
    last = lengths[-1]
    if not any(map(clear, lengths)):
        reach = "" if len(lengths) == 1 else f"{format_length(lengths[0]['length'])} to "
        return (
            f"At {reach}{format_length(last['length'])} units its answers show no memory: {_percent(last)} are right, "
            f"where {against(last)}."
        )
    if not holding:
        good = max((row for row in lengths if clear(row)), key=lambda row: row["above_chance"] or 0.0)
        return (
            f"It answers best after {format_length(good['length'])} units ({_percent(good)} right) and does not hold "
            f"that from the shortest length on; {against(good)}."
        )
    held = holding[-1]
    text = f"After {format_length(held['length'])} units it answers {_percent(held)} of questions rightly"
    if trained and held["length"] > trained:
        text += f", {held['length'] / trained:.3g} times the length it was trained on"
    text += f"; {against(held)}."
    if held is not last:
        beyond = lengths[lengths.index(held) + 1]
        text += f" At {format_length(beyond['length'])} units this falls to {_percent(beyond)}."
    return text


def clear(row: Mapping[str, Any]) -> bool:
    """Whether an accuracy's interval lies above both chance and control."""
    return row["accuracy"]["interval"][0] > max(row["chance"], row["control_accuracy"]["mean"])


def against(row: Mapping[str, Any]) -> str:
    """What an accuracy is to be compared with."""
    return (
        f"always giving the commonest answer gets {row['chance']:.0%}, the same weights without what they read "
        f"{row['control_accuracy']['mean']:.0%}"
    )


def _percent(row: Mapping[str, Any]) -> str:
    low, high = row["accuracy"]["interval"]
    return f"{row['accuracy']['mean']:.0%} ({low * 100:.0f} to {high:.0%})"


def _numbers(length: Any) -> list[int]:
    """A length, or both ends of a range of lengths."""
    return [int(end) for end in (length if isinstance(length, list) else [length]) if end]


def _object(path: Path, shape: Any, problems: list[str]) -> dict[str, Any]:
    try:
        return read_json(path, shape, mend=_MEND)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        problems.append(f"{error}.")
        return {}


def _check_config(run: Run) -> None:
    """Refuse a configuration whose entries are not what a page takes them for; most say nothing to it."""
    recipe, source = run.config.get("recipe", {}), f"{run.folder / CONFIG} cannot be read"
    require(recipe, dict[str, Any], f"{source}: recipe", _MEND)
    stages = recipe.get("stages", [])
    require(stages, list[dict[str, Any]], f"{source}: recipe.stages", _MEND)
    told = [{key: stage[key] for key in ("length", "start") if key in stage} for stage in stages]
    require(told, list[_Stage], f"{source}: recipe.stages", _MEND)
    require(run._configured("trained_length"), Size | None, f"{source}: trained_length", _MEND)


def _metrics(path: Path, problems: list[str]) -> list[Line]:
    bad: list[str] = []
    try:
        found = read_lines(path, Line, mend=_MEND, finite=False, bad=bad)
    except ValueError as error:
        problems.append(f"{error}.")
        return []
    if count := len(bad) + found.torn:
        problems.append(
            f"{path.name} has {count} line{'s' * (count > 1)} that cannot be read (a run killed while writing)."
        )
    return found.entries
