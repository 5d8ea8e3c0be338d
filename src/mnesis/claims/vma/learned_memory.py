"""A learned bank becomes a code of a few clusters, whatever its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from matplotlib.figure import Figure

from ...core.memory import Memory
from ...core.task import Task
from ...generative.autoencoder import VariationalAutoencoder
from ...generative.bank import LearnedBank
from ...generative.evaluation import know, usage
from ...generative.generation import Generation
from ...generative.networks import MLPNetworks, Networks
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage, Validation
from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, styled
from ...tasks.images.lessons import PictureLessons
from ..claim import Scale, Verdict
from ..trials import Phase, Trial
from .exams import PictureExam, Pictures, Watch, as_png, pictures, told
from .nats import NatsClaim, beside_log, mean, sheet
from .study import SEEDS, VAE, omniglot, recipe
from .study import SETTINGS as CONVOLUTIONS

CHARACTERS = ", Omniglot"
LEAST, MOST, SPREAD, ROOM, CLOSE = 1.0, 4.0, 1.0, 0.5, 3.0


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    hidden: tuple[int, ...]
    latent: int
    match: int
    width: int
    """Of a slot, a vector."""
    sizes: tuple[int, ...]
    updates: int
    characters: tuple[int, ...]
    """Sizes of the banks for Omniglot."""
    character_updates: int
    rate: float
    every: int
    pictures: int
    """To test on."""
    samples: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting((16, 8), 2, 4, 8, (4, 8), 4, (8,), 2, 1e-3, 2, 20, 4),
    "laptop": Setting((256, 128), 32, 128, 256, (64, 256, 1024), 30_000, (256,), 3000, 1e-3, 1000, 2000, 200),
    "full": Setting(
        (256, 128),
        32,
        128,
        256,
        (64, 128, 256, 512, 1024, 2048),
        300_000,
        (256, 2048),
        300_000,
        3e-4,
        5000,
        10_000,
        5000,
    ),
}


@dataclass(frozen=True)
class LearnedExam(PictureExam):
    """Nats of pictures read with the bank that was learned, and how its addresses are used; ``at`` is its slots.

    Args:
        count: pictures.
        shown: slots to draw pictures from, those read most.
        drawn: pictures of each.
    """

    count: int = 1000
    shown: int = 8
    drawn: int = 10

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        taught = cast(Generation, network)
        images = self.images.pixels[: self.count].float()
        bank = None if taught.bank is None else taught.bank()
        generator = torch.Generator().manual_seed(self.seed)
        batches = [(x, bank) for x in images.split(500)]
        found = told(know(taught.model, batches, samples=self.samples, allow_targets=True, generator=generator))
        if bank is not None and isinstance(taught.model, VariationalMemoryAddressing):
            used = usage(taught.model, images, bank)
            found |= {"prior_entropy": used.prior_entropy, "clusters": math.exp(used.proposed_entropy)}
            most = bank.content[used.proposed.argsort(descending=True)[: self.shown]]
            rows = [taught.model.sample(slot[None], self.drawn, generator=generator).mean for slot in most]
            found |= {"rows": as_png(torch.stack(rows))}
        return found


class LearnedMemory(NatsClaim):
    """Slots that are parameters, learned with the model: vectors of 256 on MNIST, pictures on Omniglot.

    Of MNIST it reads the fixed binarisation, of Omniglot the alphabets that few-shot models train on, with their
    convolutions, tested on other alphabets; without data glyphs stand in. Weights are chosen on validation pictures.
    The VAE has the same networks without slots. The verdict is about MNIST alone.
    """

    name = "vma-learned-memory"
    paper = "bornschein2017vma"
    statement = (
        "A learned bank holds about as many clusters whatever its size, several slots a cluster, and its model knows "
        "pictures about as well as a VAE."
    )
    predicate = (
        "holds if KL(q(a | x) || p(a)) is from 1 to 4 nats at every size, differs by less than 1 nat between sizes, is "
        "at least half a nat below the entropy of p(a) at the largest, and no size costs over 3 nats more than the "
        "VAE; else does not hold"
    )
    unit = "slots"
    seeds = SEEDS
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        setting, digits = SETTINGS[scale], pictures("binarized-mnist", self.data, "glyphs")
        return [
            *(
                _trial(
                    setting, _name(slots) + CHARACTERS, seed, omniglot(self.data), slots, setting.character_updates,
                    partial(_build_convolutions, scale, slots),
                )
                for seed in self.seeds[scale]
                for slots in (*setting.characters[::-1], 0)
            ),
            *(
                _trial(
                    setting, _name(slots), seed, digits, slots, setting.updates,
                    partial(_build_layers, setting, digits, slots),
                )
                for seed in self.seeds[scale]
                for slots in (*setting.sizes[::-1], 0)
            ),
        ]  # fmt: skip

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        sizes = _sizes(figures)
        address = [mean(figures, _name(slots), slots, "kl_address") for slots in sizes]
        nats = [mean(figures, _name(slots), slots) for slots in sizes]
        entropy = mean(figures, _name(sizes[-1]), sizes[-1], "prior_entropy")
        within = min(address) >= LEAST and max(address) <= MOST and max(address) - min(address) < SPREAD
        clustered = entropy - address[-1] >= ROOM
        return "holds" if within and clustered and max(nats) - mean(figures, VAE) <= CLOSE else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        sizes = _sizes(figures)
        with styled():
            figure, ax = axes(height=3.2)
            shown = {"kl_address": "KL of the address", "prior_entropy": "entropy of p(a)"}
            for index, (quantity, label) in enumerate(shown.items()):
                values = [mean(figures, _name(slots), slots, quantity) for slots in sizes]
                ax.plot(sizes, values, color=style.SERIES[index], marker=style.MARKERS[index], linewidth=2, label=label)
            ax.set_ylim(0)
            beside_log(figure, ax, sizes, "slots, learned", columns=3)
        rows = {
            "characters" if point["model"].endswith(CHARACTERS) else "digits": sheet(
                point["rows"], "a row: pictures that share a learned slot", 4.6
            )
            for point in figures["points"]
            if "rows" in point
        }
        return {"": figure, **rows}


def _trial(
    setting: Setting,
    name: str,
    seed: int,
    source: Pictures,
    slots: int,
    updates: int,
    build: Callable[[], Memory[Any]],
) -> Trial:
    task = PictureLessons(source.part("train"))
    course = recipe(Stage(32, 1, updates), setting.rate, seed)
    watched = LearnedExam(slots, source, "validation", samples=4, count=min(1000, setting.pictures))
    exam = LearnedExam(slots, source, samples=setting.samples, count=setting.pictures)
    phase = Phase("training", build, task, course, (exam,), Validation(Watch(watched, task), setting.every, "nll"))
    return Trial(name, seed, (phase,), {"pictures": source.collection, "slots": slots})


def _build_layers(setting: Setting, source: Pictures, slots: int) -> Memory[Any]:
    rows, columns = source.part("train").pixels.shape[1:]
    networks = MLPNetworks(
        (rows, columns),
        hidden=setting.hidden,
        latent=setting.latent,
        match=setting.match,
        channels=1,
        template=(setting.width,) if slots else None,
        addressed=slots > 0,
    )
    return _taught(networks, slots)


def _build_convolutions(scale: Scale, slots: int) -> Memory[Any]:
    return _taught(CONVOLUTIONS[scale].networks(bank=slots > 0, addressed=slots > 0), slots)


def _taught(networks: Networks, slots: int) -> Memory[Any]:
    if not slots or networks.template_shape is None:
        return Generation(VariationalAutoencoder(networks))
    return Generation(VariationalMemoryAddressing(networks), bank=LearnedBank(slots, networks.template_shape))


def _name(slots: int) -> str:
    return f"VMA {slots}" if slots else VAE


def _sizes(figures: Mapping[str, Any]) -> list[int]:
    """Of the banks for MNIST."""
    return sorted({point["at"] for point in figures["points"] if point["at"] and _name(point["at"]) == point["model"]})
