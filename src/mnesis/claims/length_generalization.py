"""A recurrent network that fails beyond its training length is mended by some hundred updates from other starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import matplotlib
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Recipe, Stage
from ..measure import figures as style
from ..nets import LanguageModel
from ..tasks.text import Text
from .accuracy import CHUNK, TEST_SEED
from .claim import Scale, Table, Verdict, Work
from .trials import Exam, Phase, TrainedClaim, Trial

FRESH, CARRIED, FITTED, NOISE = "fresh", "carried", "fitted noise", "noise"
"""What the further updates start from."""
RISE, MENDED, LEFT = 0.2, 0.25, 0.75
FAR = 16
"""Tests are so many times as long as trainings."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    depth: int
    length: int
    """T: of the trained sequences."""
    batch: int
    steps: int
    further: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 16, 4, 4, 3, 4),
    "laptop": Setting(64, 2, 64, 16, 2000, 500, 100),
    "full": Setting(256, 6, 512, 32, 20_000, 500, 400),
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
        mean = float(losses.mean())
        places = self.rows * (self.at - self.low)
        return {"phase": self.phase, "loss": mean, "interval": [mean - half, mean + half], "answers": places}


class LengthGeneralization(TrainedClaim):
    """A language model with retention, read to sixteen times the length that it was trained on.

    Two layers of d = 64 with two heads, on generated prose by characters, sequences of T = 64, 2,000 updates from fresh
    states. Then 500 more of the same training, from starts of four kinds: fresh again (the control), carried (where the
    last batch of unrelated sequences ended: the paper's state passing), noise fitted to those ends head by head, and
    noise of one deviation, 0.3. Losses are means over places of 100 sequences of 1,024 characters of unseen text, by
    bands: (T/2, T], (T, 2T] and so on. Full scale: six layers of d = 256, T = 512, 20,000 updates.

    The paper mends pretrained Mamba-2 and others, trained to 2,048 tokens. Retention was chosen beforehand, with
    another seed, because a network this small shows the breakdown with it and not with GLA, whose gates learn to forget
    within T: states of retention add up what never came together in training.
    """

    name = "length-generalization"
    paper = "buitrago2025length"
    statement = (
        "Recurrent models fail beyond their training length because they never saw such states; 500 updates that start "
        "from the final states of other sequences mend it."
    )
    predicate = (
        "with rise = mean loss at places (8T, 16T] less that at (T/2, T], mean over seeds: holds if the rise after "
        "updates from carried states is at most a quarter of that before them, and after as many updates from fresh "
        "states at least three quarters of it; inconclusive if it was less than 0.2 nats before; else does not hold"
    )

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], start, seed)
            for seed in self.seeds[scale]
            for start in (CARRIED, FITTED, NOISE, FRESH)
        ]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].length, **super().measure(scale, work)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        before = rise(figures, FRESH, "trained")
        if before < RISE:
            return "inconclusive"
        carried, fresh = (rise(figures, start, "updated") / before for start in (CARRIED, FRESH))
        return "holds" if carried <= MENDED and fresh >= LEFT else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        trained = figures["trained"]
        with matplotlib.rc_context(style.STYLE):
            figure = Figure(figsize=(style.WIDTH, 4.6), layout="constrained")
            axes = figure.add_subplot()
            lines = [(FRESH, "trained", "from fresh states alone")]
            lines += [
                (start, "updated", f"+ {_updates(figures)} updates, {_words(start)}") for start in _starts(figures)
            ]
            for index, (start, phase, label) in enumerate(lines):
                at = bands(figures)
                seeds = [[_loss(figures, start, phase, band, seed) for band in at] for seed in _seeds(figures)]
                mean = [fmean(losses) for losses in zip(*seeds, strict=True)]
                color, dash = style.SERIES[index], "--" if phase == "trained" else "-"
                axes.plot(at, mean, color=color, marker=style.MARKERS[index], linewidth=2, linestyle=dash, label=label)
                low, high = (list(map(end, zip(*seeds, strict=True))) for end in (min, max))
                axes.fill_between(at, low, high, color=color, alpha=0.2, linewidth=0)
            axes.axvline(trained, color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(bands(figures)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.set_xlabel("characters read (up to)")
            axes.set_ylabel("loss (nats a character)")
            axes.grid(axis="y")
            figure.legend(loc="outside lower left", ncols=1)
        return {"": figure}

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [("fresh states alone", *_cells(figures, FRESH, "trained"))]
        rows += [(f"+ {_words(start)}", *_cells(figures, start, "updated")) for start in _starts(figures)]
        return Table(
            ("", *(f"{band:,}" for band in bands(figures)), "rise"), rows, "loss in nats up to so many characters"
        )


def rise(figures: Mapping[str, Any], start: str, phase: str) -> float:
    """How much higher the loss is at the far end than at the end of the trained length."""
    first, *_, last = bands(figures)
    return fmean(
        _loss(figures, start, phase, last, seed) - _loss(figures, start, phase, first, seed) for seed in _seeds(figures)
    )


def bands(figures: Mapping[str, Any]) -> list[int]:
    """Where the bands of places end."""
    return sorted({point["at"] for point in figures["points"]})


def _loss(figures: Mapping[str, Any], start: str, phase: str, band: int, seed: int) -> float:
    (found,) = [
        point["loss"]
        for point in figures["points"]
        if (point["model"], point["phase"], point["at"], point["seed"]) == (start, phase, band, seed)
    ]
    return found


def _cells(figures: Mapping[str, Any], start: str, phase: str) -> tuple[str, ...]:
    losses = [fmean(_loss(figures, start, phase, band, seed) for seed in _seeds(figures)) for band in bands(figures)]
    return *(f"{loss:.3f}" for loss in losses), f"[bold]{losses[-1] - losses[0]:+.3f}[/]"


def _seeds(figures: Mapping[str, Any]) -> list[int]:
    return sorted({point["seed"] for point in figures["points"]})


def _starts(figures: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(point["model"] for point in figures["points"]))


def _updates(figures: Mapping[str, Any]) -> int:
    return next(training["updates"] for training in figures["trainings"] if training["phase"] == "updated")


def _words(start: str) -> str:
    return {
        FRESH: "fresh again",
        CARRIED: "from carried states",
        FITTED: "from noise fitted to them",
        NOISE: "from noise",
    }[start]


def _trial(setting: Setting, start: Any, seed: int) -> Trial:
    """Trials of one seed are one training until they part."""
    task, length = Text(), setting.length
    build = partial(
        LanguageModel, task.vocabulary, dim=setting.dim, memory="retention", depth=setting.depth, options={"heads": 2}
    )
    ends = [length * 2**power for power in range(FAR.bit_length())]
    lows = [length // 2, *ends]
    stages = {
        "trained": Stage(length, setting.batch, setting.steps),
        "updated": Stage(length, setting.batch, setting.further, start=start, start_deviation=0.3),
    }
    phases = []
    for name, stage in stages.items():
        rate = 3e-3 if name == "trained" else 1e-3
        recipe = Recipe((stage,), learning_rate=rate, warm_up=50, seed=seed + 1000 * len(phases))
        exams = tuple(
            PlaceExam(end, name, low, FAR * length, setting.rows) for low, end in zip(lows, ends, strict=False)
        )
        phases.append(Phase(name, build, task, recipe, exams))
    return Trial(start, seed, tuple(phases))


def _losses(network: Memory[Any], task: Task, rows: int, length: int) -> Tensor:
    """Of every place of every row."""
    episode = task.episodes(rows, length, torch.Generator().manual_seed(TEST_SEED))
    state, parts = None, []
    for x, targets in zip(episode.inputs.split(CHUNK, 1), episode.targets.split(CHUNK, 1), strict=True):
        logits, state = network(x, state)
        parts.append(F.cross_entropy(logits.mT, targets, reduction="none"))
    return torch.cat(parts, 1)
