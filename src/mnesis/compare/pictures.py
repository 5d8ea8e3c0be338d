"""Pictures of leaderboards: bits against what they cost, and how answers fall with length and distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ..measure.lengths import format_length
from ..measure.pages import figures as style
from ..measure.pages.drawing import axes, curve, styled, tick_places
from .cell import Cell
from .leaderboard import Line

WIDE = 50
"""From a cost to so many times it there is room for ticks at 2 and 5."""
CURVES = 6
"""Lines in one picture at most: the best."""
PLACES = ((0, 11, "center"), (0, -11, "center"), (8, 0, "left"), (-8, 0, "right"))
"""Of a name beside its point: points across and up, and where it is aligned."""


def pareto(
    lines: Sequence[Line], cost: Callable[[Line], float | None], label: str, *, more: bool = False
) -> Figure | None:
    """Bits against a cost; those that no other beats in both stand on the line, with their names. None without any.

    Args:
        lines: of one task.
        cost: of one.
        label: of its axis.
        more: whether more of it is better.
    """
    points = [
        (found, line.bits.median, style.literal(line.memory))
        for line in lines
        if line.bits and (found := cost(line)) is not None
    ]
    points.sort(key=lambda point: (-point[0] if more else point[0], -point[1]))
    if not points:
        return None
    front: list[tuple[float, float, str]] = []
    for point in points:
        if not front or point[1] > front[-1][1]:
            front.append(point)
    with styled():
        figure, ax = axes(height=3.6)
        beaten = [point for point in points if point not in front]
        ax.scatter([x for x, _, _ in beaten], [y for _, y, _ in beaten], color=style.SOFT, s=28, label="beaten in both")
        x, y, _ = zip(*front, strict=True)
        ax.plot(x, y, color=style.SERIES[0], marker=style.MARKERS[0], linewidth=2, label="best at their cost")
        ax.set_xscale("log")
        ax.margins(0.12, 0.16)
        wide = max(x for x, _, _ in points) > WIDE * min(x for x, _, _ in points)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_length(round(value))))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(label)
        ax.set_ylabel("bits an answer")
        ax.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=2)
        _name(figure, ax, front)
    return figure


def _name(figure: Figure, ax: Axes, points: Sequence[tuple[float | int, float, str]]) -> None:
    """Write names beside points, the highest first, each where it covers no other; the tables have those left out."""
    figure.draw_without_rendering()  # places are known from here on
    taken: list[Bbox] = []
    for x, y, name in reversed(points):
        for across, up, side in PLACES:
            text = ax.annotate(
                name, (x, y), xytext=(across, up), textcoords="offset points", ha=side, va="center", fontsize=9.5
            )
            text.set_in_layout(False)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def by_length(lines: Sequence[Line], trained: int) -> Figure:
    """Right answers of the best memories at every tested length."""
    with styled():
        best = _best(lines)
        figure, ax = axes(height=3.2 + 0.24 * (len(best) + 1) / 2)
        for index, line in enumerate(best):
            lengths = [length for length, _, _ in line.by_length]
            curve(
                ax, index, lengths, [accuracy.median for _, accuracy, _ in line.by_length], style.literal(line.memory)
            )
            low, high = ([getattr(accuracy, end) for _, accuracy, _ in line.by_length] for end in ("low", "high"))
            ax.fill_between(lengths, low, high, color=style.SERIES[index], alpha=0.2, linewidth=0)
        ax.axvline(trained, color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
        ax.set_ylabel("right answers")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        _finish(figure, ax, [length for length, _, _ in best[0].by_length], "length of the test")
    return figure


def by_distance(cells: Mapping[str, Cell], lines: Sequence[Line]) -> Figure | None:
    """Bits of the best memories by how long ago an answer was stored; None where the task does not tell."""
    curves: list[tuple[str, dict[int, float]]] = []
    for line in _best(lines):
        found: dict[int, list[float]] = {}
        for training in cells[line.memory]["trainings"]:
            score = max(training["scores"], key=lambda score: score["length"])
            for at, _, _, bits in score["distances"]:
                found.setdefault(at, []).append(bits)
        if found:
            curves.append((style.literal(line.memory), {at: median(found[at]) for at in sorted(found)}))
    if not curves:
        return None
    with styled():
        figure, ax = axes(height=3.2 + 0.24 * len(curves) / 2)
        for index, (name, bits) in enumerate(curves):
            curve(ax, index, list(bits), [max(0.0, value) for value in bits.values()], name)
        ax.set_ylabel("bits an answer")
        at = sorted({place for _, bits in curves for place in bits})
        _finish(figure, ax, at, "units since it was stored (up to twice as many)")
    return figure


def _best(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.bits is not None][:CURVES]


def _finish(figure: Figure, ax: Axes, places: Sequence[int], label: str) -> None:
    ax.set_xscale("log")
    tick_places(ax, places)
    ax.set_xlabel(label)
    ax.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=2)
