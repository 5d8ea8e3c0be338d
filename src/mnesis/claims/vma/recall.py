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
from ...generative.networks import MLPNetworks
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage, Validation
from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, styled
from ...tasks.images.lessons import RecallLessons
from ..claim import Scale, Verdict, Work
from ..trials import Phase, Trial
from .exams import Pictures, RecallExam, Watch, pictures
from .nats import NatsClaim, beside_log, mean, places
from .study import SEEDS, recipe

SKIP, PLAIN = "VMA", "VMA, plain decoder"
CLOSE, CLOSE_FAR, LATENT = 0.15, 0.5, 0.35
NEAR, FAR = (32, 64), 256


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    hidden: tuple[int, ...]
    latent: int
    match: int
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
    "smoke": Setting((16, 8), 2, 4, 8, 4, 1e-3, (4, 8), 2, 2),
    "laptop": Setting((128, 64), 8, 64, 64, 40_000, 1e-3, (32, 64, 256, 2048), 40, 1000),
    "full": Setting((256, 128), 32, 128, 256, 250_000, 3e-4, (32, 64, 256, 2048), 100, 5000),
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
            off = [abs(mean(figures, SKIP, slots, name) - math.log(slots)) for name in ("nll", "kl_address")]
            if max(off) > CLOSE or mean(figures, SKIP, slots, "kl_latent") >= LATENT:
                return "does not hold"
        return "holds" if abs(mean(figures, SKIP, FAR) - math.log(FAR)) <= CLOSE_FAR else "does not hold"

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].slots, **super().measure(scale, work)}

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        return {"": _learning(figures, figures["trained"]), "sizes": _sizes(figures)}


def _trial(setting: Setting, name: str, seed: int, source: Pictures, *, skip: bool) -> Trial:
    task = RecallLessons(source.part("train"))
    image = source.part("train").pixels.shape[1:]
    course = recipe(Stage(setting.slots, 1, setting.updates), setting.rate, seed)
    watched = RecallExam(setting.slots, source, "validation", samples=4, lessons=8)
    exams = tuple(RecallExam(size, source, samples=50, lessons=setting.lessons) for size in setting.sizes)
    build = partial(_build, setting, (image[0], image[1]), skip)
    phase = Phase("training", build, task, course, exams, Validation(Watch(watched, task), setting.every))
    return Trial(name, seed, (phase,), {"pictures": source.collection})


def _build(setting: Setting, image: tuple[int, int], skip: bool) -> Memory[Any]:
    networks = MLPNetworks(
        image,
        hidden=setting.hidden,
        latent=setting.latent,
        match=setting.match,
        channels=1,
        template=image,
        addressed=True,
        skip=skip,
    )
    return Generation(VariationalMemoryAddressing(networks), allow_targets=True)


def _learning(figures: Mapping[str, Any], slots: int) -> Figure:
    """Nats and the address's divergence over training, against log N."""
    with styled():
        figure, ax = axes()
        for index, name in enumerate((SKIP, PLAIN)):
            curve = next(t["validation"] for t in figures["trainings"] if t["model"] == name)
            updates = [look["update"] for look in curve]
            for quantity, line, label in (("nll", "-", "nats"), ("kl_address", ":", "KL of the address")):
                values = [look[quantity] for look in curve]
                ax.plot(updates, values, line, color=style.SERIES[index], linewidth=2, label=f"{name}: {label}")
        ax.axhline(math.log(slots), color=style.SOFT, linestyle="--", linewidth=1.5, label=f"log {slots}")
        ax.set_yscale("symlog", linthresh=10)
        ax.set_ylim(0)
        ax.set_xlabel("updates; unseen pictures, banks as in training")
        ax.set_ylabel("nats")
        ax.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=1)
    return figure


def _sizes(figures: Mapping[str, Any]) -> Figure:
    """Nats against the size of the bank."""
    at = places(figures, SKIP)
    with styled():
        figure, ax = axes(height=3.0)
        shown = {"nll": "nats", "kl_address": "KL of the address", "kl_latent": "KL of z"}
        for index, (quantity, label) in enumerate(shown.items()):
            values = [mean(figures, SKIP, slots, quantity) for slots in at]
            ax.plot(at, values, color=style.SERIES[index], marker=style.MARKERS[index], linewidth=2, label=label)
        beside_log(figure, ax, at, "slots, unseen pictures", columns=2)
    return figure
