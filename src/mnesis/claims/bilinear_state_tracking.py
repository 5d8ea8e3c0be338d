"""Recurrences that inputs only multiply track the states of machines, far beyond the lengths they trained on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Stage
from ..tasks.algorithms.state_tracking import StateTracking
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .exams import AnswerExam
from .points import places
from .trials import Trial

GROUPS = {"parity": ("cyclic", 2), "sums modulo 5": ("cyclic", 5), "permutations of 3": ("symmetric", 3)}
FULL, TURNS, POSITIVE = "full", "rotation", "min-gru"
MODELS = (FULL, TURNS, POSITIVE)
TRACKED, LOST = 0.99, 0.1


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    hidden: int
    trained: int
    lengths: tuple[int, ...]
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 8, 3, (3, 5), 4, 2, 8),
    "laptop": Setting(32, 64, 10, (10, 50, 200, 500), 64, 2000, 500),
    "full": Setting(128, 256, 10, (10, 50, 200, 500, 2000), 64, 20_000, 3000),
}


class LastProduct(AnswerExam):
    """Only the product of the whole word is asked for."""

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        assert isinstance(task, StateTracking)
        last = copy(task)
        last.every = False
        return super().take(network, last)


class BilinearStateTracking(AccuracyClaim):
    """Products so far in three groups, from words of 2 to 10 elements to words of 500.

    One block around each memory, 2,000 updates of 64 words: a bilinear recurrence with full matrices, one of rotations
    (whose matrices commute, as sums do and permutations do not), both brought back to length 1 at every unit, and
    minGRU, a diagonal recurrence with rates in (0, 1). Asked for is the product of the whole word.
    """

    name = "bilinear-state-tracking"
    paper = "ebrahimi2025bilinear"
    statement = (
        "A recurrence that inputs only multiply learns from short words to track the state of any finite machine; a "
        "diagonal one with positive rates does not even learn parity."
    )
    predicate = (
        "holds if after words of 500 elements the full bilinear recurrence is right in 99 % or more in all three "
        "groups and minGRU is within 10 points of chance at parity (means over seeds); else does not hold"
    )
    unit = "elements of the word"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].trained

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], model, group, seed)
            for seed in self.seeds[scale]
            for group in GROUPS
            for model in MODELS
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        longest = places(figures)[-1]
        tracked = min(accuracy(figures, f"{FULL}, {group}", longest) for group in GROUPS) >= TRACKED
        lost = accuracy(figures, f"{POSITIVE}, parity", longest) <= 0.5 + LOST
        return "holds" if tracked and lost else "does not hold"


def _trial(setting: Setting, model: str, group: str, seed: int) -> Trial:
    name, order = GROUPS[group]
    task = StateTracking(name, order=order)
    memory, options = (
        (model, {}) if model == POSITIVE else ("bilinear", {"transition": model, "hidden": setting.hidden})
    )
    stages = (Stage((2, setting.trained), setting.batch, setting.steps),)
    exams = tuple(LastProduct(length, length, setting.rows) for length in setting.lengths)
    network = {"dim": setting.dim, "memory": memory, "depth": 1, "options": options}
    return reader(f"{model}, {group}", seed, task, stages, exams, **network)
