"""State spaces with rates that are not negative recognise star-free languages, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..learn import Stage
from ..tasks.algorithms.formal_languages import FormalLanguage
from .accuracy import AccuracyClaim, accuracy, reader
from .claim import Scale, Verdict
from .exams import AnswerExam
from .points import places
from .trials import Trial

STAR_FREE = ("flip-flop", "tomita-4", "bounded-dyck")
OTHERS = ("parity", "even", "tomita-5")
MAMBA, LSTM = "mamba", "lstm"
KNOWN, LOST = 0.95, 0.5


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    trained: int
    lengths: tuple[int, ...]
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 4, (4, 6), 4, 2, 8),
    "laptop": Setting(32, 50, (50, 100), 32, 1000, 500),
    "full": Setting(64, 50, (50, 100, 200), 32, 20_000, 3000),
}


class StarFreeLanguages(AccuracyClaim):
    """Beginnings of words in three star-free languages and three others: which symbols may follow, at every symbol.

    Two blocks of d = 32 with Mamba, and with an LSTM, learn each language from beginnings of 2 to 50 symbols, 1,000
    updates of 32. A beginning counts as right if all its answers are, as in the paper; asked are those of 50 symbols
    and of 100.
    """

    name = "star-free-languages"
    paper = "sarrof2024expressive"
    statement = (
        "Mamba, whose rates are not negative, learns star-free languages beyond the lengths it trained on, and no "
        "language that needs to count in a ring; an LSTM learns those too."
    )
    predicate = (
        "holds if at twice the trained length Mamba has 95 % or more of the beginnings right in each star-free "
        "language and 50 % or less in each of the others, and the LSTM 95 % or more of parity; inconclusive if the "
        "LSTM has not; else does not hold (means over seeds)"
    )
    unit = "symbols of the beginning"

    def trained(self, scale: Scale) -> int:
        return SETTINGS[scale].trained

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], model, language, seed)
            for seed in self.seeds[scale]
            for model in (MAMBA, LSTM)
            for language in (*STAR_FREE, *OTHERS)
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        longest = places(figures)[-1]
        if accuracy(figures, f"{LSTM}, parity", longest) < KNOWN:
            return "inconclusive"
        known = min(accuracy(figures, f"{MAMBA}, {language}", longest) for language in STAR_FREE) >= KNOWN
        lost = max(accuracy(figures, f"{MAMBA}, {language}", longest) for language in OTHERS) <= LOST
        return "holds" if known and lost else "does not hold"


def _trial(setting: Setting, model: str, language: str, seed: int) -> Trial:
    task = FormalLanguage(language)
    stages = (Stage((2, setting.trained), setting.batch, setting.steps),)
    exams = tuple(AnswerExam(length, length, setting.rows) for length in setting.lengths)
    return reader(f"{model}, {language}", seed, task, stages, exams, dim=setting.dim, memory=model, depth=2)
