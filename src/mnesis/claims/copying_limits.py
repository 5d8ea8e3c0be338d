"""What a state of fixed size cannot look up in a long context, one layer of attention can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..learn import Stage
from ..tasks.recall.multi_query_recall import MultiQueryRecall
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .exams import AnswerExam
from .points import places
from .trials import Trial

FIXED, HYBRID = "linear attention", "with a layer of attention"
WIDTH = 4
"""Of a head: a layer keeps dim (WIDTH + 1) numbers."""
LEARNED, FLAT, FALL = 0.9, 0.95, 0.15


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    vocabulary: int
    pairs: tuple[int, ...]
    """Trained one after the other, and tested."""
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 16, (2, 3), 4, 2, 8),
    "laptop": Setting(64, 128, (4, 8, 16, 32), 64, 400, 300),
    "full": Setting(128, 1024, (4, 8, 16, 32, 64, 128), 64, 10_000, 3000),
}


class CopyingLimits(AccuracyClaim):
    """The value of a key, after 4 to 32 pairs of both: two layers of linear attention, or the second attends to all.

    The core of what separates recurrences from Transformers is an index: in a context of n pairs say what belongs to
    one. Linear attention with heads of 4 keeps 320 numbers a layer whatever n is; softmax attention keeps all pairs.
    Blocks of d = 64 with a convolution of 4 learn 4, 8, 16 and then 32 pairs, 400 updates of 64 each, every key being
    asked for.
    """

    name = "copying-limits"
    paper = "wen2024rnns"
    statement = (
        "A recurrence with a state of fixed size looks up less the longer its context is; one layer of attention among "
        "its layers lifts that."
    )
    predicate = (
        "holds if with the layer of attention 95 % or more are right at every number of pairs, and without it 15 "
        "points or more are lost from 4 pairs to 32 (means over seeds); inconclusive if without it less than 90 % are "
        "right at 4 pairs; else does not hold"
    )
    unit = "pairs in the context"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].pairs[-1]

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], model, seed) for seed in self.seeds[scale] for model in (FIXED, HYBRID)]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        alone, attending = ([accuracy(figures, model, place) for place in places(figures)] for model in (FIXED, HYBRID))
        if alone[0] < LEARNED:
            return "inconclusive"
        return "holds" if min(attending) >= FLAT and alone[0] - alone[-1] >= FALL else "does not hold"


def _trial(setting: Setting, model: str, seed: int) -> Trial:
    task = MultiQueryRecall(vocabulary=setting.vocabulary, random_fillers=False)
    recurrent, attention = {"heads": setting.dim // WIDTH}, {"window": 4 * setting.pairs[-1] + 1}
    memory = ["linear-attention", "window" if model == HYBRID else "linear-attention"]
    options = [recurrent, attention if model == HYBRID else recurrent]
    stages = tuple(Stage(pairs, setting.batch, setting.steps) for pairs in setting.pairs)
    exams = tuple(AnswerExam(pairs, pairs, setting.rows, whole=False) for pairs in setting.pairs)
    network = {"dim": setting.dim, "memory": memory, "convolution": 4, "options": options}
    return reader(model, seed, task, stages, exams, **network)
