"""ARMT follows rewritten associations far beyond its training length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..learn import Stage
from ..tasks.recall.associative_retrieval import AssociativeRetrieval
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .exams import AnswerExam
from .trials import Trial

ARMT, PLAIN, RMT = "ARMT", "ARMT without correction", "RMT"
LEARNED, DECAYS, FALLS = 0.95, 0.1, 0.5
NEAR, FAR = 5, 20
"""Times the training length."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    depth: int
    memory_tokens: int
    memory_dim: int
    stages: tuple[Stage, ...]
    rate: float
    warm_up: int
    rows: int
    batch: int
    """Of the tests."""
    weight_decay: float = 0.0

    @property
    def pairs(self) -> int:
        """The most that training sees."""
        return self.stages[-1].lengths[1]


def _curriculum(pairs: tuple[int, ...], steps: int, last: int, batch: int, promote: float | None) -> tuple[Stage, ...]:
    """Random numbers of pairs, up to more and more; a stage before the last ends when it is learned."""
    first = [Stage((1, most), batch, steps, promote=promote) for most in pairs[:-1]]
    return (*first, Stage((1, pairs[-1]), batch, last))


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 2, 4, _curriculum((1, 2), 2, 3, 4, None), 1e-3, 1, 6, 6),
    "laptop": Setting(64, 2, 2, 16, _curriculum((1, 2, 3, 5, 10), 400, 1200, 64, 0.99), 2e-3, 50, 1000, 250),
    "full": Setting(
        128, 4, 4, 32, _curriculum((1, 2, 3, 5, 10, 20, 40, 50), 10_000, 10_000, 512, None), 3e-4, 500, 2000, 250, 1e-3
    ),
}


class ARMTRewrite(AccuracyClaim):
    """Associative retrieval, "rewrite": keys come again with other values, and the latest value is asked for.

    16 keys, 16 values, one pair a segment, so that all of it passes through the memory. A network of d = 64 and two
    layers with two memory tokens, keys of 16 before the feature map, is trained on 1 to 10 pairs (the number drawn anew
    for every batch, the most of it raised 1, 2, 3, 5, 10) and tested with up to 200. Beside ARMT stand ARMT without the
    gamma correction, whose normaliser counts every rewrite, and RMT with as many memory tokens, all trained alike.
    An answer is right if value and end token are. At full scale: the paper's network (d = 128, four layers, four
    tokens), 50 pairs in training and 1000 in the last test.
    """

    name = "armt-rewrite"
    paper = "rodkin2024armt"
    statement = (
        "An ARMT trained on a few rewritten pairs answers with the latest value at many times that number, which "
        "neither the plain delta rule nor RMT does."
    )
    predicate = (
        "holds if ARMT is right in more than 95 % at 5 times the training length, and both ARMT without correction and "
        "RMT lose 10 points or more between the training length and 20 times it; inconclusive if ARMT has not learned "
        "the training length itself (95 % or less there), or if it stands and one of the others was below 50 % at the "
        "training length, where a loss says nothing; else does not hold"
    )
    unit = "pairs read before the question"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].pairs

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], model, seed) for seed in self.seeds[scale] for model in (ARMT, PLAIN, RMT)]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        pairs = figures["trained"]
        if accuracy(figures, ARMT, pairs) <= LEARNED:
            return "inconclusive"
        if accuracy(figures, ARMT, NEAR * pairs) <= LEARNED:
            return "does not hold"
        before = {model: accuracy(figures, model, pairs) for model in (PLAIN, RMT)}
        lost = {model: before[model] - accuracy(figures, model, FAR * pairs) for model in before}
        if any(lost[model] < DECAYS for model in before if before[model] >= FALLS):
            return "does not hold"
        return "holds" if min(before.values()) >= FALLS else "inconclusive"


def _trial(setting: Setting, model: str, seed: int) -> Trial:
    task = AssociativeRetrieval("rewrite")
    options: dict[str, Any] = {"segment": task.segment_length, "memory_tokens": setting.memory_tokens}
    if model != RMT:
        options |= {"memory_dim": setting.memory_dim, "correction": model == ARMT}
    memory = "rmt" if model == RMT else "armt"
    lengths = [times * setting.pairs for times in (1, NEAR, 10, FAR)]
    rows = [setting.rows if length <= NEAR * setting.pairs else setting.rows // 2 for length in lengths]
    exams = tuple(AnswerExam(at, at, count, batch=setting.batch) for at, count in zip(lengths, rows, strict=True))
    recipe = {"rate": setting.rate, "warm_up": setting.warm_up, "weight_decay": setting.weight_decay}
    network = {"dim": setting.dim, "memory": memory, "depth": setting.depth, "options": options}
    return reader(model, seed, task, setting.stages, exams, **recipe, **network)
