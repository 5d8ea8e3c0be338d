"""From cells to leaderboards: medians and ranges over seeds, the best first."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from ..measure.lengths import format_duration, format_length
from ..measure.metering.meter import Crossing, Interference, Score, capacity, half_life
from .cell import Cell, stale
from .growth import CONFIRMING, enough, further, holds, members
from .verbatim import seen_by

WHOLE, STALE = "†", "‡"
"""Marks of figures that win nothing."""
LEAST = 0.005
"""Bits below which nothing is held."""


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    median: float
    low: float
    high: float


class Half(NamedTuple):
    """Where a curve has halved, over seeds."""

    median: Crossing
    low: Crossing
    high: Crossing

    def told(self) -> str:
        """In words."""
        median, low, high = map(_crossed, self)
        return median if low == high else f"{median} (over seeds {low} to {high})"


def _crossed(at: Crossing) -> str:
    if at.at is not None:
        return f"{at.at:.3g}"
    return f"more than {at.last:g}" if at.last else "less than any that was tested"


@dataclass(frozen=True)
class Grown:
    """What a memory holds once twice the budget no longer raises it, over seeds at the longest trained length."""

    accuracy: Spread
    bits: Spread
    units: int
    """Read by each of these trainings."""
    seeds: int
    converged: bool
    """Whether twice as many units were seen not to raise it; else it may hold more."""
    learning: Spread | None
    """Units read until the accuracy was half of what it came to, above chance; None where nothing was learned."""
    beyond_doubt: bool = True
    """Whether anything is held: the interval of its bits on validation lies above none."""

    @property
    def confirmed(self) -> bool:
        """Whether further seeds have trained with that budget, as they do where anything is held."""
        return not self.beyond_doubt or self.seeds > len(CONFIRMING)

    def told(self) -> str:
        """What is held, as a table has it."""
        at = format_length(_rounded(self.units, 2))
        if not self.beyond_doubt or self.bits.median < LEAST:
            return f"nothing at {at}"
        by = "" if self.confirmed else f" ({self.seeds} seed{'s' * (self.seeds > 1)})"
        return f"{'' if self.converged else '> '}{self.bits.median:.2f} at {at}{by}"


@dataclass(frozen=True)
class Line:
    """A memory on a task. Figures without a length are those of the longest trained one."""

    task: str
    memory: str
    status: str
    reason: str = ""
    accuracy: Spread | None = None
    bits: Spread | None = None
    held: Spread | None = None
    control: float | None = None
    """Accuracy of the same weights, fresh before every question."""
    chance: float | None = None
    state_bytes: int | None = None
    bits_per_byte: float | None = None
    multiply_adds: float | None = None
    """Of reading a unit."""
    bits_per_multiply_add: float | None = None
    """Held bits for each of them."""
    interference: Interference | None = None
    """Medians; None where the task binds nothing anew."""
    parameters: int | None = None
    dim: int | None = None
    rate: float | None = None
    units: int | None = None
    """Read by each training."""
    units_per_second: float | None = None
    """Of CPU time."""
    seconds: float | None = None
    """Of the trainings; the search took ``search_seconds`` besides."""
    search_seconds: float | None = None
    half_items: Half | None = None
    """Stored items of which half are recalled, above chance; None where tests are not of several numbers of items."""
    half_life: Half | None = None
    """Units after which bits have halved; None where the task tells no distances."""
    by_length: tuple[tuple[int, Spread, Spread], ...] = ()
    """(length, accuracy, bits) of every tested one."""
    length: int | None = None
    """That figures are of."""
    sees: int | None = None
    """Units that stand verbatim in the memory; None where none do."""
    inside: tuple[int, ...] = ()
    """Tested lengths at which whole sequences stood there."""
    stale: str = ""
    """By what the figures are out of date; "" where they are not."""
    grown: Grown | None = None
    """With budgets that were doubled; None where they were not."""

    @property
    def holding(self) -> Spread | None:
        """Bits with the budget that is enough, 0 where none are held beyond doubt; None where budgets were not doubled,
        or further seeds have not confirmed it yet."""
        if self.grown is None or not self.grown.confirmed:
            return None
        return self.grown.bits if self.grown.beyond_doubt else Spread(0.0, 0.0, 0.0)

    @property
    def learning(self) -> Spread | None:
        """Units until half of the accuracy that it came to."""
        return self.grown and self.grown.learning

    @property
    def whole(self) -> bool:
        """Whether whole sequences of the longest trained length stood verbatim in the memory."""
        return self.length in self.inside

    @property
    def competes(self) -> bool:
        """Whether its figures say what a memory holds: they may win."""
        return self.bits is not None and not self.whole and not self.stale

    @property
    def mark(self) -> str:
        """Behind its name: what keeps it from winning."""
        return WHOLE * self.whole + STALE * bool(self.stale)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Line:
        """Of such values, as far as it takes to say who holds most."""
        named = ("task", "memory", "status", "reason", "length", "sees", "stale")
        known: dict[str, Any] = {name: values[name] for name in named if name in values}
        known |= {name: values[name] and Spread(**values[name]) for name in ("accuracy", "bits")}
        if grown := values.get("grown"):
            spreads = {name: grown[name] and Spread(**grown[name]) for name in ("accuracy", "bits", "learning")}
            known["grown"] = Grown(**{**grown, **spreads})
        return cls(**known, inside=tuple(values.get("inside", ())))


def line(cell: Cell) -> Line:
    """What a leaderboard says of a cell."""
    about: dict[str, Any] = {
        key: cell.get(key)
        for key in ("dim", "parameters", "multiply_adds", "units_per_second", "rate", "search_seconds")
    }
    if cell["status"] != "done":
        return Line(cell["task"], cell["memory"], cell["status"], cell["reason"], **about)
    trainings = cell["trainings"]
    scores = [[Score.from_json(score) for score in training["scores"]] for training in trainings]
    lengths = [score.length for score in scores[0]]

    def over_seeds(length: int, figure: str) -> Spread:
        values = [getattr(score, figure) for seed in scores for score in seed if score.length == length]
        return _spread(values)

    trained = _trained(cell, lengths)
    own = [score for seed in scores for score in seed if score.length == trained]
    seen = seen_by(cell)
    held = None if own[0].held is None else over_seeds(trained, "held")
    return Line(
        cell["task"],
        cell["memory"],
        "done",
        accuracy=over_seeds(trained, "accuracy"),
        bits=over_seeds(trained, "bits"),
        held=held,
        control=statistics.median(score.control for score in own),
        chance=own[0].chance,
        state_bytes=own[0].state_bytes,
        bits_per_byte=None if held is None else held.median / max(own[0].state_bytes, 1),
        bits_per_multiply_add=held.median / about["multiply_adds"] if held and about["multiply_adds"] else None,
        interference=_interference(own),
        half_items=_half(map(_half_items, scores)),
        half_life=_half(map(_half_life, own)),
        units=sum(training["units"] for training in trainings) // len(trainings),
        seconds=sum(training["seconds"] for training in trainings),
        length=trained,
        sees=seen.sees,
        inside=seen.inside,
        stale=stale(cell),
        grown=_grown(cell, trained),
        by_length=tuple((length, over_seeds(length, "accuracy"), over_seeds(length, "bits")) for length in lengths),
        **about,
    )


def _grown(cell: Cell, length: int) -> Grown | None:
    growth = cell.get("growth")
    if growth is None or (least := enough(growth)) is None:
        return None
    found = members(growth)
    scores = [Score.from_json(score) for each in found for score in each["scores"] if score["length"] == length]
    halves = [float(each["half"]) for each in found if each["half"] is not None] if holds(growth) else []
    return Grown(
        accuracy=_spread([score.accuracy for score in scores]),
        bits=_spread([score.bits for score in scores]),
        units=sum(each["units"] for each in found) // len(found),
        seeds=len(found),
        converged=least.converged,
        learning=_spread(halves) if halves else None,
        beyond_doubt=holds(growth),
    )


def _rounded(value: float | int, digits: int) -> int:
    return int(float(f"{value:.{digits}g}"))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def _interference(scores: Sequence[Score]) -> Interference | None:
    found = [score.interference for score in scores if score.interference]
    if not found:
        return None
    values = [[value for value in figure if value is not None] for figure in zip(*found, strict=True)]
    answers, *shares = [statistics.median(figure) if figure else None for figure in values]
    return Interference(int(answers or 0), *shares)


def _half_items(scores: Sequence[Score]) -> Crossing | None:
    items = {score.items for score in scores}
    return None if None in items or len(items) < max(len(scores), 2) else capacity(scores).half


def _half_life(score: Score) -> Crossing | None:
    try:
        found = half_life(score)
    except ValueError:  # no distances, or too few answers
        return None
    return found if found.at or found.last else None  # nothing was held from the start


def _half(found: Iterable[Crossing | None]) -> Half | None:
    """A curve that is nowhere below half halves beyond all others, one that is so from the start before them."""
    known = sorted(
        (each for each in found if each is not None),
        key=lambda each: each.at if each.at is not None else math.inf if each.last else 0.0,
    )
    return Half(known[(len(known) - 1) // 2], known[0], known[-1]) if known else None


def leaderboard(cells: Sequence[Cell]) -> list[Line]:
    """Tasks in their order; in each the memories by their median bits.

    Behind them come those that win nothing, whose sequences stood in the memory whole, and what did not finish.
    """
    lines = [line(cell) for cell in cells]
    tasks = list(dict.fromkeys(each.task for each in lines))

    def place(each: Line) -> tuple[int, bool, bool, float]:
        return tasks.index(each.task), each.bits is None, not each.competes, -each.bits.median if each.bits else 0.0

    return sorted(lines, key=place)


def overlap(one: Spread, other: Spread) -> bool:
    """Whether two figures cannot be told apart: their ranges over seeds meet, as they are written."""
    return round(one.high, 2) >= round(other.low, 2) and round(other.high, 2) >= round(one.low, 2)


def winners(lines: Sequence[Line], figure: Callable[[Line], Spread | None] = attrgetter("bits")) -> list[Line]:
    """Of one task: who has most, and everybody whose range over seeds meets theirs, the best first.

    Args:
        lines: of the task.
        figure: what of; bits with equal budgets, or with those that are enough (``holding``).
    """
    found = [(each, value) for each in lines if each.competes and (value := figure(each)) is not None]
    found.sort(key=lambda pair: -pair[1].median)
    return [each for each, value in found if overlap(value, found[0][1])]


def _trained(cell: Cell, lengths: Sequence[int]) -> int:
    """The longest tested length that training saw, else the shortest."""
    asked = cell["asked"]["setting"]["length"]
    longest = asked if isinstance(asked, int) else asked[1]
    return max((length for length in lengths if length <= longest), default=min(lengths))


def effort(cells: Sequence[Cell]) -> str:
    """What filling cells took, and on which machines."""
    done = [cell for cell in cells if cell["status"] == "done"]
    trained = sum(training["seconds"] for cell in done for training in cell["trainings"])
    for cell in done:
        tried = [entry["folder"] for entry in cell["search"]]
        trained += sum(training["seconds"] for training in further(cell) if training["folder"] not in tried)
    searched = sum(cell["search_seconds"] for cell in done)
    machines = ", and ".join(dict.fromkeys(cell["machine"] for cell in done if "machine" in cell))
    spent = f"{format_duration(trained)} of training and {format_duration(searched)} of searching"
    where = f" on {machines}" if machines else ""
    return f"{len(done)} of {len(cells)} cells are done: {spent}{where}, one thread a cell."


HEADER = ("memory", "%", "bits", "held", "state B", "bits/B", "weights", "mult-adds", "units/s")
GROWN = ("learning", "holding")
"""Further ones, where budgets were doubled: units until half of the accuracy, and bits with the one that is enough."""


def header(lines: Sequence[Line]) -> tuple[str, ...]:
    """Headings of one task."""
    return (*HEADER[:3], *GROWN, *HEADER[3:]) if any(each.grown for each in lines) else HEADER


def table(lines: Sequence[Line], *, ranges: bool = True) -> list[tuple[str, ...]]:
    """Rows of one task under its ``header``; without ranges medians alone."""
    rows, width, grown = [], len(header(lines)), any(each.grown for each in lines)
    for each in lines:
        if each.accuracy is None or each.bits is None:
            rows.append((each.memory, each.status, *[""] * (width - 2)))
            continue
        learning = "" if each.learning is None else format_length(_rounded(each.learning.median, 2))
        rows.append(
            (
                f"{each.memory} {each.mark}".rstrip(),
                _written(each.accuracy, ranges, lambda value: f"{100 * value:.1f}"),
                _written(each.bits, ranges, lambda value: f"{value:z.2f}"),
                *((learning, "" if each.grown is None else each.grown.told()) if grown else ()),
                "" if each.held is None else f"{each.held.median:z.1f}",
                f"{each.state_bytes:,}",
                "" if each.bits_per_byte is None else f"{each.bits_per_byte:z.4f}",
                f"{each.parameters:,}",
                "" if each.multiply_adds is None else f"{each.multiply_adds:,.0f}",
                "" if each.units_per_second is None else f"{each.units_per_second:,.0f}",
            )
        )
    return rows


def notes(lines: Sequence[Line], *, verdicts: bool = True) -> str:
    """Who holds most on one task, what the marks mean, and why memories did not finish: a line each, or ""."""
    told = [won] if verdicts and (won := verdict(lines)) else []
    if whole := [each for each in lines if each.whole]:
        seen = listed([f"{each.memory} ({each.sees:,} units)" for each in whole])
        told.append(f"{WHOLE} all that is asked stood verbatim in the memory, which wins nothing: {seen}")
    told += [f"{STALE} {each.memory} wins nothing: {each.stale}" for each in lines if each.stale]
    told += [f"{each.memory} {each.status}: {each.reason}" for each in lines if each.status != "done"]
    return "\n".join(" ".join(line.split()) for line in told)


def verdict(lines: Sequence[Line]) -> str:
    """Who holds most on one task, in a sentence; "" where nobody may win.

    With the budgets that are enough, where they were doubled; who has learned most with equal ones is said then too.
    """
    told = [_won(lines, "holding", "hold", " with the budget that is enough for each")]
    told.append(_won(lines, "bits", "have learned" if told[0] else "hold", " with equal budgets" if told[0] else ""))
    return "; ".join(part for part in told if part)


def _won(lines: Sequence[Line], figure: str, does: str, by: str) -> str:
    won = winners(lines, attrgetter(figure))
    if not won:
        return ""
    best = getattr(won[0], figure)
    if best.median < LEAST:
        accuracy = won[0].grown.accuracy if figure == "holding" and won[0].grown else won[0].accuracy
        assert accuracy is not None
        return f"none holds anything{by}: {accuracy.median:.0%} right"
    names = listed([each.memory for each in won])
    within = ", within their ranges over seeds" if len(won) > 1 else ""
    one = {"hold": "holds", "have learned": "has learned"}[does]
    said = f"{names} {does if len(won) > 1 else one} most{by}: {best.median:.2f} bits an answer{within}"
    rising = [each.memory for each in won if figure == "holding" and each.grown and not each.grown.converged]
    return f"{said}; more may raise {listed(rising)}" if rising else said


def listed(words: Sequence[str]) -> str:
    """In words: one, two and three."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _written(value: Spread, ranges: bool, write: Callable[[float], str]) -> str:
    if not ranges or value.low == value.high:
        return write(value.median)
    return f"{write(value.median)} ({write(value.low)} to {write(value.high)})"


def markdown(lines: Sequence[Line], about: str = "") -> str:
    """A table a task, below what is to be said of all; below it who holds most, marks, and what did not finish."""
    parts = [_escaped(about), "\n\n"] if about else []
    for task in dict.fromkeys(each.task for each in lines):
        own = [each for each in lines if each.task == task]
        headings = header(own)
        parts.append(f"## {_escaped(task)}\n\n| {' | '.join(headings)} |\n|---|{'---:|' * (len(headings) - 1)}\n")
        parts += [f"| {' | '.join(map(_escaped, row))} |\n" for row in table(own)]
        parts += [f"\n- {_escaped(note)}" for note in notes(own).splitlines()]
        parts.append("\n" if parts[-1].endswith("\n") else "\n\n")
    return "".join(parts).rstrip() + "\n"


def _escaped(text: str) -> str:
    """Text as Markdown shows it: what would be HTML, a link, emphasis or the end of a cell is text."""
    plain = " ".join(text.split())
    for mark, meant in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.replace(mark, meant)
    return re.sub(r"([\\`*\[\]|])|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", plain)
