"""A run's folder, read for its report; what is missing or half written is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lengths import format_length
from .records import FILE, read_records
from .summary import summarize


@dataclass
class Run:
    """What is known of one run."""

    label: str
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Lines of metrics.jsonl: update, stage, length, loss, accuracy, units, seconds, ..."""
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
            return int(given)
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
    names = ("config.json", "metrics.jsonl", "results.json", FILE)
    if not any((folder / name).is_file() for name in names):
        raise ValueError(f"{folder} holds no run (none of {', '.join(names)}); give a folder that training wrote")
    run = Run(label or folder.resolve().name, folder)
    run.config = _object(folder / "config.json", run.problems)
    run.metrics = _lines(folder / "metrics.jsonl", run.problems)
    run.results = _object(folder / "results.json", run.problems)
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


def _object(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        problems.append(f"{path.name} is half written or no JSON, so it is left out.")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name} holds no JSON object, so it is left out.")
        return {}
    return content


def _lines(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines, bad = [], 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict):
            lines.append(line)
        else:
            bad += 1
    if bad:
        problems.append(
            f"{path.name} has {bad} line{'s' * (bad > 1)} that cannot be read (a run killed while writing)."
        )
    return lines
