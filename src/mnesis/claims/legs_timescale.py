"""A memory without a time scale reads curves at other rates than it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..learn import Stage
from ..nets import Classifier
from ..tasks.signals.timescale import TimescaleShift
from .accuracy import AccuracyClaim, accuracy
from .claim import Scale, Verdict
from .exams import AnswerExam
from .points import places
from .trials import Trial, trained

LEGS, LSTM = "HiPPO-LegS", "LSTM"
LEARNED, KEPT, LOST = 0.8, 0.05, 0.2


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    order: int
    length: int
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 4, 50, 4, 3, 8),
    "laptop": Setting(64, 32, 100, 64, 1000, 1000),
    "full": Setting(256, 256, 200, 100, 20_000, 10_000),
}


class LegSTimescale(AccuracyClaim):
    """Curves of two waves in ten classes, sampled at the trained rate, at half of it and at twice.

    One layer of d = 64, HiPPO-LegS with one signal of 32 coefficients beside an LSTM, trained on 100 samples a curve,
    1,000 updates of 64, and tested with 50 and 200 samples of curves that last as long.
    """

    name = "legs-timescale"
    paper = "gu2020hippo"
    statement = (
        "HiPPO-LegS has no time scale: what it learned at one sampling rate it knows at another; an LSTM does not."
    )
    predicate = (
        "holds if HiPPO-LegS loses less than 5 points at half and at twice the trained rate and the LSTM 20 points or "
        "more at one of them; inconclusive if either is right in less than 80 % at the trained rate; else does not hold"
    )
    unit = "samples of the curve"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].length

    def trials(self, scale: Scale) -> list[Trial]:
        return [trial(SETTINGS[scale], model, seed) for seed in self.seeds[scale] for model in (LEGS, LSTM)]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        known = {model: accuracy(figures, model, figures["trained"]) for model in (LEGS, LSTM)}
        if min(known.values()) < LEARNED:
            return "inconclusive"
        others = {*places(figures)} - {figures["trained"]}
        lost = {model: max(known[model] - accuracy(figures, model, at) for at in others) for model in known}
        return "holds" if lost[LEGS] < KEPT and lost[LSTM] >= LOST else "does not hold"


def trial(setting: Setting, model: str, seed: int) -> Trial:
    """One training, and exams at the three rates."""
    task = TimescaleShift()
    memory, options = ("hippo", {"order": setting.order}) if model == LEGS else ("lstm", {})
    build = partial(
        Classifier, task.features, task.vocabulary, dim=setting.dim, memory=memory, depth=1, options=options
    )
    stages = (Stage(setting.length, setting.batch, setting.steps),)
    exams = tuple(AnswerExam(at, at, setting.rows) for at in (setting.length // 2, setting.length, 2 * setting.length))
    return trained(model, seed, build, task, stages, exams)
