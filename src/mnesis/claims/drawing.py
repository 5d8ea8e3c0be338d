"""Pictures of claims in the house's style."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..measure.pages.drawing import axes, curve, tick_places


def curves(
    figures: Mapping[str, Any], value: str, *, across: str, up: str, scales: tuple[str, str] = ("log", "log")
) -> tuple[Figure, Axes]:
    """A curve a model: the mean of a value over the seeds at every place; use it within ``styled``.

    Args:
        figures: with ``points``, which hold ``model``, ``at`` and the value.
        value: its name.
        across: label of the horizontal axis.
        up: label of the vertical one.
        scales: of both, "log" or "linear".
    """
    points = [point for point in figures["points"] if value in point]
    models = list(dict.fromkeys(point["model"] for point in points))
    figure, ax = axes(height=3.3 + 0.24 * len(models))
    for index, model in enumerate(models):
        own = {point["at"]: [] for point in points if point["model"] == model}
        for point in points:
            if point["model"] == model:
                own[point["at"]].append(point[value])
        at = sorted(own)
        curve(ax, index, at, [fmean(own[place]) for place in at], model)
    at = sorted({point["at"] for point in points})
    ax.set_xscale(scales[0])
    ax.set_yscale(scales[1])
    if all(isinstance(place, int) for place in at):
        tick_places(ax, at)
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=1)
    return figure, ax
