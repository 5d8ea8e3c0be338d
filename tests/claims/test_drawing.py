"""Pictures of claims: what goes across and up, a line a model, and a legend that fits."""

from __future__ import annotations

import pytest

from mnesis.claims.drawing import HEIGHT, chart, curves, level, mark_training, panels, paths
from mnesis.measure.pages.figures import LINE, shares
from mnesis.measure.pages.overlap import overlapping

POINTS = [
    {"model": model, "seed": seed, "at": at, "right": right + 0.1 * seed, "more": 1}
    for model, right in (("gru", 0.2), ("lstm", 0.4))
    for at in (4, 64)
    for seed in (0, 1)
]
FIGURES = {"points": [*POINTS, {"model": "other", "seed": 0, "at": 8, "loss": 1.0}]}


def test_a_curve_is_the_mean_over_seeds_with_its_band() -> None:
    with chart(across="units", up="right answers", log="x") as (figure, ax):
        curves(ax, FIGURES, "right", band=lambda points: (min(p["right"] for p in points), 1.0))
        level(ax, 0.1, "chance")
        mark_training(ax, 4)
        shares(ax)
    assert [line.get_label() for line in ax.lines] == ["gru", "lstm", "chance", "trained to here"]
    assert list(ax.lines[0].get_xdata()) == [4, 64]
    assert list(ax.lines[1].get_ydata()) == pytest.approx([0.45, 0.45])
    assert ax.collections[0].get_datalim(ax.transData).ymin == pytest.approx(0.2)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("units", "right answers")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert list(ax.xaxis.get_majorticklocs()) == [4, 64], "a tick at every place of the curves"
    assert figure.get_figheight() == pytest.approx(HEIGHT + 4 * LINE)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [line.get_label() for line in ax.lines]


def test_lines_can_be_chosen_by_other_entries() -> None:
    with chart(across="", up="") as (_, ax):
        curves(ax, FIGURES, "right", {"the second seed": {"model": "gru", "seed": 1}})
    assert list(ax.lines[0].get_ydata()) == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize(("entries", "lines", "columns"), [(0, 0, 0), (8, 8, 1), (9, 5, 2)])
def test_a_picture_grows_with_its_legend(entries: int, lines: int, columns: int) -> None:
    with chart(across="", up="", height=2.0) as (figure, ax):
        for index in range(entries):
            ax.plot([0, 1], label=str(index))
    assert figure.get_figheight() == pytest.approx(2 + lines * LINE)
    assert [legend._ncols for legend in figure.legends] == [columns] * bool(entries)


def test_panels_share_what_stands_beside_them() -> None:
    with panels(["a", "b", "c", "d"], across="units", up="nats", log="y") as (figure, four):
        four[0].plot([1, 2], label="one")
    assert [ax.get_title() for ax in four] == ["a", "b", "c", "d"]
    assert [ax.get_xlabel() for ax in four] == ["", "", "units", "units"]
    assert [ax.get_ylabel() for ax in four] == ["nats", "", "nats", ""]
    assert {ax.get_yscale() for ax in four} == {"log"}
    assert len(figure.legends) == 1


def test_labels_of_narrow_panels_stay_below_their_own() -> None:
    with panels(["a", "b"], across="how far all the parameters move", up="error") as (figure, both):
        both[0].plot([1, 2], label="one")
    figure.draw_without_rendering()
    left, right = (ax.xaxis.label.get_window_extent() for ax in both)
    assert left.x1 + 2 < right.x0


def test_marks_at_all_and_nothing_are_whole() -> None:
    with chart(across="units", up="right answers") as (figure, ax):
        ax.plot([0, 1], [0, 1], marker="o", markersize=10)
        shares(ax)
    figure.draw_without_rendering()
    frame, (low, high) = ax.get_window_extent(), ax.transData.transform([(0, 0), (1, 1)])[:, 1]
    radius = 10 / 2 * figure.dpi / 72
    assert frame.y0 <= low - radius
    assert high + radius <= frame.y1


def test_lines_on_one_another_are_seen() -> None:
    same = {"points": [{**point, "model": model, "right": 0.5} for point in POINTS for model in ("gru", "lstm")]}
    with chart(across="units", up="right answers", log="x") as (figure, ax):
        curves(ax, same, "right")
    assert [line.get_linestyle() for line in ax.lines] == ["--", "--"]
    assert overlapping(figure) == [["gru", "lstm"]]


def test_a_path_ends_in_a_large_mark() -> None:
    trainings = [
        {"model": f"{model}, {size}", "units": 1000, "seconds": seconds}
        for model in ("gru", "lstm")
        for size, seconds in ((4, 1.0), (4, 1.0), (64, 10.0))
    ]
    with chart(across="units a second", up="right answers", log="x") as (_, ax):
        paths(ax, {"points": POINTS, "trainings": trainings}, "right")
    assert list(ax.lines[0].get_xdata()) == [1000, 100]
    assert list(ax.lines[1].get_xdata()) == [100]
    assert ax.lines[1].get_markersize() > ax.lines[0].get_markersize()
    assert ax.get_legend_handles_labels()[1] == ["gru", "lstm"]
