"""Which similarity, which prior over addresses, and how many classes a lesson has, hardly matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ..claim import Scale, Verdict
from ..drawing import chart
from ..trials import Trial
from .exams import NestedExam
from .few_shot import ROUNDS
from .nats import NatsClaim, gap
from .study import SEEDS, SHORT, VMA, Diet, omniglot, trial, variant

INNER, COSINE, FLAT, CLASSES = ", inner product", ", cosine", ", flat prior", ", 32 classes"
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    INNER: {"kind": "inner"},
    COSINE: {"kind": "cosine"},
    FLAT: {"prior": "flat"},
    CLASSES: {"diet": Diet(classes=32, targets=1)},
}
"""What is added to the name, and what differs."""
LEAD, NEAR = 1.0, 1.0


class Ablations(NatsClaim):
    """VMA with another similarity, a flat p(a), and lessons of 32 classes with a target each, all trained equally long.

    All answer for the same targets with 8 classes of 4 exemplars in the bank.
    """

    name = "vma-ablations"
    paper = "bornschein2017vma"
    statement = "Other similarities are no better than the memory-normalised one; a flat prior costs little."
    predicate = (
        "holds if neither the inner product nor the cosine is more than 1 nat below the memory-normalised similarity, "
        "and the flat prior and lessons of 32 classes are less than 1 nat above the learned prior and 8 classes; else "
        "does not hold"
    )
    unit = "slots"
    seeds = SEEDS
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source, (rounds, samples, limit) = omniglot(self.data), ROUNDS[scale]
        exam = NestedExam(32, source, samples=samples, rounds=rounds, limit=limit)
        return [
            trial(seed=seed, scale=scale, source=source, exams=(exam,), **variant(scale, suffix, **options))
            for seed in self.seeds[scale]
            for suffix, options in VARIANTS.items()
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        above = {suffix: _above(figures, suffix) for suffix in VARIANTS if suffix}
        better = min(above[INNER], above[COSINE]) < -LEAD
        return "holds" if not better and max(above[FLAT], above[CLASSES]) < NEAR else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        above = {f"{VMA}{suffix}": _above(figures, suffix) for suffix in VARIANTS if suffix}
        with chart(across="nats above memory-normalised,\nlearned prior, 8 classes", up="", grid="x", height=2.6) as (
            figure,
            ax,
        ):
            ax.barh(list(above), list(above.values()), color=style.SERIES[0], height=0.6)
            ax.axvline(0, color=style.INK, linewidth=1)
            ax.invert_yaxis()
        return {"": figure}


def _above(figures: Mapping[str, Any], suffix: str) -> float:
    """Mean paired gap of a variant to the plain model of the same seed, over seeds."""
    own = [point for point in figures["points"] if point["model"] == f"{VMA}{suffix}"]
    plain = {point["seed"]: point for point in figures["points"] if point["model"] in (VMA, SHORT)}
    return sum(gap(point, plain[point["seed"]])[0] for point in own) / len(own)
