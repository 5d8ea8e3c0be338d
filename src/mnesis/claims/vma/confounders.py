"""Classes that a bank holds beside the right one cost log C nats and no more, where soft attention drowns in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ..claim import Scale, Table, Verdict, Work
from ..drawing import chart, curves, level
from ..points import agreed, mean, models, places, select
from ..trials import Exam, Trial
from .exams import NestedExam
from .nats import NatsClaim, gap
from .study import SEEDS, SOFT, SOFT_FEW, VAE, VMA, exemplar_trial, few_shot_trials, omniglot

TOLERANCE = 1.0
CLASSES: dict[Scale, tuple[int, ...]] = {
    "smoke": (1, 2, 4),
    "laptop": (1, 2, 4, 8, 16, 32, 64, 144),
    "full": (1, 2, 4, 8, 16, 32, 64, 144),
}
ROUNDS: dict[Scale, tuple[int, int, int | None]] = {
    "smoke": (1, 4, 3),
    "laptop": (2, 100, None),
    "full": (10, 1000, None),
}
"""Rounds of every test class, samples of the bound, classes asked for."""
EXEMPLARS = {VMA: 4, SOFT: 4, SOFT_FEW: 16, VAE: 4}
"""Of each class in the first figure, as each was trained; the VAE reads none."""
ALONE = 1
MANY: dict[Scale, tuple[int, tuple[int, ...], int]] = {
    "smoke": (4, (1, 2), 2),
    "laptop": (144, (1, 2, 4, 8, 18), 1),
    "full": (144, (1, 2, 4, 8, 12, 18), 10),
}
"""Of the second figure: classes, exemplars of each, rounds."""
DIETS: dict[Scale, tuple[int, ...]] = {"smoke": (1,), "laptop": (1, 8), "full": (1, 8)}
"""Exemplars a class in training, of the second figure's other models."""
MANY_TARGETS = 2
"""Of a class: 20 drawings less 18 exemplars."""


class Confounders(NatsClaim):
    """The models of ``vma-few-shot``, trained with 8 classes in the bank, tested with up to all 144 test classes in it.

    Every size of bank answers for the same targets, and larger banks hold the smaller ones, so that differences are
    paired. An ideal reader that finds the right class pays log C for naming it: L_C = L_1 + log C. Soft attention has
    as many exemplars of each class as in training, 4 or the 16 with which the paper draws it. Beside it, all test
    classes with up to 18 exemplars each, 2,592 slots, for other targets, read by models trained with 1, 4 and 8 of
    them; this has no part in the verdict.
    """

    name = "vma-confounders"
    paper = "bornschein2017vma"
    statement = "Trained with 8 classes in its bank, a random read stays close to the ideal price of log C among 144."
    predicate = (
        "holds if in every seed, at every number C of classes, |L_C - L_1 - log C| is at most 1 nat for VMA, and its "
        "nats are below those of the VAE; inconclusive where seeds differ; else does not hold"
    )
    unit = "classes in the bank"
    seeds = SEEDS
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source, seeds = omniglot(self.data), self.seeds[scale]
        return [
            *few_shot_trials(scale, seeds, self.data, lambda model: self._exams(scale, model)),
            *(
                exemplar_trial(scale, seed, source, examples, self._many(scale, MANY[scale][1]))
                for seed in seeds
                for examples in DIETS[scale]
            ),
        ]

    def _exams(self, scale: Scale, model: str) -> tuple[Exam, ...]:
        rounds, samples, limit = ROUNDS[scale]
        source, examples = omniglot(self.data), EXEMPLARS[model]
        nested = tuple(
            NestedExam(classes, source, samples=samples, classes=classes, examples=examples, rounds=rounds, limit=limit)
            for classes in (CLASSES[scale] if model != VAE else (ALONE,))
        )
        exemplars = MANY[scale][1]
        return nested + self._many(scale, {VMA: exemplars, VAE: exemplars[:1]}.get(model, ()))

    def _many(self, scale: Scale, exemplars: tuple[int, ...]) -> tuple[Exam, ...]:
        _, samples, limit = ROUNDS[scale]
        every, _, again = MANY[scale]
        return tuple(
            NestedExam(
                each, omniglot(self.data), samples=samples, classes=every, examples=each, rounds=again,
                targets=MANY_TARGETS, limit=limit,
            )
            for each in exemplars
        )  # fmt: skip

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        """The points of the second figure stand apart."""
        found = super().measure(scale, work)
        many = [point for point in found["points"] if point["targets_each"] == MANY_TARGETS]
        return {**found, "points": [point for point in found["points"] if point not in many], "many": many}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        return agreed(figures, _judge)

    def table(self, figures: Mapping[str, Any]) -> Table:
        many = [{**p, "model": f"{p['model']}, {p['examples']} each", "at": p["classes"]} for p in figures["many"]]
        return super().table({"points": [*figures["points"], *many]})

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at = places(figures, VMA)
        with chart(across="classes in the bank", up="nats", log="x") as (figure, ax):
            curves(ax, figures, "nll", {model: {"model": model} for model in (VMA, SOFT, SOFT_FEW)})
            ideal = mean(figures, "nll", VMA, at[0]) + np.log(at)
            ax.plot(at, ideal, color=style.SERIES[0], linestyle=":", linewidth=1.5, label="VMA at 1, + log C")
            level(ax, mean(figures, "nll", VAE, 1), "VAE")
        many = {"points": figures["many"]}
        across = f"exemplars a class, of {figures['many'][0]['classes']} classes"
        with chart(across=across, up="nats", height=2.6) as (exemplars, ax):
            curves(ax, many, "nll", {_taught(model): {"model": model} for model in models(many) if model != VAE})
            level(ax, mean(many, "nll", VAE), "VAE")
        return {"": figure, "exemplars": exemplars}


def _judge(figures: Mapping[str, Any]) -> Verdict:
    without = mean(figures, "nll", VAE, ALONE)
    for classes in places(figures, VMA):
        (many,), (one,) = (select(figures, model=VMA, at=at) for at in (classes, ALONE))
        excess, _ = gap(many, one)
        if abs(excess - math.log(classes)) > TOLERANCE or mean(figures, "nll", VMA, classes) >= without:
            return "does not hold"
    return "holds"


def _taught(model: str) -> str:
    """With how many exemplars a class a VMA was trained."""
    return f"{model} 8x4" if model == VMA else model
