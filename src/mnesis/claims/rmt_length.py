"""RMT trained on a few segments holds a fact over many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..learn import Stage
from ..tasks.recall.hidden_fact import HiddenFact
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .exams import AnswerExam
from .trials import Trial

RANDOM, FIXED, NONE = "random counts", "fixed counts", "no curriculum"
LEARNED, HELD = 0.95, 0.80
FAR = 4
"""Times the training length."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    depth: int
    segment: int
    memory_tokens: int
    segments: int
    """The most that training sees."""
    batch: int
    steps: int
    """Of a stage at most; the last has twice as many."""
    rate: float
    exams: tuple[AnswerExam, ...]

    def stages(self, model: str) -> tuple[Stage, ...]:
        """The curriculum 1, 2, ... segments, or as many updates on the last one's alone."""
        if model == NONE:
            return (Stage(self.segments, self.batch, (self.segments + 1) * self.steps),)
        counts = [most if model == FIXED else (1, most) for most in range(1, self.segments + 1)]
        first = [Stage(count, self.batch, self.steps, promote=0.99) for count in counts[:-1]]
        return (*first, Stage(counts[-1], self.batch, 2 * self.steps))


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 6, 2, 2, 4, 2, 1e-3, (AnswerExam(2, 2, 6), AnswerExam(8, 8, 6), AnswerExam(40, 40, 4))),
    "laptop": Setting(
        64, 2, 16, 4, 5, 64, 200, 1e-3,
        (AnswerExam(5, 5, 1000), AnswerExam(20, 20, 1000), AnswerExam(100, 100, 500), AnswerExam(500, 500, 200)),
    ),
    "full": Setting(
        256, 4, 499, 10, 7, 64, 3000, 3e-4,
        (
            AnswerExam(7, 7, 1000), AnswerExam(28, 28, 1000), AnswerExam(512, 512, 200, batch=20),
            AnswerExam(4096, 4096, 100, batch=4),
        ),
    ),
}  # fmt: skip


class RMTLength(AccuracyClaim):
    """ "Detect and memorise": one fact of two tokens in a random segment of filler, asked for at the end of the last.

    Segments of 16 tokens, 64 filler tokens, 6 answers; d = 64, two layers, 4 memory tokens; a curriculum of 1 to 5
    segments, each stage until it is learned, tested at 5, 20, 100 and 500. The network judged sees a random number of
    segments, up to the stage's, in every batch; beside it stand one that always sees the stage's own number, and one
    trained on 5 segments from the start for as many updates as the stages allow. Where the paper has a bidirectional
    encoder, this is the causal RMT: the question is the last token, so it sees the whole segment either way. At full
    scale: segments of 499 tokens, 10 memory tokens, 7 segments in training, 4096 (two million tokens) in the last test.
    """

    name = "rmt-length"
    paper = "bulatov2023scaling"
    statement = (
        "An RMT trained by a curriculum of a few segments holds a fact over many times as many, losing it slowly."
    )
    predicate = (
        "holds if the network trained with random counts is right in at least 80 % at 4 times the training length "
        "(slow decay: up to there, a further segment costs no more than one point, 15 points below 95 % for the 15 "
        "segments from 5 to 20); inconclusive if it has not learned the training length itself (95 % or less there); "
        "else does not hold. Fixed counts, no curriculum and longer tests are reported, not judged"
    )
    unit = "segments read up to the question"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].segments

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], model, seed) for model in (NONE, FIXED, RANDOM) for seed in self.seeds[scale]]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        if accuracy(figures, RANDOM, figures["trained"]) <= LEARNED:
            return "inconclusive"
        return "holds" if accuracy(figures, RANDOM, FAR * figures["trained"]) >= HELD else "does not hold"


def _trial(setting: Setting, model: str, seed: int) -> Trial:
    task = HiddenFact(segment=setting.segment)
    options = {"segment": setting.segment, "memory_tokens": setting.memory_tokens}
    network = {"dim": setting.dim, "memory": "rmt", "depth": setting.depth, "options": options}
    return reader(model, seed, task, setting.stages(model), setting.exams, rate=setting.rate, **network)
