"""Which similarity, which prior over addresses, one embedding or two, and how many classes a lesson has: no matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ..claim import Scale, Verdict
from ..drawing import chart
from ..points import agreed
from ..trials import Trial
from .exams import NestedExam
from .few_shot import ROUNDS
from .nats import NatsClaim, gap
from .study import SEEDS, SHORT, VMA, Diet, omniglot, trial, variant

INNER, COSINE, FLAT, CLASSES, TIED = ", inner product", ", cosine", ", flat prior", ", 32 classes", ", tied embeddings"
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    INNER: {"kind": "inner"},
    COSINE: {"kind": "cosine"},
    FLAT: {"prior": "flat"},
    CLASSES: {"diet": Diet(classes=32, targets=1)},
    TIED: {"tied": True},
}
"""What is added to the name, and what differs."""
LEAD, NEAR = 1.0, 1.0


class Ablations(NatsClaim):
    """VMA with another similarity, a flat p(a), lessons of 32 classes with a target each, and one embedding for both.

    All are trained equally long, a fifth of ``vma-few-shot``.

    All answer for the same targets with 8 classes of 4 exemplars in the bank.
    """

    name = "vma-ablations"
    paper = "bornschein2017vma"
    statement = (
        "Other similarities are no better than the memory-normalised one; a flat prior, lessons of 32 classes and tied "
        "embeddings cost little."
    )
    predicate = (
        "holds if in every seed neither the inner product nor the cosine is more than 1 nat below the "
        "memory-normalised similarity, and the flat prior, lessons of 32 classes and tied embeddings are less than 1 "
        "nat above the learned prior, 8 classes and embeddings of their own; inconclusive where seeds differ; else "
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
        return agreed(figures, _judge)

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


def _judge(figures: Mapping[str, Any]) -> Verdict:
    above = {suffix: _above(figures, suffix) for suffix in VARIANTS if suffix}
    better = min(above[INNER], above[COSINE]) < -LEAD
    return "holds" if not better and max(above[FLAT], above[CLASSES], above[TIED]) < NEAR else "does not hold"


def _above(figures: Mapping[str, Any], suffix: str) -> float:
    """Mean paired gap of a variant to the plain model of the same seed, over seeds."""
    own = [point for point in figures["points"] if point["model"] == f"{VMA}{suffix}"]
    plain = {point["seed"]: point for point in figures["points"] if point["model"] == SHORT}
    return sum(gap(point, plain[point["seed"]])[0] for point in own) / len(own)
