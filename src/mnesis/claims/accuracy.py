"""Claims about right answers: accuracy by place, a curve a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import matplotlib
import numpy as np
import torch
from jaxtyping import Bool
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Recipe, Stage
from ..measure.intervals import share_interval
from ..measure.pages import figures as style
from ..measure.pages.drawing import curve
from ..nets import LanguageModel
from .claim import Scale, Table, Work
from .trials import Exam, Phase, TrainedClaim, Trial

CHUNK = 1024
"""Units read at a time in a test: the memory's state carries over, so a test of any length fits."""
TEST_SEED = 1_000_000_007
"""Of all test sets, far from the seeds of training; every model answers the same questions."""


@dataclass(frozen=True)
class AnswerExam(Exam):
    """Questions of the task that was trained on.

    Args:
        length: of the test sequences, in the task's unit.
        rows: how many sequences.
        whole: a sequence counts as one answer, right if all of it is; else every target counts.
        batch: sequences read side by side.
    """

    length: int
    rows: int
    whole: bool = True
    batch: int = 100

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        return share(answers(network, task, self))


class AccuracyClaim(TrainedClaim):
    """A claim judged by mean accuracies over seeds. Not every model need be tested at every place.

    Its figures are ``unit`` and ``trained`` of the horizontal axis, ``chance``, ``points`` and ``trainings``.
    """

    unit: ClassVar[str]
    """What the horizontal axis counts."""

    @abstractmethod
    def trained(self, scale: Scale) -> int | None:
        """The largest place on the horizontal axis that training saw; None where every place has its own training."""

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        chance = self.trials(scale)[0].phases[0].task.chance
        axis = {"unit": self.unit, "trained": self.trained(scale), "chance": chance}
        return {**axis, **super().measure(scale, work)}

    def table(self, figures: Mapping[str, Any]) -> Table:
        at, rows = places(figures), []
        seeds = sorted({point["seed"] for point in figures["points"]})
        for model in models(figures):
            for seed in seeds:
                own = {p["at"]: p for p in figures["points"] if (p["model"], p["seed"]) == (model, seed)}
                rows.append((model, str(seed), *(_cell(own[place]) if place in own else "" for place in at)))
            if len(seeds) > 1:
                tested = {p["at"] for p in figures["points"] if p["model"] == model}
                means = (
                    f"[bold]{100 * accuracy(figures, model, place):.1f}[/]" if place in tested else "" for place in at
                )
                rows.append(("", "mean", *means))
        rows.append(("[dim]answers", "[dim]each", *(f"[dim]{_answers(figures, place):,}" for place in at)))
        header = ("", "seed", *(f"{place:,}" for place in at))
        return Table(header, rows, f"right answers in %, by {figures['unit']}")

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        return {"": draw_curves(figures)}


def reader(
    model: str,
    seed: int,
    task: Task,
    stages: tuple[Stage, ...],
    exams: tuple[Exam, ...],
    *,
    size: int | None = None,
    rate: float = 3e-3,
    warm_up: int = 50,
    weight_decay: float = Recipe.weight_decay,
    **network: Any,
) -> Trial:
    """A language model that is trained once, and asked then.

    Args:
        model: its name.
        seed: of weights and training.
        task: what to train and to test on.
        stages: of the training.
        exams: taken by the trained network.
        size: where trials of a model differ in one number, that number.
        rate, warm_up, weight_decay: of the recipe.
        network: arguments of :class:`mnesis.nets.LanguageModel`.
    """
    build = partial(LanguageModel, task.vocabulary, **network)
    recipe = Recipe(stages, learning_rate=rate, warm_up=warm_up, weight_decay=weight_decay, seed=seed)
    return Trial(model, seed, (Phase("training", build, task, recipe, exams),), size=size)


@torch.no_grad()
def answers(network: Memory[Any], task: Task, exam: AnswerExam) -> Bool[Tensor, "R A"]:
    """Which answers are right: A a sequence, 1 where the whole sequence counts as one."""
    device = next(network.parameters()).device
    generator, parts = torch.Generator().manual_seed(TEST_SEED), []
    body, readout = network.eval().parts()
    for start in range(0, exam.rows, exam.batch):
        rows = min(exam.batch, exam.rows - start)
        episode, state = task.episodes(rows, exam.length, generator), None
        asked = episode.weight > 0
        right = torch.zeros_like(asked)
        for chunk in torch.arange(asked.shape[1]).split(CHUNK):
            here = slice(int(chunk[0]), int(chunk[-1]) + 1)
            reset = None if episode.reset is None else episode.reset[:, here].to(device)
            y, state = body(episode.inputs[:, here].to(device), state, reset=reset)
            said = readout(y[asked[:, here].to(device)]).argmax(-1).cpu()
            right[:, here][asked[:, here]] = said == episode.targets[:, here][asked[:, here]]
        parts.append(right[asked].view(rows, -1))
    right = torch.cat(parts)
    return right.all(1, keepdim=True) if exam.whole else right


def share(right: Bool[Tensor, "R A"]) -> dict[str, Any]:
    """Accuracy with its 95 % interval; answers of one sequence are not taken for independent."""
    rows, each = right.shape
    clusters = np.repeat(np.arange(rows), each).tolist()
    low, high = share_interval(right.flatten().tolist(), clusters)
    return {"accuracy": right.double().mean().item(), "interval": [low, high], "answers": rows * each, "samples": rows}


def accuracy(figures: Mapping[str, Any], model: str, at: int) -> float:
    """The mean over seeds."""
    found = [point["accuracy"] for point in figures["points"] if point["model"] == model and point["at"] == at]
    return sum(found) / len(found)


def places(figures: Mapping[str, Any]) -> list[int]:
    """Where there are points on the horizontal axis."""
    return sorted({point["at"] for point in figures["points"]})


def models(figures: Mapping[str, Any]) -> list[str]:
    """Names, in the order of their trials."""
    return list(dict.fromkeys(point["model"] for point in figures["points"]))


def _cell(point: dict[str, Any]) -> str:
    low, high = point["interval"]
    return f"{100 * point['accuracy']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _answers(figures: Mapping[str, Any], place: int) -> int:
    return min(point["answers"] for point in figures["points"] if point["at"] == place)


def draw_curves(figures: Mapping[str, Any]) -> Figure:
    """A curve a model: the mean over seeds, and around it from the lowest to the highest end of their intervals."""
    at = places(figures)
    names: Sequence[str] = models(figures)
    with matplotlib.rc_context(style.STYLE):
        figure = Figure(
            figsize=(style.WIDTH, 3.3 + 0.24 * (len(names) if len(names) <= 6 else (len(names) + 1) // 2)),
            layout="constrained",
        )
        axes = figure.subplots()
        for index, model in enumerate(names):
            own = [point for point in figures["points"] if point["model"] == model]
            tested = sorted({point["at"] for point in own})
            mean = [accuracy(figures, model, x) for x in tested]
            ends = [[end for point in own if point["at"] == x for end in point["interval"]] for x in tested]
            curve(axes, index, tested, mean, model)
            low, high = [min(e) for e in ends], [max(e) for e in ends]
            axes.fill_between(tested, low, high, color=style.SERIES[index % len(style.SERIES)], alpha=0.2, linewidth=0)
        axes.axhline(figures["chance"], color=style.SOFT, linestyle="--", linewidth=1.5, label="chance")
        if figures["trained"]:
            axes.axvline(figures["trained"], color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(at))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel(figures["unit"])
        axes.set_ylabel("right answers")
        axes.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=1 if len(names) <= 6 else 2)
    return figure
