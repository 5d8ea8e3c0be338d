"""A learned bank becomes a code of a few clusters, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ...core.memory import Memory
from ...generative.autoencoder import VariationalAutoencoder
from ...generative.bank import LearnedBank
from ...generative.generation import Generation
from ...generative.networks import Networks
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage
from ...tasks.images.lessons import PictureLessons
from ..claim import Scale, Verdict
from ..points import mean
from ..trials import Trial
from .exams import LearnedExam, Pictures, pictures
from .nats import NatsClaim, by_slots, sheet
from .study import SEEDS, VAE, Layers, course, omniglot
from .study import SETTINGS as CONVOLUTIONS

CHARACTERS = ", Omniglot"
LEAST, MOST, SPREAD, ROOM, CLOSE = 1.0, 4.0, 1.0, 0.5, 3.0


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    layers: Layers
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
    "smoke": Setting(Layers((16, 8), 2, 4), 8, (4, 8), 4, (8,), 2, 1e-3, 2, 20, 4),
    "laptop": Setting(
        Layers((256, 128), 32, 128), 256, (64, 256, 1024), 30_000, (256,), 3000, 1e-3, 1000, 2000, 200
    ),
    "full": Setting(
        Layers((256, 128), 32, 128), 256, (64, 128, 256, 512, 1024, 2048), 300_000, (256, 2048), 300_000, 3e-4, 5000,
        10_000, 5000,
    ),
}  # fmt: skip


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
        characters = omniglot(self.data)
        kinds = (
            (
                CHARACTERS,
                characters,
                setting.characters,
                setting.character_updates,
                partial(_build_convolutions, scale),
            ),
            ("", digits, setting.sizes, setting.updates, partial(_build_layers, setting, digits)),
        )
        return [
            _trial(setting, _name(slots) + suffix, seed, source, slots, updates, partial(build, slots))
            for suffix, source, sizes, updates, build in kinds
            for seed in self.seeds[scale]
            for slots in (*sizes[::-1], 0)
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        sizes = _sizes(figures)
        address = [mean(figures, "kl_address", _name(slots), slots) for slots in sizes]
        nats = [mean(figures, "nll", _name(slots), slots) for slots in sizes]
        entropy = mean(figures, "prior_entropy", _name(sizes[-1]), sizes[-1])
        within = min(address) >= LEAST and max(address) <= MOST and max(address) - min(address) < SPREAD
        clustered = entropy - address[-1] >= ROOM
        return "holds" if within and clustered and max(nats) - mean(figures, "nll", VAE) <= CLOSE else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        shown = {"kl_address": "KL of the address", "prior_entropy": "entropy of p(a)"}
        figure = by_slots(figures, _sizes(figures), shown, _name, across="slots, learned")
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
    watched = LearnedExam(slots, source, "validation", samples=4, count=min(1000, setting.pictures))
    exam = LearnedExam(slots, source, samples=setting.samples, count=setting.pictures)
    about = {"pictures": source.collection, "slots": slots}
    return course(
        name, seed, build, task, Stage(32, 1, updates), (exam,), watched, setting.every, "nll", about=about,
        rate=setting.rate,
    )  # fmt: skip


def _build_layers(setting: Setting, source: Pictures, slots: int) -> Memory[Any]:
    rows, columns = source.part("train").pixels.shape[1:]
    return _taught(setting.layers.networks((rows, columns), (setting.width,) if slots else None), slots)


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
