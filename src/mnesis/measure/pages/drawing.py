"""Lines in the house's style, for claims and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from . import figures as style


def axes(width: float = style.WIDTH, height: float = 3.6) -> tuple[Figure, Axes]:
    """An empty figure in the house's style; use it within ``styled``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def styled() -> Any:
    """The house's style, for a ``with`` statement."""
    return matplotlib.rc_context(style.STYLE)


def curve(ax: Axes, index: int, x: Sequence[Any], y: Sequence[Any], label: str, *, size: int = 6) -> None:
    """One line of a figure, its marks of a size in points; beyond the series' colours dashed, with hollow marks."""
    color, marker = style.SERIES[index % len(style.SERIES)], style.MARKERS[index % len(style.MARKERS)]
    dash, inside = ("-", color) if index < len(style.SERIES) else ("--", "white")
    ax.plot(
        x, y, color=color, marker=marker, linestyle=dash, linewidth=2, markersize=size, markerfacecolor=inside,
        label=label,
    )  # fmt: skip


def tick_places(ax: Axes, places: Sequence[int]) -> None:
    """A tick at every place of the horizontal axis, whose scale is set before."""
    ax.xaxis.set_major_locator(FixedLocator(list(places)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{place:,.0f}"))
