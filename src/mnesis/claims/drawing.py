"""Pictures of claims in the house's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..measure import figures as style


def axes(width: float = style.WIDTH, height: float = 3.6) -> tuple[Figure, Axes]:
    """An empty figure in the house's style; use it within ``styled``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def styled() -> Any:
    """The house's style, for a ``with`` statement."""
    return matplotlib.rc_context(style.STYLE)


def curve(ax: Axes, index: int, x: Sequence[Any], y: Sequence[Any], label: str) -> None:
    """One line of a figure; beyond the series' colours dashed, with hollow marks."""
    color, marker = style.SERIES[index % len(style.SERIES)], style.MARKERS[index % len(style.MARKERS)]
    dash, inside = ("-", color) if index < len(style.SERIES) else ("--", "white")
    ax.plot(
        x, y, color=color, marker=marker, linestyle=dash, linewidth=2, markersize=6, markerfacecolor=inside, label=label
    )


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
        ax.xaxis.set_major_locator(FixedLocator(at))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:,.0f}"))
    ax.set_xlabel(across)
    ax.set_ylabel(up)
    ax.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=1)
    return figure, ax
