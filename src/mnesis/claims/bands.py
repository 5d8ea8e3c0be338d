"""The loss of language models far beyond the length that they were trained on, by bands of places."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..nets import LanguageModel
from ..tasks.language.text import Text
from .claim import Scale, Table, Work
from .drawing import chart, curves, mark_training
from .exams import CHUNK, TEST_SEED
from .points import mean, places
from .trials import Exam, TrainedClaim

FAR = 16
"""Tests are so many times as long as trainings."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale, the same for every claim about bands."""

    dim: int
    depth: int
    length: int
    """T: of the trained sequences."""
    batch: int
    steps: int
    rows: int

    @property
    def build(self) -> Callable[[], Memory[Any]]:
        """Makes a language model of characters with retention."""
        network = {"dim": self.dim, "memory": "retention", "depth": self.depth, "options": {"heads": 2}}
        return partial(LanguageModel, Text().vocabulary, **network)

    @property
    def bands(self) -> list[tuple[int, int]]:
        """(T/2, T], (T, 2T] and so on, to 16 T: where each begins and ends."""
        ends = [self.length * 2**power for power in range(FAR.bit_length())]
        return list(zip([self.length // 2, *ends], ends, strict=False))


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 16, 4, 4, 4),
    "laptop": Setting(64, 2, 64, 16, 2000, 100),
    "full": Setting(256, 6, 512, 32, 20_000, 400),
}


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
        loss, count = float(losses.mean()), self.rows * (self.at - self.low)
        return {"phase": self.phase, "loss": loss, "interval": [loss - half, loss + half], "answers": count}


class Line(NamedTuple):
    """Points of one model after one phase."""

    model: str
    phase: str
    label: str


class BandsClaim(TrainedClaim):
    """A claim about the loss by bands of places, up to 16 times the trained length.

    Its figures are ``trained``, the length, and ``points`` with ``phase`` and ``loss``, and ``trainings``.
    """

    @abstractmethod
    def lines(self, figures: Mapping[str, Any]) -> list[Line]:
        """What is drawn and told, first what the others are compared with."""

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].length, **super().measure(scale, work)}

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        """A curve a line, shaded from the lowest seed to the highest; the first is dashed."""
        lines = {line.label: {"model": line.model, "phase": line.phase} for line in self.lines(figures)}
        with chart(across="characters read (up to)", up="loss (nats a character)", log="x") as (figure, ax):
            curves(ax, figures, "loss", lines, band=_range)
            ax.lines[0].set_linestyle("--")
            mark_training(ax, figures["trained"])
        return {"": figure}

    def table(self, figures: Mapping[str, Any]) -> Table:
        """A row a line, a column a band, and the rise."""
        at, rows = places(figures), []
        for line in self.lines(figures):
            losses = [mean(figures, "loss", line.model, band, phase=line.phase) for band in at]
            rows.append((line.label, *(f"{loss:.3f}" for loss in losses), f"{losses[-1] - losses[0]:+.3f}"))
        return Table(("", *(f"{band:,}" for band in at), "rise"), rows, "loss in nats up to so many characters")


def rise(figures: Mapping[str, Any], model: str, phase: str) -> float:
    """How much higher the loss is at the far end than at the end of the trained length, mean over seeds."""
    first, *_, last = places(figures)
    near, far = (mean(figures, "loss", model, band, phase=phase) for band in (first, last))
    return far - near


def _range(points: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    losses = [point["loss"] for point in points]
    return min(losses), max(losses)


def _losses(network: Memory[Any], task: Task, rows: int, length: int) -> Tensor:
    """Of every place of every row."""
    episode = task.episodes(rows, length, torch.Generator().manual_seed(TEST_SEED))
    state, parts = None, []
    for x, targets in zip(episode.inputs.split(CHUNK, 1), episode.targets.split(CHUNK, 1), strict=True):
        logits, state = network(x, state)
        parts.append(F.cross_entropy(logits.mT, targets, reduction="none"))
    return torch.cat(parts, 1)
