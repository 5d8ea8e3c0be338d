"""What a comparison will take in hours of CPU time, from the units that each memory trains a second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..core.catalog import card
from ..measure.lengths import format_duration
from .cell import RESULT, read_cell, stood
from .growth import doublings_of, remaining
from .place import Place


class Range(NamedTuple):
    """CPU seconds."""

    least: float
    """Where no search goes beyond its ends, and a doubled budget raises nothing."""
    most: float


@dataclass(frozen=True)
class Planned:
    """A cell that is to be filled, or trained further."""

    place: Place
    speed: float | None
    """Units trained a second of CPU time; None where nobody knows."""
    takes: Range


def plan(places: Sequence[Place], measured: Mapping[Path, float | None], *, anew: bool = False) -> list[Planned]:
    """What these cells will take, as fast as they were when they were filled before, else as fast as was measured now.

    Args:
        places: of cells that do not stand as far as asked.
        measured: units a second, by folder.
        anew: cells that stand are removed first.
    """
    found = []
    for place in places:
        standing = _standing(place.folder)
        speed = (standing or {}).get("units_per_second") or measured.get(place.folder)
        found.append(Planned(place, speed, _takes(place, None if anew else standing, speed)))
    return found


def total(planned: Sequence[Planned]) -> Range:
    """Of all of them."""
    return Range(sum(each.takes.least for each in planned), sum(each.takes.most for each in planned))


def told(planned: Sequence[Planned], workers: int) -> str:
    """In a sentence."""
    cells = f"{len(planned)} cell{'s' * (len(planned) != 1)} to train"
    unknown = sum(each.speed is None and each.place.setting.budget.kind == "tokens" for each in planned)
    rest = f"; {unknown} of them without a known speed, which are not counted" if unknown else ""
    time = total(planned)
    longest = map(max, zip(*(each.takes for each in planned), strict=True)) if planned else time  # a cell is one's own
    here = Range(*(max(whole / workers, one) for whole, one in zip(time, longest, strict=True)))
    return f"{cells}: {_between(time)} of CPU time, {_between(here)} here{rest}"


def _between(time: Range) -> str:
    least, most = map(format_duration, time)
    return least if least == most else f"{least} to {most}"


def _standing(folder: Path) -> dict[str, Any] | None:
    """A cell of whatever setting or revision."""
    return read_cell(folder / RESULT) if (folder / RESULT).exists() else None


def _takes(place: Place, standing: dict[str, Any] | None, speed: float | None) -> Range:
    setting, budget = place.setting, place.setting.budget
    if budget.kind == "tokens" and not speed:
        return Range(0.0, 0.0)
    once = budget.amount if budget.kind == "seconds" else budget.amount / (speed or math.inf)
    least, most = 0.0, 0.0
    if standing is None or not _stands(place):
        standing = None
        tried = len(setting.rates)
        solved = card("memories", place.memory).search
        least += tried + setting.seeds
        most += tried + setting.seeds + (len(setting.rates) > 1 or bool(solved))
    growth, doublings = (standing or {}).get("growth"), doublings_of(speed, place.doublings)
    further = remaining(standing, growth, doublings, setting.seeds)
    return Range(once * (least + further[0]), once * (most + further[1]))


def _stands(place: Place) -> bool:
    """Whether it is the cell that is asked for, so that it is trained further and not anew."""
    try:
        return stood(*place.cell) is not None
    except ValueError:
        return False
