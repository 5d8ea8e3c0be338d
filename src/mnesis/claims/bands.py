"""The loss of language models far beyond the length that they were trained on, by bands of places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..measure.pages import figures as style
from ..measure.pages.drawing import axes, styled
from ..tasks.language.text import Text
from .accuracy import CHUNK, TEST_SEED
from .claim import Table
from .trials import Exam


@dataclass(frozen=True)
class PlaceExam(Exam):
    """The loss at places of long sequences, of a part of the text that nobody trained on.

    Args:
        phase: after which it is taken.
        low: the first place; ``at`` is the one behind the last.
        length: of the sequences.
        rows: how many.
    """

    phase: str
    low: int
    length: int
    rows: int

    @torch.no_grad()
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        losses = _losses(network.eval(), Text(part="test"), self.rows, self.length)[:, self.low : self.at].mean(1)
        half = 1.96 * float(losses.std()) / self.rows**0.5
        mean = float(losses.mean())
        places = self.rows * (self.at - self.low)
        return {"phase": self.phase, "loss": mean, "interval": [mean - half, mean + half], "answers": places}


class Line(NamedTuple):
    """Points of one model after one phase."""

    model: str
    phase: str
    label: str


def ends_of_bands(length: int, far: int) -> list[tuple[int, int]]:
    """(T/2, T], (T, 2T] and so on, to ``far`` times the length T: where each begins and ends."""
    ends = [length * 2**power for power in range(far.bit_length())]
    return list(zip([length // 2, *ends], ends, strict=False))


def bands(figures: Mapping[str, Any]) -> list[int]:
    """Where the bands of places end."""
    return sorted({point["at"] for point in figures["points"]})


def rise(figures: Mapping[str, Any], model: str, phase: str) -> float:
    """How much higher the loss is at the far end than at the end of the trained length, mean over seeds."""
    first, *_, last = bands(figures)
    return mean_loss(figures, model, phase, last) - mean_loss(figures, model, phase, first)


def mean_loss(figures: Mapping[str, Any], model: str, phase: str, band: int) -> float:
    """Over seeds."""
    return fmean(_losses_of_seeds(figures, model, phase, band))


def draw_bands(figures: Mapping[str, Any], lines: Sequence[Line]) -> Figure:
    """A curve a line: the mean over seeds, and around it from the lowest to the highest; the first phase is dashed."""
    at = bands(figures)
    with styled():
        figure, ax = axes(height=3.4 + 0.24 * len(lines))
        for index, line in enumerate(lines):
            seeds = [_losses_of_seeds(figures, line.model, line.phase, band) for band in at]
            color, dash = style.SERIES[index], "--" if index == 0 else "-"
            mean = [fmean(losses) for losses in seeds]
            ax.plot(at, mean, color=color, marker=style.MARKERS[index], linewidth=2, linestyle=dash, label=line.label)
            ax.fill_between(at, list(map(min, seeds)), list(map(max, seeds)), color=color, alpha=0.2, linewidth=0)
        ax.axvline(figures["trained"], color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(at))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.set_xlabel("characters read (up to)")
        ax.set_ylabel("loss (nats a character)")
        ax.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=1)
    return figure


def table_of_bands(figures: Mapping[str, Any], lines: Sequence[Line]) -> Table:
    """A row a line, a column a band, and the rise."""
    at, rows = bands(figures), []
    for line in lines:
        losses = [mean_loss(figures, line.model, line.phase, band) for band in at]
        rows.append((line.label, *(f"{loss:.3f}" for loss in losses), f"[bold]{losses[-1] - losses[0]:+.3f}[/]"))
    return Table(("", *(f"{band:,}" for band in at), "rise"), rows, "loss in nats up to so many characters")


def _losses_of_seeds(figures: Mapping[str, Any], model: str, phase: str, band: int) -> list[float]:
    return [
        point["loss"]
        for point in figures["points"]
        if (point["model"], point["phase"], point["at"]) == (model, phase, band)
    ]


def _losses(network: Memory[Any], task: Task, rows: int, length: int) -> Tensor:
    """Of every place of every row."""
    episode = task.episodes(rows, length, torch.Generator().manual_seed(TEST_SEED))
    state, parts = None, []
    for x, targets in zip(episode.inputs.split(CHUNK, 1), episode.targets.split(CHUNK, 1), strict=True):
        logits, state = network(x, state)
        parts.append(F.cross_entropy(logits.mT, targets, reduction="none"))
    return torch.cat(parts, 1)
