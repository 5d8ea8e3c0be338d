"""How much of many pairs memories recall, by the numbers in their state and by the rule that writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from ..learn import Stage
from ..measure.pages.figures import shares
from ..tasks.recall.multi_query_recall import MultiQueryRecall
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .drawing import chart, paths
from .exams import AnswerExam
from .points import places
from .trials import Trial

HEBBIAN, DECAY, DELTA = "linear-attention", "gla", "delta-rule"
GAIN, LEARNED, SLACK = 0.05, 0.9, 0.02


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    vocabulary: int
    widths: tuple[int, ...]
    """Of a head of the three judged members: a layer keeps dim times as many numbers."""
    pairs: tuple[int, ...]
    """Trained one after the other, the last one tested."""
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 16, (4, 8), (2, 3), 4, 2, 8),
    "laptop": Setting(64, 128, (8, 16, 32, 64), (4, 8, 16), 64, 300, 500),
    "full": Setting(128, 8192, (8, 16, 32, 64, 128), (4, 8, 16, 32, 64), 64, 10_000, 3000),
}


class RecallStateSize(AccuracyClaim):
    """Multi-query associative recall of 16 pairs by what a layer keeps, Hebbian writes beside decay and delta rule.

    Two blocks of d = 64 with a convolution of 4 before the memory, which has none of its own (Mamba-2's apart), learn
    4, 8 and then 16 pairs, 300 updates of 64 each at the same rate of learning, silence between the queries. Linear
    attention adds, GLA (keys as wide as values) fades and adds, the delta rule corrects; head widths of 8 to 64 give
    their matrices 512 to 4,096 numbers a layer. Others of the family with 1,024 numbers, or about as many, are shown
    beside them and not judged.
    """

    name = "recall-state-size"
    paper = "arora2023zoology"
    statement = (
        "With equal states a memory that corrects recalls more pairs than one that fades, and that more than one that "
        "only adds; all recall more with larger states."
    )
    predicate = (
        "holds if with the smallest state the delta rule is right 5 points more often than GLA and GLA 5 points more "
        "often than linear attention, with no state either order is turned round by more than 2 points, and none of "
        "the three loses more than 2 points from one state to the next larger one (means over seeds); inconclusive if "
        "one of the three is right in less than 90 % with the largest; else does not hold"
    )
    unit = "numbers in a layer's state"

    def trained(self, scale: Scale) -> None:
        return None

    def trials(self, scale: Scale) -> list[Trial]:
        setting = SETTINGS[scale]
        return [
            _trial(setting, name, numbers, options, seed)
            for seed in self.seeds[scale]
            for name, numbers, options in (*_judged(setting), *_shown(setting))
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        at = places(figures, DELTA)
        right = {name: [accuracy(figures, name, place) for place in at] for name in (HEBBIAN, DECAY, DELTA)}
        if min(found[-1] for found in right.values()) < LEARNED:
            return "inconclusive"
        orders = ((HEBBIAN, DECAY), (DECAY, DELTA))
        gains = all(right[more][0] - right[less][0] >= GAIN for less, more in orders)
        kept = all(m >= n - SLACK for less, more in orders for n, m in zip(right[less], right[more], strict=True))
        grows = all(b >= a - SLACK for found in right.values() for a, b in pairwise(found))
        return "holds" if gains and kept and grows else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        with chart(across="units trained a second (one core)", up="right answers", log="x") as (figure, ax):
            paths(ax, figures, "accuracy")
            shares(ax)
        return {**super().draw(figures), "speed": figure}


def _judged(setting: Setting) -> list[tuple[str, int, dict[str, Any]]]:
    found = []
    for width in setting.widths:
        heads, numbers = {"heads": setting.dim // width}, setting.dim * width
        found.append((HEBBIAN, numbers, heads))
        found.append((DECAY, numbers, {**heads, "key_expansion": 1.0}))
        found.append((DELTA, numbers, {**heads, "convolution": None}))
    return found


def _shown(setting: Setting) -> list[tuple[str, int, dict[str, Any]]]:
    """Others with about as many numbers as the second smallest state."""
    dim, width = setting.dim, setting.widths[1]
    heads, numbers = dim // width, dim * width
    return [
        ("retention", numbers, {"heads": 2 * heads}),
        ("mlstm", numbers, {"heads": heads // 2}),
        ("mamba2", numbers, {"states": width // 2, "width": dim}),
        ("min-gru", numbers, {"expansion": float(width)}),
        ("gated-delta-rule", numbers, {"heads": heads, "width": width, "expansion": 1, "convolution": None}),
        ("delta-product", numbers, {"heads": heads, "width": width, "convolution": None}),
    ]


def _trial(setting: Setting, name: str, numbers: int, options: dict[str, Any], seed: int) -> Trial:
    task = MultiQueryRecall(vocabulary=setting.vocabulary, random_fillers=False)
    stages = tuple(Stage(pairs, setting.batch, setting.steps) for pairs in setting.pairs)
    exam = AnswerExam(numbers, setting.pairs[-1], setting.rows, whole=False)
    network = {"dim": setting.dim, "memory": name, "depth": 2, "convolution": 4, "options": options}
    return reader(name, seed, task, stages, (exam,), size=numbers, **network)
