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
from ..points import mean, places, select
from ..trials import Exam, Trial
from .exams import NestedExam
from .nats import NatsClaim, gap
from .study import SEEDS, SOFT, VAE, VMA, few_shot_trials, omniglot

TOLERANCE = 1.0
CLASSES: dict[Scale, tuple[int, ...]] = {
    "smoke": (1, 2, 4),
    "laptop": (1, 2, 4, 8, 16, 32, 64, 144),
    "full": (1, 2, 4, 8, 16, 32, 64, 144),
}
ROUNDS: dict[Scale, tuple[int, int, int | None]] = {
    "smoke": (1, 4, 3),
    "laptop": (4, 100, None),
    "full": (10, 1000, None),
}
"""Rounds of every test class, samples of the bound, classes asked for."""
EXAMPLES = 4
MANY: dict[Scale, tuple[int, tuple[int, ...], int]] = {
    "smoke": (4, (1, 2), 2),
    "laptop": (144, (1, 2, 4, 8, 18), 1),
    "full": (144, (1, 2, 4, 8, 12, 18), 10),
}
"""Of the second figure: classes, exemplars of each, rounds."""
MANY_TARGETS = 2
"""Of a class: 20 drawings less 18 exemplars."""


class Confounders(NatsClaim):
    """The models of ``vma-few-shot``, trained with 8 classes in the bank, tested with up to all 144 test classes in it.

    Every size of bank answers for the same targets, and larger banks hold the smaller ones, so that differences are
    paired. An ideal reader that finds the right class pays log C for naming it: L_C = L_1 + log C. Beside it, all test
    classes with up to 18 exemplars each, 2,592 slots, for other targets; this has no part in the verdict.
    """

    name = "vma-confounders"
    paper = "bornschein2017vma"
    statement = "Trained with 8 classes in its bank, a random read stays close to the ideal price of log C among 144."
    predicate = (
        "holds if at every number C of classes |L_C - L_1 - log C| is at most 1 nat for VMA, and its nats are below "
        "those of the VAE; else does not hold"
    )
    unit = "classes in the bank"
    seeds = SEEDS
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        return few_shot_trials(scale, self.seeds[scale], self.data, lambda model: self._exams(scale, model))

    def _exams(self, scale: Scale, model: str) -> tuple[Exam, ...]:
        rounds, samples, limit = ROUNDS[scale]
        at = {VMA: CLASSES[scale], SOFT: CLASSES[scale], VAE: (1,)}.get(model, ())
        source = omniglot(self.data)
        nested = tuple(
            NestedExam(classes, source, samples=samples, classes=classes, examples=EXAMPLES, rounds=rounds, limit=limit)
            for classes in at
        )
        every, exemplars, again = MANY[scale]
        many = tuple(
            NestedExam(
                each, source, samples=samples, classes=every, examples=each, rounds=again, targets=MANY_TARGETS,
                limit=limit,
            )
            for each in (exemplars if model == VMA else exemplars[:1] if model == VAE else ())
        )  # fmt: skip
        return nested + many

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        """The points of the second figure stand apart."""
        found = super().measure(scale, work)
        many = [point for point in found["points"] if point["targets_each"] == MANY_TARGETS]
        return {**found, "points": [point for point in found["points"] if point not in many], "many": many}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        without = mean(figures, "nll", VAE, 1)
        for classes in places(figures, VMA):
            many, one = (select(figures, model=VMA, at=at)[0] for at in (classes, 1))
            excess, _ = gap(many, one)
            if abs(excess - math.log(classes)) > TOLERANCE or mean(figures, "nll", VMA, classes) >= without:
                return "does not hold"
        return "holds"

    def table(self, figures: Mapping[str, Any]) -> Table:
        many = [{**p, "model": f"{p['model']}, {p['examples']} each", "at": p["classes"]} for p in figures["many"]]
        return super().table({"points": [*figures["points"], *many]})

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at = places(figures, VMA)
        with chart(across="classes in the bank, four exemplars each", up="nats", log="x") as (figure, ax):
            curves(ax, figures, "nll", {model: {"model": model} for model in (VMA, SOFT)})
            ideal = mean(figures, "nll", VMA, at[0]) + np.log(at)
            ax.plot(at, ideal, color=style.SERIES[0], linestyle=":", linewidth=1.5, label="VMA at 1, + log C")
            level(ax, mean(figures, "nll", VAE, 1), "VAE")
        many = {"points": figures["many"]}
        across = f"exemplars a class, of {figures['many'][0]['classes']} classes"
        with chart(across=across, up="nats", height=2.6) as (exemplars, ax):
            curves(ax, many, "nll", {VMA: {"model": VMA}})
            level(ax, mean(many, "nll", VAE), "VAE")
        return {"": figure, "exemplars": exemplars}
