"""Lines that lie on one another: found where they hide each other, dashed in turns, and named."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnesis.measure.pages.overlap import DASH, overlapping, take_turns


@pytest.fixture
def ax() -> Axes:
    ax = Figure(figsize=(4.5, 3)).subplots()
    ax.set_ylim(0, 1)
    return ax


def draw(ax: Axes, **lines: list[float]) -> None:
    for name, y in lines.items():
        ax.plot(range(len(y)), y, marker="o", markersize=6, label=name)


def test_lines_on_one_another_take_turns(ax: Axes) -> None:
    draw(ax, low=[0.1, 0.1, 0.1], same=[0.1, 0.101, 0.1], high=[0.8, 0.9, 0.8], also=[0.1, 0.1, 0.1])
    ax.plot([0, 1, 2], [0.1, 0.1, 0.1], marker="x", label="what they are compared with")
    ax.axhline(0.1, label="chance")
    take_turns(ax)
    low, same, high, also = ax.lines[:4]
    assert [line._unscaled_dash_pattern for line in (low, same, also)] == [
        (turn * DASH, (DASH, 2 * DASH)) for turn in range(3)
    ]
    assert high.get_linestyle() == "-"
    assert [line.get_markersize() for line in (low, same, also, high)] == [12, 9, 6, 6], "those below look out"
    assert overlapping(ax.figure) == [["low", "same", "also"]]


def test_lines_that_cross_or_touch_do_not(ax: Axes) -> None:
    draw(ax, up=[0.1, 0.5, 0.9], down=[0.9, 0.5, 0.1], flat=[0.3, 0.3, 0.9])
    take_turns(ax)
    assert [line.get_linestyle() for line in ax.lines] == ["-"] * 3
    assert overlapping(ax.figure) == []


def test_a_stretch_is_enough(ax: Axes) -> None:
    draw(ax, one=[0.2, 0.5, 0.5, 0.9], other=[0.1, 0.5, 0.5, 0.3])
    assert overlapping(ax.figure) == [["one", "other"]]


def test_a_group_is_named_once() -> None:
    figure = Figure()
    for ax, lines in zip(figure.subplots(3), ({"a", "b"}, {"a", "b", "c"}, {"a", "b"}), strict=True):
        draw(ax, **{name: [0.1, 0.2] for name in sorted(lines)})
    assert overlapping(figure) == [["a", "b", "c"]]
