"""The points of a claim's figures: which models and places there are, means over seeds, and what seeds agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from .claim import Verdict


def models(figures: Mapping[str, Any]) -> list[str]:
    """Names, in the order of their trials."""
    return list(dict.fromkeys(point["model"] for point in figures["points"]))


def select(figures: Mapping[str, Any], *, has: str | None = None, **where: Any) -> list[Mapping[str, Any]]:
    """The points whose entries are these, and that have a quantity; None allows any."""
    asked = [(name, value) for name, value in where.items() if value is not None]
    return [
        point
        for point in figures["points"]
        if (has is None or has in point) and all(point.get(name) == value for name, value in asked)
    ]


def places(figures: Mapping[str, Any], model: str | None = None, **where: Any) -> list[int]:
    """Where there are points on the horizontal axis."""
    return sorted({point["at"] for point in select(figures, model=model, **where)})


def mean(
    figures: Mapping[str, Any], quantity: str, model: str | None = None, at: int | None = None, **where: Any
) -> float:
    """Of a quantity over all points that have it; where model and place are given, what is left are seeds.

    Args:
        figures: of a claim.
        quantity: its name in the points.
        model, at: None = any.
        where: other entries of the points, such as ``phase``.
    """
    return fmean(point[quantity] for point in select(figures, has=quantity, model=model, at=at, **where))


def spread(
    figures: Mapping[str, Any], quantity: str, model: str | None = None, at: int | None = None, **where: Any
) -> tuple[float, float]:
    """Least and most of what :func:`mean` averages."""
    values = [point[quantity] for point in select(figures, has=quantity, model=model, at=at, **where)]
    return min(values), max(values)


def agreed(figures: Mapping[str, Any], judge: Callable[[Mapping[str, Any]], Verdict]) -> Verdict:
    """What every seed says by itself; where one decides otherwise, nothing is shown."""
    seeds = sorted({point["seed"] for point in figures["points"]})
    said: set[Verdict] = {judge({**figures, "points": select(figures, seed=seed)}) for seed in seeds}
    return said.pop() if len(said) == 1 else "inconclusive"
