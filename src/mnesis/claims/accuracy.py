"""Claims about right answers: accuracy by place, a curve a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from matplotlib.figure import Figure

from ..core.task import Task
from ..learn import Recipe, Stage
from ..measure.pages.figures import shares
from ..nets import LanguageModel
from .claim import Scale, Table, Work
from .drawing import chart, curves, level, mark_training
from .points import mean, models, places, select
from .trials import Exam, TrainedClaim, Trial, trained


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
                own = {point["at"]: point for point in select(figures, model=model, seed=seed)}
                rows.append((model, str(seed), *(_cell(own[place]) if place in own else "" for place in at)))
            if len(seeds) > 1:
                means = {place: accuracy(figures, model, place) for place in places(figures, model)}
                cells = (f"{100 * means[place]:.1f}" if place in means else "" for place in at)
                rows.append(("", "mean", *cells))
        answers = (min(point["answers"] for point in select(figures, at=place)) for place in at)
        rows.append(("answers", "each", *(f"{count:,}" for count in answers)))
        header = ("", "seed", *(f"{place:,}" for place in at))
        return Table(header, rows, f"right answers in %, by {figures['unit']}")

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        """A curve a model, shaded from the lowest to the highest end of its seeds' intervals."""
        with chart(across=figures["unit"], up="right answers", log="x") as (figure, ax):
            curves(ax, figures, "accuracy", band=_interval)
            level(ax, figures["chance"], "chance")
            if figures["trained"]:
                mark_training(ax, figures["trained"])
            shares(ax)
        return {"": figure}


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
        model, seed, task, stages, exams, size, rate, warm_up, weight_decay: as :func:`mnesis.claims.trials.trained`
            takes them.
        network: arguments of :class:`mnesis.nets.LanguageModel`.
    """
    build = partial(LanguageModel, task.vocabulary, **network)
    how = {"rate": rate, "warm_up": warm_up, "weight_decay": weight_decay}
    return trained(model, seed, build, task, stages, exams, size=size, **how)


def accuracy(figures: Mapping[str, Any], model: str, at: int) -> float:
    """The mean over seeds."""
    return mean(figures, "accuracy", model, at)


def _cell(point: Mapping[str, Any]) -> str:
    low, high = point["interval"]
    return f"{100 * point['accuracy']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _interval(points: Any) -> tuple[float, float]:
    lows, highs = zip(*(point["interval"] for point in points), strict=True)
    return min(lows), max(highs)
