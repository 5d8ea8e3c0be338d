"""Addresses tell classes, without any training for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ...measure.pages.drawing import curve
from ..claim import Scale, Table, Verdict
from ..drawing import chart, level
from ..points import agreed, select
from ..trials import Exam, TrainedClaim, Trial
from .exams import ClassExam
from .study import THREE, VMA, few_shot_trials, omniglot

ADDRESS, IMPORTANCE = 0.80, 0.87
TESTS = ((5, 1), (5, 5), (20, 1), (20, 5))
PAPER = {(5, 1): 0.91, (5, 5): 0.97, (20, 1): 0.77, (20, 5): 0.90}
EPISODES: dict[Scale, tuple[int, int, tuple[int, ...]]] = {
    "smoke": (2, 2, (2, 2, 1, 1)),
    "laptop": (200, 20, (200, 60, 20, 6)),
    "full": (1000, 50, (1000, 1000, 1000, 1000)),
}
"""Banks, samples of the importance weights, and banks that these are taken of, for each test."""


class Classification(TrainedClaim):
    """The VMA of ``vma-few-shot``: which of 5 or 20 new classes is a picture of, with 1 or 5 labelled drawings of each?

    Two ways: the share of q(a | x) that a class's drawings have, and its share of the likelihood, every address tried.
    Classes are drawn from all five test alphabets together. Over the training, five classes of the validation alphabets
    are told apart by q(a | x) with one drawing each.
    """

    name = "vma-classification"
    paper = "bornschein2017vma"
    statement = "A model trained to draw characters classifies new ones by the addresses it would read them from."
    predicate = (
        "holds if in every seed, of 5 new classes with one drawing each, q(a | x) names the right one in at least 80 % "
        "of the cases and the importance-weighted likelihood in at least 87 %; inconclusive where seeds differ; else "
        "does not hold"
    )
    seeds = THREE
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source, (episodes, samples, tried) = omniglot(self.data), EPISODES[scale]
        exams: tuple[Exam, ...] = tuple(
            ClassExam(place, source, samples=samples, ways=ways, shots=shots, episodes=episodes, tried=banks)
            for place, ((ways, shots), banks) in enumerate(zip(TESTS, tried, strict=True))
        )
        return few_shot_trials(scale, self.seeds[scale], self.data, lambda model: exams if model == VMA else ())

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        return agreed(figures, _judge)

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (
                f"{point['ways']}-way {point['shots']}-shot",
                str(point["seed"]),
                _percent(point["address"]),
                _percent(point["importance"]),
                f"{100 * PAPER[point['ways'], point['shots']]:.0f}",
            )
            for point in figures["points"]
        ]
        header = ("", "seed", "q(a | x)", "importance-weighted", "paper, q(a | x)")
        return Table(header, rows, "right classes in %")

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        with chart(across="", up="right classes", height=2.6) as (figure, ax):
            for index, (way, label) in enumerate((("address", "q(a | x)"), ("importance", "importance-weighted"))):
                for place, (ways, shots) in enumerate(TESTS):
                    own = [p[way]["accuracy"] for p in figures["points"] if (p["ways"], p["shots"]) == (ways, shots)]
                    bar = ax.bar(
                        place + 0.4 * index - 0.2, sum(own) / len(own), 0.36, color=style.SERIES[index],
                        label=label if place == 0 else None,
                    )  # fmt: skip
                    ax.bar_label(bar, fmt=lambda value: f"{100 * value:.0f}", fontsize=10)
            ax.plot(
                range(len(TESTS)), [PAPER[test] for test in TESTS], "_", color=style.INK, markersize=26, label="paper"
            )
            ax.set_xticks(range(len(TESTS)), [f"{ways}-way\n{shots}-shot" for ways, shots in TESTS])
            ax.set_ylim(0, 1.08)
            ax.yaxis.set_major_formatter("{x:.0%}")
        return {"": figure, "training": _training(figures)}


def _judge(figures: Mapping[str, Any]) -> Verdict:
    (own,) = select(figures, ways=TESTS[0][0], shots=TESTS[0][1])
    right = own["address"]["accuracy"] >= ADDRESS and own["importance"]["accuracy"] >= IMPORTANCE
    return "holds" if right else "does not hold"


def _training(figures: Mapping[str, Any]) -> Figure:
    """How q(a | x) comes to name classes of the validation alphabets: whether more updates would bring more."""
    with chart(across="updates", up="right of 5, one drawing each", height=2.6) as (figure, ax):
        for index, training in enumerate(figures["trainings"]):
            looks = training["validation"]
            updates = [look["update"] for look in looks]
            curve(ax, index, updates, [look["address"] for look in looks], f"seed {training['seed']}", size=3)
        level(ax, ADDRESS, "wanted of the test alphabets")
        ax.yaxis.set_major_formatter("{x:.0%}")
    return figure


def _percent(share: Mapping[str, Any]) -> str:
    low, high = share["interval"]
    return f"{100 * share['accuracy']:.1f} ({100 * low:.1f}-{100 * high:.1f})"
