"""A random address as the read of a stream's bank, beside soft and top-k reads, as the bank outgrows training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ...core.memory import Memory
from ...core.record import recording
from ...core.task import Task
from ...generative.sequence import BankReader, Shown
from ...learn import Recipe, Stage
from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, curve, styled
from ...tasks.recall.associative_retrieval import AssociativeRetrieval
from ..claim import Scale, Table, Verdict, Work
from ..exams import TEST_SEED
from ..trials import Exam, Phase, TrainedClaim, Trial

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


@dataclass(frozen=True)
class AnswerBitsExam(Exam):
    """How many bits of the answer a reader finds, with the prior over addresses alone; ``at`` counts pairs.

    Args:
        rows: questions.
        batch: sequences read side by side.
    """

    rows: int = 1000
    batch: int = 25

    @torch.no_grad()
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        inner = cast(AssociativeRetrieval, cast(Shown, task).task)
        reader = copy(cast(BankReader, network).eval())
        reader.slots = self.at * inner.segment_length + inner.key_length  # every unit before the question
        generator, found = torch.Generator().manual_seed(TEST_SEED), []
        for start in range(0, self.rows, self.batch):
            episode = task.episodes(min(self.batch, self.rows - start), self.at, generator)
            asked = cast(Any, episode.inputs)
            value = (asked.answer >= 0) & (asked.answer != inner.END)
            with torch.random.fork_rng([]), recording() as observed:
                torch.manual_seed(start)
                said = reader(asked)[0][value]
            told = [observed[f"address/{name}"][0][value] for name in ("posterior_divergence", "prior_entropy")]
            answer = asked.answer[value]
            found.append(torch.stack([said.gather(1, answer[:, None])[:, 0], said.argmax(1) == answer, *told]))
        log_prob, right, divergence, entropy = torch.cat(found, 1)
        bits = inner.value_length * math.log2(inner.symbols) + log_prob / math.log(2)
        return {
            "bits": float(bits.mean()),
            "bits_standard_error": float(bits.std() / math.sqrt(len(bits))),
            "accuracy": float(right.mean()),
            "slots": reader.slots,
            "posterior_divergence": float(divergence.mean()),
            "settled": float(math.log(reader.slots) - entropy.mean()),
            "answers": len(bits),
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
        at = sorted({point["at"] for point in figures["points"]})
        with styled():
            figure, ax = axes()
            for index, name in enumerate(name for name in READS if name != NONE):
                curve(ax, index, at, [gained(figures, name, pairs) for pairs in at], name)
            ax.axvline(figures["trained"], color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_locator(FixedLocator(at))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter("{x:.0f}")
            ax.set_xlabel("pairs read before the question, five slots each")
            ax.set_ylabel("bits gained over no bank")
            ax.grid(axis="y")
            figure.legend(loc="outside lower left", ncols=2)
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
    recipe = Recipe(
        (Stage((1, setting.pairs), setting.batch, setting.updates),),
        learning_rate=setting.rate,
        warm_up=100,
        seed=seed,
        log_every=50,
    )
    build = partial(
        BankReader,
        task.vocabulary,
        dim=setting.dim,
        match=setting.match,
        slots=(setting.pairs + 1) * _task().segment_length,
        read=READS[name],
    )
    exams = tuple(AnswerBitsExam(times * setting.pairs, setting.rows) for times in setting.times)
    return Trial(name, seed, (Phase("training", build, task, recipe, exams),), {"read": READS[name]})


def _nats(point: Mapping[str, Any], name: str) -> str:
    return f"{point[name]:.2f}" if point["model"] in (RANDOM, ALL) else ""
