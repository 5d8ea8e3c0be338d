"""Which of two sets comes first matters to a state of fixed size, until both are read twice."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Stage
from ..tasks.recall.set_disjointness import SetDisjointness
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict, Work
from .exams import AnswerExam
from .points import places
from .trials import Trial

ONCE, TWICE, ATTENTION = "delta rule", "delta rule, read twice", "attention"
SMALL, LARGE = "small first", "large first"
LEARNED, FOUND, GAP = 0.9, 0.75, 0.1


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    symbols: int
    small: int
    large: tuple[int, ...]
    """Trained one after the other, and tested."""
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 12, 2, (3, 4), 4, 2, 8),
    "laptop": Setting(24, 64, 2, (4, 8, 16, 32), 64, 1200, 1000),
    "full": Setting(64, 2048, 4, (16, 32, 64, 128, 256), 128, 20_000, 3000),
}


@dataclass(frozen=True)
class OrderExam(AnswerExam):
    """Sets of one order.

    Args:
        order: of the task.
    """

    order: str = SMALL

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        assert isinstance(task, SetDisjointness)
        own = copy(task)
        own.order = self.order
        return {**super().take(network, own), "order": self.order}


class ReadingTwice(AccuracyClaim):
    """The member that a set of 2 and one of 4 to 32, out of 64 symbols, have in common, in both orders.

    Two blocks of d = 24 around a delta rule with four heads, which keep 144 numbers a layer, read both sets once or
    twice, beside two blocks of attention; 1,200 updates of 64 at every size of the large set, one after the other, the
    order being drawn for each sequence.
    """

    name = "reading-twice"
    paper = "arora2024just"
    statement = (
        "To say what two sets share, a recurrence must hold the one that it reads first: it is right less often if "
        "that is the large one, and no longer so once both are read twice."
    )
    predicate = (
        "holds if at the largest size the delta rule is right 10 points more often with the small set first, read "
        "twice less than half as many more, and with the large set first 10 points more often than read once; "
        "inconclusive if attention finds less than 90 % in either order or the delta rule less than 75 % with the "
        "small set first; else does not hold (means over seeds)"
    )
    unit = "members of the large set"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].large[-1]

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], model, seed) for seed in self.seeds[scale] for model in (TWICE, ONCE, ATTENTION)
        ]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        figures = super().measure(scale, work)
        points = [{**point, "model": f"{point['model']}, {point['order']}"} for point in figures["points"]]
        return {**figures, "points": points}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        largest = places(figures)[-1]

        def right(model: str, order: str) -> float:
            return accuracy(figures, f"{model}, {order}", largest)

        if min(right(ATTENTION, SMALL), right(ATTENTION, LARGE)) < LEARNED or right(ONCE, SMALL) < FOUND:
            return "inconclusive"
        once, twice = (right(model, SMALL) - right(model, LARGE) for model in (ONCE, TWICE))
        gained = right(TWICE, LARGE) - right(ONCE, LARGE)
        return "holds" if once >= GAP and twice < once / 2 and gained >= GAP else "does not hold"


def _trial(setting: Setting, model: str, seed: int) -> Trial:
    task = SetDisjointness(vocabulary=setting.symbols + 4, small=setting.small, twice=model == TWICE)
    window = 2 * (setting.small + setting.large[-1]) + 6
    memory, options = (
        ("window", {"window": window}) if model == ATTENTION else ("delta-rule", {"heads": 4, "convolution": None})
    )
    stages = tuple(Stage(large, setting.batch, setting.steps) for large in setting.large)
    exams = tuple(OrderExam(at, at, setting.rows, order=order) for at in setting.large for order in (SMALL, LARGE))
    network = {"dim": setting.dim, "memory": memory, "depth": 2, "convolution": 4, "options": options}
    return reader(model, seed, task, stages, exams, rate=5e-3, **network)
