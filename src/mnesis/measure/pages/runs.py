"""A run's folder, read for its report; what is missing or half written is said in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ...core.domain import Size, require
from ...core.files import parse_json, read_json, read_lines
from ...core.run_files import CONFIG, METRICS, WEIGHTS, Line, begun_phases, of_run
from ...core.specification import task_in
from ...core.tensor_header import read_header
from ..lengths import format_length
from ..metering.scores import FILE as SCORES
from ..metering.scores import Examined, read_scores
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
    def streamed(self) -> bool:
        """Whether streams were read and asked at their ends, in units; else sequences of a task, by its own length."""
        return any("units" in row for row in self.lengths)

    @property
    def measure(self) -> str:
        """What its answers are judged by: "accuracy" or "R2"."""
        return next((row["measure"] for row in self.lengths if "measure" in row), "accuracy")

    @property
    def task(self) -> str:
        """What it was trained on; "" where nothing says it."""
        if found := task_in(self.config):
            return found.label
        return "babilong" if self._configured("source") else ""

    @property
    def memory(self) -> str:
        """The memory in it; "" where nothing says it."""
        for described in (self._configured("model"), self.config.get("memory")):
            if isinstance(described, dict):
                arguments = described.get("arguments")
                if isinstance(arguments, str):
                    arguments = _arguments(arguments)
                inside = arguments.get("memory") if isinstance(arguments, dict) else None
                found = inside or ("" if "network" in described else described.get("memory"))
                if found:
                    return ", ".join(dict.fromkeys(map(str, found))) if isinstance(found, list) else str(found)
        return ""

    @property
    def weights(self) -> int | None:
        """Numbers that its network is made of; None where they are not there."""
        try:
            header = read_header(self.folder / WEIGHTS, mend=_MEND)
        except (OSError, ValueError):
            return None
        return sum(math.prod(promise.shape) for promise in header.promises.values())

    @property
    def last(self) -> dict[str, Any]:
        """Where its training ended: figures of the last stage, None where there are none."""
        known = dict.fromkeys(("update", "units", "loss", "accuracy", "seconds"))
        return known | (self.stages[-1] if self.stages else {})

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
    names = (CONFIG, METRICS, RESULTS, FILE, SCORES)
    if not any((folder / name).is_file() for name in names):
        if phases := begun_phases(folder):
            raise ValueError(
                f"the training in {folder} has not ended, and each of its phases has a page of its own; give "
                f"{phases[-1]}"
            )
        raise ValueError(f"{folder} holds no run (none of {', '.join(names)}); give a folder that training wrote")
    run = Run(label or folder.resolve().name, folder)
    run.config = _object(folder / CONFIG, dict[str, Any], run.problems)
    try:
        run.config = of_run(run.config, str(folder / CONFIG), mend=_MEND)
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
    if not run.results.get("lengths"):
        try:
            run.results |= _scored(folder)
        except ValueError as error:
            run.problems.append(f"{error}.")
    if not run.results.get("lengths"):
        trained = (folder / WEIGHTS).is_file()
        advice = f"mnesis evaluate {folder} measures what it holds" if trained else "it is not trained to its end"
        run.problems.insert(0, f"This run is not evaluated yet; {advice}.")
    return run


def _scored(folder: Path) -> dict[str, Any]:
    """The scores of a folder as results."""
    identity, found = read_scores(folder, mend=_MEND)
    if not found:
        return {}
    settings = {key: identity[key] for key in ("seed", "sequences") if key in identity}
    return {"about": identity.get("about", {}), "settings": settings, "lengths": [_row(each) for each in found]}


def _row(examined: Examined) -> dict[str, Any]:
    """A score as a summary of a length."""
    score = examined.score
    return {
        "length": score.length,
        "measure": score.measure,
        "streams": score.sequences,
        "questions": score.answers,
        "accuracy": {"mean": score.accuracy, "interval": score.accuracy_interval},
        "control_accuracy": {"mean": score.control, "interval": None},
        "chance": score.chance,
        "above_chance": score.above_chance,
        "bits": {"mean": score.bits, "interval": score.bits_interval},
        "control_bits": {"mean": score.control_bits, "interval": None},
        "scorers": {},
        "depth": [],
        "state_bytes": score.state_bytes,
    }


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
    first, last, numbers = lengths[0], lengths[-1], lengths[0].get("measure") == "R2"
    if not any(map(clear, lengths)):
        reach = "" if len(lengths) == 1 else f"{format_length(first['length'])} to "
        said = _share(last) + ("" if numbers else " are right")
        above = last["accuracy"]["mean"] > max(last["chance"], last["control_accuracy"]["mean"])
        few = above and last.get("questions", FEW) < FEW
        shown = "questions are too few to show a memory" if few else "its answers show no memory"
        return f"At {_place(last, reach)} {shown}: {said}, where {against(last)}."
    if not holding:
        good = max((row for row in lengths if clear(row)), key=lambda row: row["above_chance"] or 0.0)
        said = _share(good) + ("" if numbers else " right")
        return (
            f"It answers best {'at' if 'measure' in good else 'after'} {_place(good)} ({said}) and does not hold that "
            f"from the shortest length on; {against(good)}."
        )
    held = holding[-1]
    said = f"answers with {_share(held)}" if numbers else f"answers {_share(held, ' of questions rightly')}"
    text = f"{'At' if 'measure' in held else 'After'} {_place(held)} it {said}"
    if trained and held["length"] > trained:
        text += f", {held['length'] / trained:.3g} times the length it was trained on"
    text += f"; {against(held)}."
    if held is not last:
        beyond = lengths[lengths.index(held) + 1]
        text += f" At {_place(beyond)} this falls to {_share(beyond)}."
    return text


def _place(row: Mapping[str, Any], reach: str = "") -> str:
    """A length in words: units of a stream, or the task's own."""
    length = f"{reach}{format_length(row['length'])}"
    return f"length {length}" if "measure" in row else f"{length} units"


def clear(row: Mapping[str, Any]) -> bool:
    """Whether an accuracy's interval lies above both chance and control."""
    return row["accuracy"]["interval"][0] > max(row["chance"], row["control_accuracy"]["mean"])


def against(row: Mapping[str, Any]) -> str:
    """What an accuracy is to be compared with."""
    control = row["control_accuracy"]["mean"]
    if row.get("measure") == "R2":
        return f"a constant answer has 0, the same weights without what they read {control:.2f}"
    return (
        f"always giving the commonest answer gets {row['chance']:.0%}, the same weights without what they read "
        f"{control:.0%}"
    )


FEW = 50
"""Questions, below which their number stands beside the share that was right."""


def _share(row: Mapping[str, Any], of: str = "") -> str:
    """The share of right answers, or R2, with its interval; where it comes from few questions, of how many."""
    low, high = row["accuracy"]["interval"]
    if row.get("measure") == "R2":
        return f"R2 {row['accuracy']['mean']:.2f} ({low:.2f} to {high:.2f})"
    text = f"{row['accuracy']['mean']:.0%} ({low * 100:.0f} to {high:.0%})"
    asked = row.get("questions", FEW)
    few = f" of only {asked} questions" if asked < FEW else ""
    return text + (few + of.removeprefix(" of questions") if few else of)


def _arguments(text: str) -> dict[str, Any]:
    """A network's arguments out of the text that a training keeps; none of what is no JSON."""
    try:
        return parse_json(text, dict[str, Any], source="arguments", mend=_MEND)
    except ValueError:
        return {}


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
