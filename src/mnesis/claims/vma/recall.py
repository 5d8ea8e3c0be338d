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
from ...measure.pages.drawing import tick_places
from ...tasks.images.lessons import RecallLessons
from ..claim import Scale, Table, Verdict, Work
from ..drawing import chart, level
from ..points import agreed, mean, places
from ..trials import Trial
from .exams import Pictures, RecallExam, pictures
from .nats import NatsClaim, by_slots
from .study import THREE, Layers, course

PLAIN = ", plain decoder"
CLOSE, CLOSE_FAR, LATENT = 0.15, 0.5, 0.35
SWITCHED = 1.0
"""Nats above log N, at or below which the address has taken over."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    layers: Layers
    slots: int
    """In training, of the model that is judged."""
    others: tuple[int, ...]
    """Banks of models beside it, which are asked at their own size alone."""
    updates: int
    plain_updates: int
    rate: float
    sizes: tuple[int, ...]
    """Of the banks at the test."""
    lessons: int
    """Banks of each size, 32 targets each."""
    every: int
    """Updates between two looks at the validation pictures."""


_PAPER = Layers((256, 128), 32, 128)
SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(Layers((16, 8), 2, 4), 8, (4,), 4, 4, 1e-3, (4, 8), 2, 2),
    "laptop": Setting(_PAPER, 256, (64, 512, 1024), 30_000, 150_000, 1e-3, (32, 64, 256, 2048), 40, 500),
    "full": Setting(_PAPER, 256, (64, 512, 1024), 250_000, 500_000, 3e-4, (32, 64, 256, 2048), 100, 5000),
}


class Recall(NatsClaim):
    """Banks of 256 pictures of digits, targets that stand in them: all there is to say is which one.

    Fixed binarisation of MNIST (glyphs without data), the networks of the text. Banks at the test hold unseen pictures,
    of 32 to 2,048. The decoder has a path of ours, s (2 m - 1) from slot to logits. "Plain decoder" is the text's own,
    without it: every pixel of the slot has to pass through hidden layers of 128 and 256; it is trained five times as
    long, from one seed. Beside them stand models of smaller and larger banks. A model has switched once the nats of
    validation pictures are within one of log N.
    """

    name = "vma-recall"
    paper = "bornschein2017vma"
    statement = (
        "Trained on pictures that stand in the bank, the model copies unseen ones for about log N nats, all of them "
        "for the address, from banks far larger than those of training too."
    )
    predicate = (
        "holds if in every seed, trained with banks of 256, from 256 unseen pictures the nats and the address's "
        "divergence are within 0.15 nats of log N and the latent's is below 0.35, and from 2,048 the nats are within "
        "0.5 of it; inconclusive where seeds differ; else does not hold"
    )
    unit = "slots"
    seeds = THREE
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        setting, source = SETTINGS[scale], pictures("binarized-mnist", self.data, "glyphs")
        first = self.seeds[scale][0]
        return [
            *(
                _trial(setting, seed, source, slots, setting.sizes if slots == setting.slots else (slots,))
                for seed in self.seeds[scale]
                for slots in sorted({setting.slots, *setting.others}, reverse=True)
            ),
            _trial(setting, first, source, setting.slots, (setting.slots,), skip=False),
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        return agreed(figures, partial(_judge, figures["trained"]))

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        """Beside the points, what each training's validation tells of the switch."""
        setting = SETTINGS[scale]
        found = super().measure(scale, work)
        banks = {_named(slots): slots for slots in (setting.slots, *setting.others)}
        switches = [
            {
                "model": training["model"],
                "seed": training["seed"],
                "at": (slots := banks[training["model"].removesuffix(PLAIN)]),
                "update": _switch(training["validation"], slots),
            }
            for training in found["trainings"]
        ]
        return {**found, "trained": setting.slots, "switches": switches}

    def table(self, figures: Mapping[str, Any]) -> Table:
        whole = super().table(figures)
        rows = []
        for row in whole.rows:
            own = [s for s in figures["switches"] if s["model"] == row[0] and f"{s['at']:,}" == row[1]]
            told = ", ".join("not yet" if s["update"] is None else f"{s['update']:,}" for s in own)
            rows.append((*row, told))
        return Table((*whole.header, "switched at update"), rows, whole.caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        shown = {"nll": "nats", "kl_address": "KL of the address", "kl_latent": "KL of z"}
        name = _named(figures["trained"])
        sizes = by_slots(figures, places(figures, name), shown, lambda _: name, across="slots, unseen pictures")
        return {"": _learning(figures, figures["trained"]), "sizes": sizes, "switch": _switches(figures)}


def _judge(trained: int, figures: Mapping[str, Any]) -> Verdict:
    name = _named(trained)
    off = [abs(mean(figures, quantity, name, trained) - math.log(trained)) for quantity in ("nll", "kl_address")]
    if max(off) > CLOSE or mean(figures, "kl_latent", name, trained) >= LATENT:
        return "does not hold"
    most = max(places(figures, name))
    return "holds" if abs(mean(figures, "nll", name, most) - math.log(most)) <= CLOSE_FAR else "does not hold"


def _named(slots: int) -> str:
    """Of the model that is trained with so many slots."""
    return f"VMA {slots}"


def _switch(looks: list[dict[str, Any]], slots: int) -> int | None:
    """The first update at which the address has taken over; None = not yet."""
    near = math.log(slots) + SWITCHED
    return next((look["update"] for look in looks if look["nll"] <= near), None)


def _trial(
    setting: Setting, seed: int, source: Pictures, slots: int, sizes: tuple[int, ...], *, skip: bool = True
) -> Trial:
    task = RecallLessons(source.part("train"))
    image = source.part("train").pixels.shape[1:]
    watched = RecallExam(slots, source, "validation", samples=4, lessons=8)
    exams = tuple(RecallExam(size, source, samples=50, lessons=setting.lessons) for size in sizes)
    build = partial(_build, setting, (image[0], image[1]), skip)
    stage = Stage(slots, 1, setting.updates if skip else setting.plain_updates)
    about, name = {"pictures": source.collection}, _named(slots) + ("" if skip else PLAIN)
    return course(name, seed, build, task, stage, exams, (watched,), setting.every, about=about, rate=setting.rate)


def _build(setting: Setting, image: tuple[int, int], skip: bool) -> Memory[Any]:
    networks = setting.layers.networks(image, image, skip=skip)
    return Generation(VariationalMemoryAddressing(networks), allow_targets=True)


def _learning(figures: Mapping[str, Any], slots: int) -> Figure:
    """Nats and the address's divergence over training, against log N."""
    with chart(across="updates; unseen pictures, banks as in training", up="nats") as (figure, ax):
        for index, name in enumerate((_named(slots), _named(slots) + PLAIN)):
            looks = next(t["validation"] for t in figures["trainings"] if t["model"] == name)
            updates = [look["update"] for look in looks]
            for quantity, line, label in (("nll", "-", "nats"), ("kl_address", ":", "KL of the address")):
                values = [look[quantity] for look in looks]
                ax.plot(updates, values, line, color=style.SERIES[index], linewidth=2, label=f"{name}: {label}")
        level(ax, math.log(slots), f"log {slots}")
        ax.set_xscale("log")
        ax.set_yscale("symlog", linthresh=10)
        ax.set_ylim(0)
    return figure


def _switches(figures: Mapping[str, Any]) -> Figure:
    """Updates until the address takes over, against the bank of training; a point a seed."""
    with chart(across="slots in training", up="updates until the switch", log="x", height=2.6) as (figure, ax):
        own = [switch for switch in figures["switches"] if not switch["model"].endswith(PLAIN)]
        found = [switch for switch in own if switch["update"] is not None]
        ax.plot([s["at"] for s in found], [s["update"] for s in found], "o", color=style.SERIES[0], label="a seed")
        never = [switch["at"] for switch in own if switch["update"] is None]
        if never:
            most = max((switch["update"] for switch in found), default=1)
            ax.plot(never, [1.1 * most] * len(never), "x", color=style.SERIES[1], label="not in this training")
        ax.set_ylim(0)
        tick_places(ax, sorted({switch["at"] for switch in own}))
    return figure
