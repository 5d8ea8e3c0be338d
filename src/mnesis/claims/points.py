"""The points of a claim's figures: which models and places there are, and means over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any


def models(figures: Mapping[str, Any]) -> list[str]:
    """Names, in the order of their trials."""
    return list(dict.fromkeys(point["model"] for point in figures["points"]))


def select(figures: Mapping[str, Any], **where: Any) -> list[Mapping[str, Any]]:
    """The points whose entries are these; None allows any."""
    asked = [(name, value) for name, value in where.items() if value is not None]
    return [point for point in figures["points"] if all(point.get(name) == value for name, value in asked)]


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
    return fmean(point[quantity] for point in select(figures, model=model, at=at, **where) if quantity in point)
