"""Scores of a network at several lengths of a task, kept length by length, so that a killed evaluation goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import torch

from ...core.domain import Count, Size, fault
from ...core.files import atomic_path, read_lines, shown_differences, told
from ...core.folders import alone
from ...core.made_by import fingerprint
from ...core.memory import Memory
from ...core.reason import reason_for
from ...core.run_files import Amount
from ...core.task import Task
from ..lengths import format_length
from ..progress import Bar
from .meter import Score, examine

FILE = "scores.jsonl"
FORMAT = 1
SEED = 1_000_000_007
"""Of the sequences; every network is asked the same, and training is far from it."""
MOST, LEAST, UNITS = 256, 32, 500_000
"""Sequences of a length at most and at least, and units of all of them that lie between."""
_ROWS, _AT_ONCE = 64, 1 << 19
"""Sequences read side by side at most, and units of them together."""
_DRAWN = 4
"""Sequences that tell how long they are."""
_MEND = "overwrite it, or remove it to evaluate anew"


@dataclass(frozen=True)
class Examined:
    """A score, and what it took."""

    score: Score
    units: Amount
    """Of a sequence, on average: the task's own unit of length may be another."""
    seconds: Amount


class _Head(TypedDict):
    """The first line of the file."""

    format: Size
    identity: dict[str, Any]


class Reach(NamedTuple):
    """How far a task goes."""

    lengths: list[int]
    limit: str
    """Why it goes no further; "" where it does."""


def doubles(task: Task, length: int, times: int = 64) -> Reach:
    """A length and its doubles up to so many times, as far as the task goes.

    A task ends where it refuses a length, and where its sequences get no longer.
    """
    found, before = [], 0.0
    for power in range(times.bit_length()):
        wanted = length << power
        try:
            units = _units(task, wanted)
        except ValueError as error:
            return Reach(found, f"{format_length(wanted)} is beyond what it draws ({str(error).split(';')[0]})")
        if units == before:
            return Reach(found, f"its sequences get no longer than {before:,.0f} units")
        found.append(wanted)
        before = units
    return Reach(found, "")


def examine_lengths(
    network: Memory[Any],
    task: Task,
    lengths: Sequence[int],
    *,
    sequences: Size | None = None,
    seed: Count = SEED,
    folder: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Examined]:
    """Put a task's questions to a network at every length, the shortest first.

    Args:
        network: as :func:`~mnesis.measure.metering.meter.examine` takes it.
        task: whose sequences are drawn; give that on unseen data.
        lengths: in the task's own unit.
        sequences: a length; None = up to 256, fewer where they are long, so that they stay near half a million units,
            and at least 32.
        seed: of the sequences.
        folder: of the run. Every finished length is a line of its scores.jsonl, and those found there are not examined
            again; None = nothing is written.
        about: what else these scores are of, as JSON; other scores are not mixed with them.
        overwrite: replace scores of other weights or questions.
        progress: a bar with the time left on whatever takes more than two seconds.

    Returns:
        What was found at these lengths, in their order.

    Raises:
        ValueError: a task that asks nothing at a length, scores of something else in the folder, or another process
            that writes in it.
    """
    wanted = sorted(set(lengths))
    identity = {"weights": fingerprint(network), "seed": seed, "sequences": sequences, "about": dict(about or {})}
    with nullcontext() if folder is None else alone(Path(folder), FILE):
        kept = _Store(None if folder is None else Path(folder) / FILE, identity, overwrite)
        missing = [length for length in wanted if length not in kept.found]
        plan = {length: _plan(task, length, sequences) for length in missing}
        with Bar(round(sum(units * count for units, count, _ in plan.values())), progress) as bar:
            for length, (units, count, rows) in plan.items():
                bar.describe(f"length {format_length(length)}")
                began = time.perf_counter()
                score = examine(
                    network,
                    task,
                    length,
                    sequences=count,
                    batch=rows,
                    seed=seed,
                    done=lambda read, units=units: bar.advance(round(units * read)),
                )
                if wrong := fault(score.as_json(), Score, "score"):
                    raise ValueError(f"at length {length} it answers in no finite numbers ({wrong}); train it anew")
                kept.add(Examined(score, units, time.perf_counter() - began))
    return [kept.found[length] for length in wanted]


def read_scores(folder: Path, *, mend: str = _MEND) -> tuple[dict[str, Any], list[Examined]]:
    """What a folder's scores are of, and the scores by length; empty where there are none.

    Raises:
        ValueError: a line that is none.
    """
    entries = read_lines(folder / FILE, Examined, mend=mend, head=(_Head, FORMAT)).entries
    if not entries:
        return {}, []
    return entries[0]["identity"], sorted(entries[1:], key=lambda each: each.score.length)


def _units(task: Task, length: int) -> float:
    """Of a sequence of a length, on average over some.

    Raises:
        ValueError: the task does not draw it.
    """
    try:
        return task.episodes(_DRAWN, length, torch.Generator().manual_seed(0)).units / _DRAWN
    except ValueError:
        raise
    except Exception as error:  # of somebody's own class
        raise ValueError(f"{type(task).__name__} cannot draw length {length}: {reason_for(error)}; mend it") from error


def _plan(task: Task, length: int, sequences: int | None) -> tuple[float, int, int]:
    """Units of a sequence, how many there are, and how many are read side by side."""
    units = _units(task, length)
    count = sequences or min(MOST, max(LEAST, int(UNITS / max(units, 1))))
    return units, count, min(_ROWS, count, max(1, int(_AT_ONCE / max(units, 1))))


class _Store:
    """The scores of one evaluation in a file: a header, then a line a length. Who writes is alone in the folder."""

    def __init__(self, path: Path | None, identity: Mapping[str, Any], overwrite: bool) -> None:
        self.path, self.identity = path, json.loads(json.dumps(identity))
        self.found: dict[int, Examined] = {}
        self.whole = 0
        if path is None or not path.exists():
            return
        lines = read_lines(path, Examined, mend=_MEND, head=(_Head, FORMAT))
        before = lines.entries[0]["identity"] if lines.entries else self.identity
        if shown := shown_differences(before, self.identity):
            if not overwrite:
                raise ValueError(f"{path} holds scores of something else ({shown}); {_MEND}")
            with atomic_path(path) as temporary:
                temporary.write_bytes(b"")
            return
        self.whole = lines.whole
        self.found = {entry.score.length: entry for entry in lines.entries[1:]}

    def add(self, entry: Examined) -> None:
        """Keep a score, and put it on disk."""
        self.found[entry.score.length] = entry
        if self.path is None:
            return
        with told(self.path), self.path.open("a+b") as file:
            file.truncate(self.whole)  # what a kill has torn
            file.writelines(self._lines(entry))
            file.flush()
            os.fsync(file.fileno())
            self.whole = file.tell()

    def _lines(self, entry: Examined) -> Iterator[bytes]:
        if not self.whole:
            yield json.dumps({"format": FORMAT, "identity": self.identity}).encode() + b"\n"
        yield json.dumps(asdict(entry), allow_nan=False).encode() + b"\n"
