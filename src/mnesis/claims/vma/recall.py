"""A model trained to recall pays log N nats for an exact copy of one of N pictures, and hardly anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ...core.memory import Memory
from ...generative.generation import Generation
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage
from ...measure.pages import figures as style
from ...tasks.images.lessons import RecallLessons
from ..claim import Scale, Verdict, Work
from ..drawing import chart, level
from ..points import mean, places
from ..trials import Trial
from .exams import Pictures, RecallExam, pictures
from .nats import NatsClaim, by_slots
from .study import SEEDS, Layers, course

SKIP, PLAIN = "VMA", "VMA, plain decoder"
CLOSE, CLOSE_FAR, LATENT = 0.15, 0.5, 0.35
NEAR, FAR = (32, 64), 256


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    layers: Layers
    slots: int
    """In training."""
    updates: int
    rate: float
    sizes: tuple[int, ...]
    """Of the banks at the test."""
    lessons: int
    """Banks of each size, 32 targets each."""
    every: int
    """Updates between two looks at the validation pictures."""


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(Layers((16, 8), 2, 4), 8, 4, 1e-3, (4, 8), 2, 2),
    "laptop": Setting(Layers((128, 64), 8, 64), 64, 40_000, 1e-3, (32, 64, 256, 2048), 40, 1000),
    "full": Setting(Layers((256, 128), 32, 128), 256, 250_000, 3e-4, (32, 64, 256, 2048), 100, 5000),
}


class Recall(NatsClaim):
    """Banks of 64 pictures of digits, targets that stand in them: all there is to say is which one.

    Fixed binarisation of MNIST (glyphs without data). Banks at the test hold unseen pictures, of 32 to 2,048. "Plain
    decoder" is the same network without the path s (2 m - 1) from slot to logits: every pixel of the slot has to pass
    through the decoder's hidden layers.
    """

    name = "vma-recall"
    paper = "bornschein2017vma"
    statement = (
        "Trained on pictures that stand in the bank, the model copies unseen ones for about log N nats, all of them "
        "for the address, from banks far larger than those of training too."
    )
    predicate = (
        "holds if from banks of 32 and of 64 unseen pictures the nats and the address's divergence are within 0.15 "
        "nats of log N and the latent's is below 0.35, and from 256 the nats are within 0.5 of it; else does not hold"
    )
    unit = "slots"
    seeds = SEEDS
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source = pictures("binarized-mnist", self.data, "glyphs")
        return [
            _trial(SETTINGS[scale], name, seed, source, skip=name == SKIP)
            for seed in self.seeds[scale]
            for name in (SKIP, PLAIN)
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        for slots in NEAR:
            off = [abs(mean(figures, name, SKIP, slots) - math.log(slots)) for name in ("nll", "kl_address")]
            if max(off) > CLOSE or mean(figures, "kl_latent", SKIP, slots) >= LATENT:
                return "does not hold"
        return "holds" if abs(mean(figures, "nll", SKIP, FAR) - math.log(FAR)) <= CLOSE_FAR else "does not hold"

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].slots, **super().measure(scale, work)}

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        shown = {"nll": "nats", "kl_address": "KL of the address", "kl_latent": "KL of z"}
        sizes = by_slots(figures, places(figures, SKIP), shown, lambda _: SKIP, across="slots, unseen pictures")
        return {"": _learning(figures, figures["trained"]), "sizes": sizes}


def _trial(setting: Setting, name: str, seed: int, source: Pictures, *, skip: bool) -> Trial:
    task = RecallLessons(source.part("train"))
    image = source.part("train").pixels.shape[1:]
    watched = RecallExam(setting.slots, source, "validation", samples=4, lessons=8)
    exams = tuple(RecallExam(size, source, samples=50, lessons=setting.lessons) for size in setting.sizes)
    build = partial(_build, setting, (image[0], image[1]), skip)
    stage, about = Stage(setting.slots, 1, setting.updates), {"pictures": source.collection}
    return course(name, seed, build, task, stage, exams, watched, setting.every, about=about, rate=setting.rate)


def _build(setting: Setting, image: tuple[int, int], skip: bool) -> Memory[Any]:
    networks = setting.layers.networks(image, image, skip=skip)
    return Generation(VariationalMemoryAddressing(networks), allow_targets=True)


def _learning(figures: Mapping[str, Any], slots: int) -> Figure:
    """Nats and the address's divergence over training, against log N."""
    with chart(across="updates; unseen pictures, banks as in training", up="nats") as (figure, ax):
        for index, name in enumerate((SKIP, PLAIN)):
            looks = next(t["validation"] for t in figures["trainings"] if t["model"] == name)
            updates = [look["update"] for look in looks]
            for quantity, line, label in (("nll", "-", "nats"), ("kl_address", ":", "KL of the address")):
                values = [look[quantity] for look in looks]
                ax.plot(updates, values, line, color=style.SERIES[index], linewidth=2, label=f"{name}: {label}")
        level(ax, math.log(slots), f"log {slots}")
        ax.set_yscale("symlog", linthresh=10)
        ax.set_ylim(0)
    return figure
