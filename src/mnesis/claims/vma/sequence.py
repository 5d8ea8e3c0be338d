"""A random address as the read of a stream's bank, beside soft and top-k reads, as the bank outgrows training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ...generative.sequence import BankReader, Shown
from ...learn import Stage
from ...measure.pages.drawing import curve, tick_places
from ...tasks.recall.associative_retrieval import AssociativeRetrieval
from ..claim import Scale, Table, Verdict, Work
from ..drawing import chart, mark_training
from ..points import places
from ..trials import TrainedClaim, Trial, trained
from .answer_bits import AnswerBitsExam

RANDOM, ALL, SOFT, TOP, NONE = "random address", "every address", "soft", "top-4", "no bank"
READS = {RANDOM: "vimco", ALL: "exact", SOFT: "soft", TOP: "top-k", NONE: "none"}
SHARE, LEARNED, FARTHER = 0.9, 0.5, 8


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    match: int
    pairs: int
    """In training, at most."""
    updates: int
    batch: int
    rate: float
    times: tuple[int, ...]
    """Pairs at the test, in those of training."""
    rows: int
    """Questions at each size."""


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 4, 2, 2, 4, 1e-3, (1, 8), 8),
    "laptop": Setting(64, 32, 16, 1500, 64, 2e-3, (1, 2, 4, 8, 16), 1000),
    "full": Setting(128, 64, 16, 50_000, 256, 1e-3, (1, 2, 4, 8, 16), 4000),
}


class Sequence(TrainedClaim):
    """Pairs of a key (two of 16 digits) and a value (one of 16), one unit at a time, then a key: say its value.

    Every unit leaves a slot, so that a pair stands in one of five and the others distract. Readers with a GRU of 64 and
    a convolution of four units are trained on 1 to 16 pairs and asked after up to 256, with a bank that holds them all.
    They differ in the read alone: four random addresses (VIMCO), every address, a blend of all slots, a blend of the
    four best, nothing. At the test nobody sees the answer. Bits are against a guess among 16 values; "settled" is
    log N - H(p(a | s)), what the query says of the address, and KL(q || p) what the answer would add.
    """

    name = "vma-sequence"
    paper = "bornschein2017vma"
    statement = (
        "Drawn with the answer in sight and tested without it, a random address reads a stream's bank as well as soft "
        "attention does, also where the bank is many times that of training."
    )
    predicate = (
        "holds if with the pairs of training the random address gains over no bank at least 0.9 of the bits that soft "
        "attention gains, and with 8 times as many at least as many bits as soft attention; inconclusive if soft "
        "attention gains less than half of the value's bits with the pairs of training; else does not hold"
    )
    seeds = {"smoke": (0,), "laptop": (0,), "full": (0, 1)}  # noqa: RUF012

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], name, seed) for seed in self.seeds[scale] for name in READS]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].pairs, "whole": math.log2(_task().symbols), **super().measure(scale, work)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        trained = figures["trained"]
        gain = {name: gained(figures, name, trained) for name in (RANDOM, SOFT)}
        if gain[SOFT] < LEARNED * figures["whole"]:
            return "inconclusive"
        far = gained(figures, RANDOM, FARTHER * trained) >= gained(figures, SOFT, FARTHER * trained)
        return "holds" if gain[RANDOM] >= SHARE * gain[SOFT] and far else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (
                point["model"],
                f"{point['at']:,}",
                f"{point['slots']:,}",
                f"{point['bits']:.2f}",
                f"{point['bits_standard_error']:.2f}",
                f"{100 * point['accuracy']:.1f}",
                *(_nats(point, name) for name in ("settled", "posterior_divergence")),
            )
            for point in figures["points"]
        ]
        header = ("", "pairs", "slots", "bits", "s.e.", "right %", "settled", "KL(q || p)")
        return Table(header, rows, "bits of the answer; nats of the address, where there is one")

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at, across = places(figures), "pairs read before the question, five slots each"
        with chart(across=across, up="bits gained over no bank", log="x") as (figure, ax):
            for index, name in enumerate(name for name in READS if name != NONE):
                curve(ax, index, at, [gained(figures, name, pairs) for pairs in at], name)
            mark_training(ax, figures["trained"])
            tick_places(ax, at)
        return {"": figure}


def gained(figures: Mapping[str, Any], name: str, at: int) -> float:
    """Bits over those without a bank, the mean over seeds."""
    found = {(point["model"], point["seed"]): point["bits"] for point in figures["points"] if point["at"] == at}
    gains = [bits - found[NONE, seed] for (model, seed), bits in found.items() if model == name]
    return sum(gains) / len(gains)


def _task() -> AssociativeRetrieval:
    return AssociativeRetrieval("remember", key_length=2)


def _trial(setting: Setting, name: str, seed: int) -> Trial:
    task = Shown(_task())
    stages = (Stage((1, setting.pairs), setting.batch, setting.updates),)
    slots = (setting.pairs + 1) * _task().segment_length
    network = {"dim": setting.dim, "match": setting.match, "slots": slots, "read": READS[name]}
    build = partial(BankReader, task.vocabulary, **network)
    exams = tuple(AnswerBitsExam(times * setting.pairs, setting.rows) for times in setting.times)
    how = {"rate": setting.rate, "warm_up": 100, "log_every": 50}
    return trained(name, seed, build, task, stages, exams, about={"read": READS[name]}, **how)


def _nats(point: Mapping[str, Any], name: str) -> str:
    return f"{point[name]:.2f}" if point["model"] in (RANDOM, ALL) else ""
