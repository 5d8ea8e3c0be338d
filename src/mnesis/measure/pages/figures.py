"""Figures of runs, drawn without pyplot and legible at the width of a phone.

Each function returns a matplotlib ``Figure``; ``svg`` makes text of it in which every colour is a CSS variable (light
and dark follow the reader's setting), ``save`` writes SVG and PNG.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ...core.files import atomic_path
from ...core.folders import SOFTWARE, require_ours, write_page
from ..lengths import format_length
from .overlap import take_turns
from .runs import Run

SERIES = ("#0072b2", "#d55e00", "#009e73", "#b0579a", "#b38600", "#5a6bd0")
"""Told apart with any kind of colour vision (after Okabe and Ito), darkened to 3:1 on white."""
DARK = ("#56b4e9", "#f0863c", "#2fc99b", "#e08cc8", "#f0c040", "#9aa6ff")
INK, SOFT, PAPER = "#1b1b1e", "#76767c", "#fffffe"
ENDS = (".svg", ".png")
MARKERS = ("o", "s", "^", "D", "v", "P")
WIDTH = 4.5
"""Inches: at the width of a phone, letters are as large as those around the picture."""
LINE, LETTERS = 0.24, 44
"""Inches of a line of a legend or a title, and letters that a title's has room for."""
TEXT, SMALLEST = 11.5, 10.0
"""Points of a picture's letters, and of the smallest: on a phone as many pixels."""
DEEPEST = 0.55
"""Of a heat map's colour over paper, so that ink can be read on it, light or dark."""
CROWDED = 8
"""Columns of a heat map, from which on there is room for numbers alone."""
FEW_POINTS = 20
"""Of a curve of training, below which each has a mark."""
ALIKE = 0.03
"""Chances of two runs that one line may stand for."""
LOWEST = -1.0
"""Of an axis of R2, which has no end below."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": TEXT,
    "svg.fonttype": "none",
    "svg.hashsalt": "mnesis",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.titlesize": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": SOFT,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


def accuracy_by_length(runs: Sequence[Run]) -> Figure:
    """Accuracy, or R2, against length on a log axis with its 95 % intervals, chance, control, and the training length.

    Args:
        runs: evaluated ones, all of the same measure.
    """
    share = runs[0].measure == "accuracy"
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _panels(1, 3.3 + LINE * (len(runs) + 1))
        for index, run in enumerate(runs):
            x, rows = _x(run.lengths), run.lengths
            value = np.array([row["accuracy"]["mean"] for row in rows])
            low, high = np.array([row["accuracy"]["interval"] for row in rows]).T
            color = SERIES[index % len(SERIES)]
            name, marker = literal(run.label), MARKERS[index % 6]
            axes.plot(x, value, color=color, marker=marker, linewidth=2, markersize=6, label=name)
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
            axes.errorbar(
                x, value, np.maximum(0, [value - low, high - value]), color=color, fmt="none", elinewidth=1, capsize=3
            )
            control = [row["control_accuracy"]["mean"] for row in rows]
            label = "without what it read" if len(runs) == 1 else f"{name}, without what it read"
            axes.plot(x, control, color=color, linestyle=":", linewidth=1.5, marker="x", markersize=5, label=label)
            if run.trained_length and run.trained_length not in {other.trained_length for other in runs[:index]}:
                _mark_training(axes, run.trained_length)
        first = runs[0].lengths
        chance = [row["chance"] for row in first]
        alike = all(
            abs(row["chance"] - (chance[i] if i < len(chance) else row["chance"])) < ALIKE
            for run in runs
            for i, row in enumerate(run.lengths)
        )
        label = "best constant answer" + ("" if alike else f" ({literal(runs[0].label)})")
        axes.plot(_x(first), chance, color=SOFT, linestyle="--", linewidth=1.5, label=label)
        if share:
            shares(axes)
        else:
            axes.set_ylim(max(LOWEST, min(-0.04, axes.get_ylim()[0])), 1.06)
        streamed = all(run.streamed for run in runs)
        axes.set_ylabel("R2" if not share else "questions answered rightly" if streamed else "accuracy")
        _length_axis(axes, [x for run in runs for x in _x(run.lengths)] + [r.trained_length or 0 for r in runs])
        take_turns(axes)
        if not streamed:
            axes.set_xlabel("length, in the task's own unit")
        _legend_below(figure, axes)
    return figure


def accuracy_by_depth(run: Run) -> Figure:
    """Heat map: how the accuracy depends on the length and on where in the stream the answer stood."""
    rows = [row for row in run.lengths if row.get("depth")]
    bins = max(round(1 / (place["high"] - place["low"])) for row in rows for place in row["depth"])
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _panels(1, 3.9)
        for column, place in [(column, place) for column, row in enumerate(rows) for place in row["depth"]]:
            top, share, room = round(place["low"] * bins), place["mean"], len(rows) < CROWDED
            strength, whole = DEEPEST * share, [column, column + 1]
            axes.fill_between(whole, top, top + 1, color=SERIES[0], alpha=strength, linewidth=0)
            axes.plot([*whole, *whole[::-1], column], [top, top, top + 1, top + 1, top], color=PAPER, linewidth=1.5)
            style: Any = {"ha": "center", "va": "center", "color": INK}
            said, of = (f"{share:.0%}", "of ") if room else (f"{100 * share:.0f}", "")
            axes.text(column + 0.5, top + 0.35, said, weight="bold", **style)
            axes.text(column + 0.5, top + 0.72, f"{of}{place['questions']}", fontsize=SMALLEST, **style)
        axes.set_xlim(0, max(1, len(rows)))
        axes.set_ylim(bins, 0)
        axes.set_xticks(np.arange(len(rows)) + 0.5, [format_length(row["length"]) for row in rows])
        axes.set_yticks([0, bins / 2, bins], ["start", "middle", "end"])
        axes.set_xlabel("units read")
        axes.set_ylabel("place of the last supporting fact")
        axes.tick_params(length=0)
    return figure


def cost_by_length(runs: Sequence[Run]) -> Figure:
    """Two panels: units read a second; memory that the process grew by, and one row's state."""
    with matplotlib.rc_context(STYLE):
        figure, (speed, memory) = _panels(2, 4.8 + LINE * len(runs))
        for index, run in enumerate(runs):
            x, color, marker = _x(run.lengths), SERIES[index % len(SERIES)], MARKERS[index % 6]
            style: dict[str, Any] = {"color": color, "marker": marker, "linewidth": 2, "markersize": 6}
            speed.plot(x, [row["units_per_second"] for row in run.lengths], label=literal(run.label), **style)
            growth = [max(0, row["growth_bytes"]) / 2**20 for row in run.lengths]
            memory.plot(x, growth, label=f"{literal(run.label)}: process grew", **style)
            state = [row["state_bytes"] / 2**20 for row in run.lengths]
            memory.plot(x, state, color=color, linestyle="--", linewidth=1.5, label=f"{literal(run.label)}: one state")
        speed.set_ylim(0, 1.15 * max(row["units_per_second"] for run in runs for row in run.lengths))
        speed.set_ylabel("units read / s")
        speed.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        memory.set_ylim(0, max(1.0, memory.get_ylim()[1]))
        memory.set_ylabel("MiB")
        for axes in (speed, memory):
            axes.yaxis.set_major_locator(MaxNLocator(5))
            _length_axis(axes, [x for run in runs for x in _x(run.lengths)])
        speed.set_xlabel("")
        _legend_below(figure, memory)
    return figure


def training_curves(runs: Sequence[Run]) -> Figure:
    """Accuracy and loss against units seen, a line a run; of one alone the stages too, marked by their length."""
    alone = len(runs) == 1
    named = ("accuracy", "loss") if any(_points(run, "accuracy") for run in runs) else ("loss",)
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(named), 2.3 * len(named) + (0 if alone else LINE * len(runs)))
        for panel, (axes, name) in enumerate(zip(panels, named, strict=True)):
            for index, run in enumerate(runs):
                if points := _points(run, name):
                    x, y = _thinned(np.array(points, float))
                    color = SERIES[(panel if alone else index) % len(SERIES)]
                    marker = MARKERS[index % len(MARKERS)] if len(points) < FEW_POINTS else None
                    axes.plot(x, y, color=color, linewidth=1.8, marker=marker, label=literal(run.label))
            if alone:
                _mark_stages(axes, runs[0], numbered=not panel)
            axes.set_ylabel(name)
            axes.grid(axis="y")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            if name == "accuracy":
                shares(axes)
            else:
                axes.set_ylim(0, axes.dataLim.y1 * 1.08 or 1)
            take_turns(axes)
        panels[-1].set_xlabel("units seen" + ("\n(above: longest sequence of each stage)" if alone else ""))
        if not alone:
            _legend_below(figure, panels[-1])
    return figure


def shares(axes: Axes) -> None:
    """The vertical axis from nothing to all, in percent, with room for the marks of curves at either end."""
    axes.set_ylim(-0.04, 1.06)
    axes.yaxis.set_major_formatter("{x:.0%}")


def _points(run: Run, name: str) -> list[tuple[Any, Any]]:
    """(units, figure) of the lines that have it."""
    lines = [line for line in run.metrics if line.get("units") is not None]
    return [(line["units"], line[name]) for line in lines if isinstance(line.get(name), (int, float))]


def _mark_stages(axes: Axes, run: Run, *, numbered: bool) -> None:
    last, named = run.metrics[-1].get("units") or 1, -math.inf
    for stage in run.stages:
        units, length = stage["first"] or 0, stage["length"]
        axes.axvline(units, color=SOFT, linewidth=1, linestyle=":")
        if numbered and length and units - named > 0.07 * last:
            place = axes.get_xaxis_transform()
            axes.text(
                units, 1.02, format_length(length), color=INK, fontsize=SMALLEST, ha="center", va="bottom",
                transform=place,
            )  # fmt: skip
            named = units


def svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element: colours are CSS variables with their light values as fallback.

    Args:
        figure: what to draw.
        name: goes before every id, so that several figures can stand in one page.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1system-ui, sans-serif", text)
    variables = {INK: "ink", SOFT: "soft", PAPER: "paper"} | {c: f"series-{i}" for i, c in enumerate(SERIES)}
    for color, variable in variables.items():
        text = re.sub(rf"(?<!&){color}\b", f"var(--{variable}, {color})", text, flags=re.IGNORECASE)
    return text


def palette(dark: bool) -> str:
    """The CSS declarations of the variables that ``svg`` names."""
    series = DARK if dark else SERIES
    ink, soft, paper = ("#ececf0", "#9c9ca6", "#17171b") if dark else (INK, SOFT, PAPER)
    named = {"ink": ink, "soft": soft, "paper": paper} | {f"series-{i}": color for i, color in enumerate(series)}
    return " ".join(f"--{key}: {value};" for key, value in named.items())


def save(figure: Figure, path: Path, title: str) -> None:
    """Write ``path``.svg (light and dark by the viewer's setting) and ``path``.png (light), atomically.

    Args:
        figure: what to draw; it grows by the title.
        path: without an ending.
        title: written above, since the picture stands alone.

    Raises:
        ValueError: somebody else's file stands there.
    """
    _entitle(figure, title)
    drawing, picture = (path.parent / f"{path.name}{end}" for end in ENDS)
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {palette(True)} }} }}"
    style = f"<style>:root {{ {palette(False)} }} {dark}</style>"
    text = svg(figure, path.name)
    head, mend = text.index(">") + 1, "move it away, or give another place"
    require_ours([picture], mend=mend)  # known by the drawing, if it is an old one
    write_page(drawing, text[:head] + style + text[head:], mend=mend)
    with atomic_path(picture) as temporary, matplotlib.rc_context(STYLE):
        figure.savefig(temporary, format="png", dpi=180, metadata={"Software": SOFTWARE})


def _entitle(figure: Figure, title: str) -> None:
    lines = wrap(title, LETTERS)
    figure.set_figheight(figure.get_figheight() + LINE * len(lines))
    with matplotlib.rc_context(STYLE):
        figure.suptitle(literal("\n".join(lines)), x=0.01, ha="left", fontsize=TEXT, weight="bold")


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.atleast_1d(figure.subplots(count, 1)))


def _x(rows: Sequence[dict[str, Any]]) -> list[float]:
    return [max(1.0, float(row.get("units", row["length"]))) for row in rows]


def literal(text: str) -> str:
    """A user's text as a picture shows it: a dollar sign in it begins no formula."""
    return text.replace("$", r"\$")


def _length_axis(axes: Axes, values: Sequence[float | int]) -> None:
    real = sorted({value for value in values if value > 0})
    axes.set_xscale("log")
    margin = 1.25 if len(real) > 1 else 3
    axes.set_xlim(real[0] / margin, real[-1] * margin)
    span, ticks = np.log(real[-1] / real[0]) or 1.0, real[:1]
    for value in real[1:]:
        if np.log(value / ticks[-1]) / span > 0.09:
            ticks.append(value)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([format_length(round(tick)) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("units read before the question")
    axes.grid(axis="y")


def _mark_training(axes: Axes, length: int) -> None:
    axes.axvline(length, color=SOFT, linewidth=1.2, linestyle="-.")
    axes.text(length, 1.08, "trained to here", color=INK, fontsize=SMALLEST, ha="center", va="bottom")


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    named = [wrap(label, LETTERS - 8) for label in labels]
    figure.set_figheight(figure.get_figheight() + LINE * sum(len(lines) - 1 for lines in named))
    figure.legend(handles, ["\n".join(lines) for lines in named], loc="outside lower left", ncols=1)


def _thinned(points: np.ndarray, most: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points: the means of even groups."""
    groups = np.array_split(points, min(most, len(points)))
    means = np.array([group.mean(0) for group in groups])
    return means[:, 0], means[:, 1]


def _short(value: float | int) -> str:
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
