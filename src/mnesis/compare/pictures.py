"""Pictures of leaderboards: bits against what they cost, and how answers fall with length and distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import hypot
from statistics import median
from textwrap import wrap
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ..measure.lengths import format_length
from ..measure.pages import figures as style
from ..measure.pages.drawing import axes, curve, styled, tick_places
from ..measure.pages.overlap import take_turns
from .cell import Cell
from .leaderboard import Line

WIDE = 50
"""From a cost to so many times it there is room for ticks at 2 and 5."""
CURVES = 6
"""Lines in one picture at most: the best."""
PLACES = (
    (0, 11, "center"), (8, 0, "left"), (-8, 0, "right"), (0, -11, "center"), (7, 9, "left"), (-7, 9, "right"),
    (7, -9, "left"), (-7, -9, "right"), (0, 20, "center"), (0, -20, "center"),
    *((side * across, up, "left" if side > 0 else "right")
      for across, up in ((14, 22), (14, -22), (26, 14), (26, -14), (20, 36), (20, -36), (34, 26), (34, -26), (24, 52),
                         (24, -52), (48, 40), (48, -40), (44, 0), (44, 66), (44, -66))
      for side in (1, -1)),
)  # fmt: skip
"""Of a name beside its point: points across and up, and where it is aligned."""
FAR = 15.0
"""Points from a name to its point, beyond which a thin line leads from one to the other."""
LEADER = {"arrowstyle": "-", "color": style.SOFT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
DOT, RIM = 4.0, 2.0
"""Pixels of a point from its middle, and of room around names and at the edge of the picture."""


class _Point(NamedTuple):
    """A memory in a picture of bits against a cost."""

    x: float | int
    line: Line

    @property
    def y(self) -> float | int:
        assert self.line.bits is not None, "who holds nothing has no point"
        return self.line.bits.median

    @property
    def name(self) -> str:
        return _named(self.line)


def pareto(
    lines: Sequence[Line], cost: Callable[[Line], float | None], label: str, *, more: bool = False
) -> Figure | None:
    """Bits against a cost; on the line stand those that hold more than any that costs no more. None without any.

    More is a median above the other's whole range over seeds. What wins nothing is drawn hollow.

    Args:
        lines: of one task.
        cost: of one.
        label: of its axis.
        more: whether more of it is better.
    """
    points = [_Point(found, line) for line in lines if line.bits and (found := cost(line)) is not None]
    if not points:
        return None
    front = _front([point for point in points if point.line.competes], more)
    with styled():
        figure, ax = axes(height=4.1)
        beaten = [point for point in points if point.line.competes and point not in front]
        hollow = [point for point in points if not point.line.competes]
        ax.scatter(*_at(beaten), color=style.SOFT, s=28, label="others")
        if hollow:
            ax.scatter(*_at(hollow), facecolors="none", edgecolors=style.SOFT, s=28, label="wins nothing (see table)")
        ax.plot(*_at(front), color=style.SERIES[0], marker=style.MARKERS[0], linewidth=2, label="best at their cost")
        ax.set_xscale("log")
        ax.margins(0.12, 0.16)
        wide = max(point.x for point in points) > WIDE * min(point.x for point in points)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_length(round(value))))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(label)
        ax.set_ylabel("bits an answer")
        ax.grid(axis="y")
        figure.legend(loc="outside lower left")
        if nameless := _name(figure, ax, front, [*beaten, *hollow]):
            _tell(figure, ax, nameless)
    return figure


def _front(points: Sequence[_Point], more: bool) -> list[_Point]:
    """Those that hold more than each that costs no more, the cheapest first."""
    front: list[_Point] = []
    for point in sorted(points, key=lambda point: (-point.x if more else point.x, -point.y)):
        best = front[-1].line.bits if front else None
        own = point.line.bits
        if best is None or (own is not None and own.median > best.high and round(own.median - best.median, 2) > 0):
            front.append(point)
    return front


def _at(points: Sequence[_Point]) -> tuple[list[float | int], list[float | int]]:
    return [point.x for point in points], [point.y for point in points]


def _name(figure: Figure, ax: Axes, front: Sequence[_Point], others: Sequence[_Point]) -> list[str]:
    """Write names beside points where they cover no other, no point and not the line, and return those left out.

    Those of the front come first, the highest before all. Names away from their points have a thin line to them.
    """
    figure.draw_without_rendering()  # places are known from here on
    within, pixels = ax.get_window_extent(), figure.dpi / 72
    places = [_pixel(ax, point) for point in [*front, *others]]
    taken = [Bbox.from_bounds(x - DOT, y - DOT, 2 * DOT, 2 * DOT) for x, y in places]
    for start, end in pairwise(places[: len(front)]):
        taken += _along(start, end)
    nameless = []
    for number, point in enumerate([*reversed(front), *sorted(others, key=lambda point: -point.y)]):
        at = _pixel(ax, point)
        look: dict[str, Any] = {"fontsize": style.SMALLEST, "color": style.INK if number < len(front) else style.SOFT}
        size = _size(ax, point.name, look)
        for across, up, side in PLACES:
            box = _box(at, size, across * pixels, up * pixels, side)
            led = hypot(across, up) > FAR and side != "center"
            line = _along(at, (box.x0 if across > 0 else box.x1, (box.y0 + box.y1) / 2))[2:] if led else []
            inside = within.x0 <= box.x0 and box.x1 <= figure.bbox.x1 - RIM
            inside = inside and within.y0 <= box.y0 and box.y1 <= within.y1
            if inside and not any(one.overlaps(other) for one in (box, *line) for other in taken):
                taken += [box.padded(RIM), *line]
                text = ax.annotate(
                    point.name, (point.x, point.y), xytext=(across, up), textcoords="offset points", ha=side,
                    va="center", arrowprops=LEADER if led else None, **look,
                )  # fmt: skip
                text.set_in_layout(False)
                break
        else:
            nameless.append(point.name)
    return nameless


def _pixel(ax: Axes, point: _Point) -> tuple[float, float]:
    """Where a point stands in the picture."""
    across, up = ax.transData.transform((point.x, point.y))
    return float(across), float(up)


def _size(ax: Axes, name: str, look: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of a name in pixels."""
    text = ax.text(0, 0, name, **look)
    extent = text.get_window_extent()
    text.remove()
    return extent.width, extent.height


def _box(at: tuple[float, float], size: tuple[float, float], across: float, up: float, side: str) -> Bbox:
    """Where a name stands, in pixels."""
    width, height = size
    left = at[0] + across - width * {"left": 0.0, "center": 0.5, "right": 1.0}[side]
    return Bbox.from_bounds(left, at[1] + up - height / 2, width, height)


def _along(start: tuple[float, float], end: tuple[float, float]) -> list[Bbox]:
    """Small boxes along a line, closer to each other than a point is wide."""
    count = max(2, int(hypot(end[0] - start[0], end[1] - start[1]) // DOT))
    shares = [step / count for step in range(1, count)]
    at = [(start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share) for share in shares]
    return [Bbox.from_bounds(x - 1, y - 1, 2, 2) for x, y in at]


def _tell(figure: Figure, ax: Axes, nameless: Sequence[str]) -> None:
    """Add names for which there was no room to the legend, and let the picture grow by them."""
    names = ", ".join(name.replace(" ", "\N{NO-BREAK SPACE}") for name in nameless)
    lines = wrap(f"no room for: {names}", style.LETTERS, break_on_hyphens=False)
    ax.plot([], [], linestyle="none", label="\n".join(lines))
    figure.legends[0].remove()
    figure.set_figheight(figure.get_figheight() + style.LINE * len(lines))
    figure.legend(loc="outside lower left")


def by_length(lines: Sequence[Line], trained: int) -> Figure:
    """Right answers of the best memories at every tested length."""
    with styled():
        best = _best(lines)
        figure, ax = axes(height=3.0 + style.LINE * (len(best) + 1) / 2)
        for index, line in enumerate(best):
            lengths = [length for length, _, _ in line.by_length]
            name = _named(line)
            curve(ax, index, lengths, [accuracy.median for _, accuracy, _ in line.by_length], name)
            whole = [(length, accuracy.median) for length, accuracy, _ in line.by_length if length in line.inside]
            if whole:  # where whole sequences stood in the memory
                ax.plot(
                    *zip(*whole, strict=True), linestyle="none", marker=style.MARKERS[index], markersize=6, zorder=5,
                    markerfacecolor=style.PAPER, markeredgecolor=style.SERIES[index],
                )  # fmt: skip
            low, high = ([getattr(accuracy, end) for _, accuracy, _ in line.by_length] for end in ("low", "high"))
            ax.fill_between(lengths, low, high, color=style.SERIES[index], alpha=0.2, linewidth=0)
        take_turns(ax)
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
            curves.append((_named(line), {at: median(found[at]) for at in sorted(found)}))
    if not curves:
        return None
    with styled():
        figure, ax = axes(height=3.0 + style.LINE * len(curves) / 2)
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


def _named(line: Line) -> str:
    """A memory with its mark."""
    return style.literal(f"{line.memory} {line.mark}".rstrip())
