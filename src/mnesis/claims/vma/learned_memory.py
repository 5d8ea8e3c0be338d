"""A learned bank becomes a code of a few clusters, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure

from ...core.memory import Memory
from ...generative.autoencoder import VariationalAutoencoder
from ...generative.bank import LearnedBank
from ...generative.generation import Generation
from ...generative.model import GenerativeModel
from ...generative.networks import Networks
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage
from ...measure.pages.drawing import curve
from ...tasks.images.lessons import PictureLessons
from ..claim import Scale, Verdict
from ..drawing import panels
from ..points import mean, select
from ..trials import Trial
from .exams import LearnedExam, Pictures, pictures
from .nats import NatsClaim, by_slots, sheet
from .study import SETTINGS as CONVOLUTIONS
from .study import VAE, Layers, course, omniglot

CHARACTERS = ", Omniglot"
LEAST, MOST, ROOM, BOUND, CLOSE = 1.8, 3.5, 0.5, 1.0, 3.0
MAJORITY = 2 / 3
"""Of seeds that must agree."""
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", one rate": {"gain": 1.0, "deviation": 0.3},
    ", exact sum": {"estimator": "exact"},
    ", flat prior": {"prior": "flat"},
}
"""Of the smallest bank, trained less: the plain one again, and what differs in one thing."""
LESS = ", short"
"""Behind the names of these."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    layers: Layers
    width: int
    """Of a slot, a vector."""
    sizes: tuple[int, ...]
    updates: int
    variant_updates: int
    characters: tuple[int, ...]
    """Sizes of the banks for Omniglot."""
    character_updates: int
    rate: float
    every: int
    pictures: int
    """To test on."""
    samples: int


_PAPER = Layers((256, 128), 32, 128)
SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(Layers((16, 8), 2, 4), 8, (4, 8), 4, 2, (8,), 2, 1e-3, 2, 20, 8),
    "laptop": Setting(_PAPER, 256, (64, 128, 256, 512, 1024), 30_000, 8_000, (256,), 3000, 1e-3, 1000, 1000, 5000),
    "full": Setting(
        _PAPER, 256, (64, 128, 256, 512, 1024, 2048), 300_000, 30_000, (256, 2048), 300_000, 3e-4, 5000, 10_000, 5000
    ),
}


class LearnedMemory(NatsClaim):
    """Slots that are parameters, learned with the model: vectors of 256 on MNIST, pictures on Omniglot.

    Of MNIST it reads the fixed binarisation, of Omniglot the alphabets that few-shot models train on, with their
    convolutions, tested on other alphabets; without data glyphs stand in. Weights are chosen on validation pictures.
    The VAE has the same networks without slots. All start from the mean picture, and slots move ten times as fast as
    networks, both of them ours (:meth:`~mnesis.generative.model.GenerativeModel.start_from`,
    :class:`~mnesis.generative.bank.LearnedBank`): beside them stand the text's one rate for all, the exact sum over
    addresses and a flat prior, on the smallest bank and trained less. The verdict is about MNIST alone.
    """

    name = "vma-learned-memory"
    paper = "bornschein2017vma"
    statement = (
        "A learned bank holds about as many clusters whatever its size, several slots a cluster, and its model knows "
        "pictures about as well as a VAE."
    )
    predicate = (
        "holds if at every size, in at least two of three seeds, KL(q(a | x) || p(a)) is from 1.8 to 3.5 nats and at "
        "least half a nat below the entropy of p(a), and if no size's bound of 4 samples is over 1 nat above the VAE's "
        "nor its bound of many samples over 3 (means over seeds); else does not hold"
    )
    unit = "slots"
    seeds: ClassVar[Mapping[Scale, tuple[int, ...]]] = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2)}
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        setting, digits = SETTINGS[scale], pictures("binarized-mnist", self.data, "glyphs")
        return [
            *(
                _trial(setting, _name(slots), seed, digits, slots, setting.updates, partial(_layers, setting, digits))
                for seed in self.seeds[scale]
                for slots in (*setting.sizes[::-1], 0)
            ),
            *(
                _trial(
                    setting, f"{_name(setting.sizes[0])}{LESS}{name}", self.seeds[scale][0], digits, setting.sizes[0],
                    setting.variant_updates, partial(_layers, setting, digits), **options,
                )
                for name, options in VARIANTS.items()
            ),
            *(
                _trial(
                    setting, _name(slots) + CHARACTERS, self.seeds[scale][0], source, slots, setting.character_updates,
                    partial(_convolutions, scale, source),
                )
                for source in [omniglot(self.data)]
                for slots in (*setting.characters[::-1], 0)
            ),
        ]  # fmt: skip

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        sizes = _sizes(figures)
        clustered = all(
            sum(map(_is_code, points)) >= MAJORITY * len(points) - 1e-9
            for points in (select(figures, model=_name(slots), at=slots) for slots in sizes)
        )
        known = all(
            mean(figures, figure, _name(slots), slots) - mean(figures, figure, VAE) <= most
            for figure, most in (("bound", BOUND), ("nll", CLOSE))
            for slots in sizes
        )
        return "holds" if clustered and known else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        shown = {"kl_address": "KL of the address", "prior_entropy": "entropy of p(a)"}
        figure = by_slots(figures, _sizes(figures), shown, _name, across="slots, learned")
        first = [point for point in figures["points"] if "rows" in point and point["seed"] == min(self.seeds["laptop"])]
        rows = {
            "characters" if point["model"].endswith(CHARACTERS) else "digits": sheet(
                point["rows"], "a row: pictures that share a learned slot", 4.6
            )
            for point in first
            if LESS not in point["model"]
        }
        return {"": figure, "training": self._training(figures), **rows}

    def _training(self, figures: Mapping[str, Any]) -> Figure:
        """KL of the address and entropy of p(a) over the trainings of the first seed."""
        quantities = {"kl_address": "KL of the address, nats", "prior_entropy": "entropy of p(a), nats"}
        own = [
            training
            for training in figures["trainings"]
            if training["model"] in map(_name, _sizes(figures)) and training["seed"] == min(self.seeds["laptop"])
        ]
        with panels(tuple(quantities.values()), across="updates", up="") as (figure, axes):
            for ax, quantity in zip(axes, quantities, strict=True):
                for index, training in enumerate(own[::-1]):
                    watched = training["validation"]
                    updates = [each["update"] for each in watched]
                    curve(ax, index, updates, [each[quantity] for each in watched], training["model"], size=3)
                ax.set_ylim(0)
        return figure


def _is_code(point: Mapping[str, Any]) -> bool:
    """Whether addresses say of pictures what clusters would, and not all that slots could."""
    return LEAST <= point["kl_address"] <= MOST and point["prior_entropy"] - point["kl_address"] >= ROOM


def _trial(
    setting: Setting,
    name: str,
    seed: int,
    source: Pictures,
    slots: int,
    updates: int,
    build: Callable[..., Memory[Any]],
    **options: Any,
) -> Trial:
    task = PictureLessons(source.part("train"))
    watched = LearnedExam(slots, source, "validation", samples=4, count=min(1000, setting.pictures))
    exam = LearnedExam(slots, source, samples=setting.samples, count=setting.pictures, beside="train")
    about = {"pictures": source.collection, "slots": slots, "model_options": dict(options), "start": "mean picture"}
    return course(
        name, seed, partial(build, slots, **options), task, Stage(32, 1, updates), (exam,), watched, setting.every,
        "nll", about=about, rate=setting.rate,
    )  # fmt: skip


def _layers(setting: Setting, source: Pictures, slots: int, **options: Any) -> Memory[Any]:
    rows, columns = source.part("train").pixels.shape[1:]
    template = (setting.width,) if slots else None
    return _taught(setting.layers.networks((rows, columns), template), source, slots, **options)


def _convolutions(scale: Scale, source: Pictures, slots: int) -> Memory[Any]:
    return _taught(CONVOLUTIONS[scale].networks(bank=slots > 0, addressed=slots > 0), source, slots)


def _taught(
    networks: Networks,
    source: Pictures,
    slots: int,
    gain: float = 10.0,
    deviation: float = 0.1,
    **options: Any,
) -> Memory[Any]:
    bank, template = None, networks.template_shape
    if slots and template is not None:
        model: GenerativeModel = VariationalMemoryAddressing(networks, **options)
        bank = LearnedBank(slots, template, gain=gain, deviation=deviation)
    else:
        model = VariationalAutoencoder(networks)
    model.start_from(source.part("train").binarised(torch.Generator().manual_seed(0)).float())
    return Generation(model, bank=bank)


def _name(slots: int) -> str:
    return f"VMA {slots}" if slots else VAE


def _sizes(figures: Mapping[str, Any]) -> list[int]:
    """Of the banks for MNIST."""
    return sorted({point["at"] for point in figures["points"] if point["at"] and _name(point["at"]) == point["model"]})
