"""RMT copies across segments where Transformer-XL with equal memory does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.task import Task
from ..learn import Stage
from ..nets import LanguageModel
from ..tasks.copying.copy import Copy
from ..tasks.wrappers.forgetful import Forgetful
from .accuracy import AccuracyClaim, accuracy
from .claim import Scale, Verdict
from .exams import AnswerExam
from .points import places
from .trials import Phase, Trial, phase

RMT, TRANSFORMER_XL, NONE = "RMT", "Transformer-XL", "no memory"
LEARNED, BEHIND, NEAR_CHANCE = 0.95, 0.1, 0.1


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    layers: int
    source: int
    """Symbols to copy; a sequence has three times as many tokens."""
    symbols: int
    segments: tuple[int, ...]
    """The curriculum."""
    batch: int
    steps: tuple[int, ...]
    """Of each phase at most."""
    rate: float
    rows: int

    @property
    def memory(self) -> int:
        """m: the length of the shortest segments."""
        return 3 * self.source // self.segments[-1]


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 4, 10, (1, 2, 3), 4, (2, 2, 2), 1e-3, 6),
    "laptop": Setting(64, 2, 24, 10, (1, 2, 3, 6), 32, (600, 500, 500, 1200), 2e-3, 500),
    "full": Setting(128, 4, 120, 8, (1, 2, 3, 6, 9), 64, (20_000,) * 5, 3e-4, 2000),
}


class RMTCopy(AccuracyClaim):
    """Copy: 24 random symbols among 10, then the same twice over: 72 tokens, cut in 1, 2, 3 and 6 segments.

    Two layers of d = 64; the weights of each cut are the start of the next, every phase trained until it is learned or
    its updates are used up, and tested at its own cut. RMT carries m = 12 memory tokens, the length of a segment when
    there are six (the same m at every cut, so that weights fit; the paper's m follows the segment). Transformer-XL
    carries the inputs of every layer for the last m units, so it holds more numbers, and no gradient. "No memory" is
    the RMT whose state is made fresh at the border of every segment, in training and in test: the same network on the
    same sequences, with nothing carried. With six segments all that is asked for was said in an earlier segment. Every
    symbol counts by itself. At full scale: four layers of d = 128, 120 symbols among 8 (360 tokens), up to 9 segments.
    """

    name = "rmt-copy"
    paper = "bulatov2022rmt"
    statement = (
        "Cut into many segments, RMT still copies a sequence almost perfectly, where Transformer-XL with equal memory "
        "falls behind."
    )
    predicate = (
        "holds if at the finest cut (6 segments) RMT has more than 95 % of the symbols right, Transformer-XL at least "
        "10 points less than RMT, and the network without memory no more than 10 points above chance; inconclusive if "
        "one of the three has not learned the uncut sequence (95 % or less with 1 segment); else does not hold"
    )
    unit = "segments"

    def trained(self, scale: Scale) -> None:
        return None

    def trials(self, scale: Scale) -> list[Trial]:
        models = (RMT, NONE, TRANSFORMER_XL)
        return [_trial(SETTINGS[scale], model, seed) for seed in self.seeds[scale] for model in models]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        coarsest, *_, finest = places(figures)
        if min(accuracy(figures, model, coarsest) for model in (RMT, TRANSFORMER_XL, NONE)) <= LEARNED:
            return "inconclusive"
        held = accuracy(figures, RMT, finest)
        behind = held - accuracy(figures, TRANSFORMER_XL, finest)
        idle = accuracy(figures, NONE, finest) - figures["chance"]
        return "holds" if held > LEARNED and behind >= BEHIND and idle <= NEAR_CHANCE else "does not hold"


def _trial(setting: Setting, model: str, seed: int) -> Trial:
    return Trial(model, seed, tuple(_phase(setting, model, seed, index) for index in range(len(setting.segments))))


def _phase(setting: Setting, model: str, seed: int, index: int) -> Phase:
    segments = setting.segments[index]
    segment = 3 * setting.source // segments
    task: Task = Copy(symbols=setting.symbols)
    if model == NONE:
        task = Forgetful(task, segment)
    memory, carried = ("transformer-xl", "memory_length") if model == TRANSFORMER_XL else ("rmt", "memory_tokens")
    network = {"dim": setting.dim, "memory": memory, "depth": setting.layers}
    build = partial(LanguageModel, task.vocabulary, **network, options={"segment": segment, carried: setting.memory})
    stages = (Stage(setting.source, setting.batch, setting.steps[index], promote=0.995),)
    exams = (AnswerExam(segments, setting.source, setting.rows, whole=False),)
    return phase(f"segments-{segments}", seed, build, task, stages, exams, rate=setting.rate)
