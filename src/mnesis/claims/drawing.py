"""Pictures of claims in the house's style: a claim says what goes across and up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from statistics import fmean
from textwrap import fill
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ..measure.pages import figures as style
from ..measure.pages.drawing import curve, styled, tick_places
from ..measure.pages.overlap import take_turns
from .points import mean, models, places, select

HEIGHT = 3.3
"""Inches of a picture without its legend."""
LONG = 8
"""Entries of a legend that stand below one another."""


@contextmanager
def panels(
    titles: Sequence[str],
    *,
    across: str,
    up: str,
    log: Literal["", "x", "y", "xy"] = "",
    grid: Literal["x", "y"] = "y",
    height: int | float = HEIGHT,
    alike: bool = True,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Pictures side by side, two a row, for a ``with`` statement, at whose end they get the legend of the first.

    Args:
        titles: one a panel.
        across: label of the horizontal axis.
        up: label of the vertical one.
        log: the axes that are logarithmic.
        grid: which axis has lines.
        height: of all without the legend, in inches.
        alike: one vertical scale for all.
    """
    columns = min(2, len(titles))
    with styled():
        figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
        rows = figure.subplots(ceil(len(titles) / columns), columns, sharex=True, sharey=alike, squeeze=False)
        for ax, title in zip(rows.flat, titles, strict=True):
            ax.set_title(title)
            ax.set_xscale("log" if "x" in log else "linear")
            ax.set_yscale("log" if "y" in log else "linear")
            if "y" in log:  # as in tables, and no letters smaller than others
                ax.yaxis.set_major_formatter("{x:g}")
            ax.grid(axis=grid)
        yield figure, list(rows.flat)
        for ax in rows.flat:
            take_turns(ax)
        for ax in rows[-1]:
            ax.set_xlabel(fill(across, style.LETTERS // columns - 2))
        for ax in rows[:, 0]:
            ax.set_ylabel(up)
        handles, labels = rows[0, 0].get_legend_handles_labels()
        if labels:
            beside = 1 if len(labels) <= LONG else 2
            figure.set_figheight(height + style.LINE * ceil(len(labels) / beside))
            figure.legend(handles, labels, loc="outside lower left", ncols=beside)


@contextmanager
def chart(
    *,
    across: str,
    up: str,
    log: Literal["", "x", "y", "xy"] = "",
    grid: Literal["x", "y"] = "y",
    height: int | float = HEIGHT,
) -> Iterator[tuple[Figure, Axes]]:
    """One picture; see :func:`panels`."""
    with panels([""], across=across, up=up, log=log, grid=grid, height=height) as (figure, (ax,)):
        yield figure, ax


def curves(
    ax: Axes,
    figures: Mapping[str, Any],
    quantity: str,
    lines: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    band: Callable[[Sequence[Mapping[str, Any]]], tuple[float, float]] | None = None,
) -> None:
    """A curve a model: the mean of a quantity over the seeds at every place, which gets a tick.

    Args:
        ax: whose scales are set.
        figures: with ``points``, which hold ``model`` and ``at``.
        quantity: its name in the points; those without are left out.
        lines: what is drawn, by its label: entries of the points; None = every model.
        band: from where to where a curve is shaded, by the points of one place.
    """
    known = {"points": [point for point in figures["points"] if quantity in point]}
    lines = lines or {model: {"model": model} for model in models(known)}
    for index, (label, where) in enumerate(lines.items()):
        at = places(known, **where)
        curve(ax, index, at, [mean(known, quantity, at=place, **where) for place in at], label)
        if band is not None:
            low, high = zip(*(band(select(known, at=place, **where)) for place in at), strict=True)
            ax.fill_between(at, low, high, color=style.SERIES[index % len(style.SERIES)], alpha=0.2, linewidth=0)
    tick_places(ax, places(known))


def paths(ax: Axes, figures: Mapping[str, Any], quantity: str) -> None:
    """A path a model, from its smallest size to the largest, which is large: a quantity by the rate of training.

    Args:
        ax: whose horizontal axis is logarithmic.
        figures: with ``points`` at sizes, and ``trainings`` of models named "model, size".
        quantity: its name in the points.
    """
    rates: dict[str, list[float]] = {}
    for training in figures["trainings"]:
        rates.setdefault(training["model"], []).append(training["units"] / max(training["seconds"], 1e-9))
    for index, model in enumerate(models(figures)):
        sizes = places(figures, model)
        x, y = [fmean(rates[f"{model}, {size}"]) for size in sizes], [mean(figures, quantity, model, s) for s in sizes]
        curve(ax, index, x, y, model)
        curve(ax, index, x[-1:], y[-1:], "", size=10)
    tick_decades(ax.xaxis)


def level(ax: Axes, value: int | float, label: str = "") -> None:
    """What others are compared with, the same at every place."""
    ax.axhline(value, color=style.SOFT, linestyle="--", linewidth=1.5, label=label)


def mark_training(ax: Axes, at: int | float) -> None:
    """Where on the horizontal axis training ended."""
    ax.axvline(at, color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")


def tick_decades(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 of every power of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:,g}")
