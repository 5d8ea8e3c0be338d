"""Lines of a picture that lie on one another: which ones do, and dashes in turns, so that each can be seen.

Only lines with filled marks count: the others are what these are compared with, and have dashes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

NEAR = 2.0
"""Points between two lines, within which the upper hides the lower: the width of a line."""
DASH = 3.0
"""Of a line that takes turns, in widths of the line."""
WIDER, WIDEST = 3.0, 6.0
"""Points by which the marks of a line are larger than those of the next above it, and the lowest's than the top's."""


def take_turns(ax: Axes) -> None:
    """Dash lines that lie on one another in turns, and make the marks of those below larger.

    Args:
        ax: whose lines are drawn and whose limits and scales are set.
    """
    for group in _groups(ax):
        step = min(WIDER, WIDEST / (len(group) - 1))
        for turn, line in enumerate(group):
            line.set_linestyle((turn * DASH, (DASH, DASH * (len(group) - 1))))
            line.set_markersize(line.get_markersize() + step * (len(group) - 1 - turn))


def overlapping(figure: Figure) -> list[list[str]]:
    """The labels of lines that lie on one another in a figure, group by group; none that are part of another group."""
    found = [[str(line.get_label()) for line in group] for ax in figure.axes for group in _groups(ax)]
    kept: list[list[str]] = []
    for group in sorted(found, key=len, reverse=True):
        if not any(set(group) <= set(larger) for larger in kept):
            kept.append(group)
    return kept


def _groups(ax: Axes) -> list[list[Line2D]]:
    lines = [line for line in ax.lines if _counts(ax, line)]
    groups = [{line} for line in lines]
    for one, other in combinations(lines, 2):
        if _meet(ax, one, other):
            joined = [group for group in groups if one in group or other in group]
            groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return [[line for line in lines if line in group] for group in groups if len(group) > 1]


def _counts(ax: Axes, line: Line2D) -> bool:
    labelled = str(line.get_label())[:1] not in ("", "_")
    return labelled and line.get_transform() is ax.transData and line.get_marker() in Line2D.filled_markers


def _meet(ax: Axes, one: Line2D, other: Line2D) -> bool:
    """Whether two lines are within a line's width of each other from one place to the next."""
    near = NEAR * ax.figure.dpi / 72
    first, second = _places(ax, one), _places(ax, other)
    close = [x in second and abs(second[x] - y) < near for x, y in first.items()]
    return any(both == (True, True) for both in pairwise(close))


def _places(ax: Axes, line: Line2D) -> dict[float, float]:
    """How high a line stands in the picture, by what goes across."""
    points: Sequence[Sequence[float]] = line.get_xydata()  # pyright: ignore[reportAssignmentType]
    return {float(x): float(ax.transData.transform((x, y))[1]) for x, y in points}
