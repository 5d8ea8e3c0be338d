"""A learned bank becomes a code of a few clusters, whatever its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ...generative.networks import Networks
from ..claim import Scale, Verdict
from ..points import mean, select
from ..trials import Trial
from .exams import Pictures, pictures
from .learned import SHOWN, histograms, learned_trial, named, over_training, sizes
from .nats import NatsClaim, by_slots, sheet
from .study import THREE, VAE, Layers

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
    rate: float
    every: int
    pictures: int
    """To test on."""
    samples: int

    def networks(self, source: Pictures, slots: int) -> Networks:
        """Of a bank with so many slots, or of the VAE."""
        rows, columns = source.part("train").pixels.shape[1:]
        return self.layers.networks((rows, columns), (self.width,) if slots else None)


_PAPER = Layers((256, 128), 32, 128)
SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(Layers((16, 8), 2, 4), 8, (4, 8), 4, 2, 1e-3, 2, 20, 8),
    "laptop": Setting(_PAPER, 256, (64, 128, 256, 512, 1024), 30_000, 8_000, 1e-3, 1000, 1000, 5000),
    "full": Setting(_PAPER, 256, (64, 128, 256, 512, 1024, 2048), 300_000, 30_000, 3e-4, 5000, 10_000, 5000),
}


class LearnedMemory(NatsClaim):
    """Slots that are parameters, vectors of 256, learned with the model on the fixed binarisation of MNIST.

    Without data glyphs stand in. Weights are chosen on validation pictures. The VAE has the same networks without
    slots. All start from the mean picture, and slots move ten times as fast as networks, both of them ours
    (:meth:`~mnesis.generative.model.GenerativeModel.start_from`, :class:`~mnesis.generative.bank.LearnedBank`): beside
    them stand the text's one rate for all, the exact sum over addresses and a flat prior, on the smallest bank and
    trained less. Characters have a claim of their own, ``vma-learned-characters``.
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
    shown = SHOWN
    seeds = THREE
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        setting, source = SETTINGS[scale], pictures("binarized-mnist", self.data, "glyphs")
        smallest, first = setting.sizes[0], self.seeds[scale][0]
        whole = [
            (named(slots), seed, slots, setting.updates, {})
            for seed in self.seeds[scale]
            for slots in (*setting.sizes[::-1], 0)
        ]
        short = [
            (f"{named(smallest)}{LESS}{suffix}", first, smallest, setting.variant_updates, options)
            for suffix, options in VARIANTS.items()
        ]
        return [
            learned_trial(
                name, seed, source, slots, updates, partial(setting.networks, source), options=options,
                every=setting.every, pictures=setting.pictures, samples=setting.samples, rate=setting.rate,
            )
            for name, seed, slots, updates, options in (*whole, *short)
        ]  # fmt: skip

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        at = sizes(figures)
        clustered = all(
            sum(map(_is_code, points)) >= MAJORITY * len(points) - 1e-9
            for points in (select(figures, model=named(slots), at=slots) for slots in at)
        )
        known = all(
            mean(figures, figure, named(slots), slots) - mean(figures, figure, VAE) <= most
            for figure, most in (("bound", BOUND), ("nll", CLOSE))
            for slots in at
        )
        return "holds" if clustered and known else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at = sizes(figures)
        models = [named(slots) for slots in at]
        shown = {"kl_address": "KL of the address", "prior_entropy": "entropy of p(a)"}
        over = {
            "kl_address": "KL of the address, nats",
            "prior_entropy": "entropy of p(a), nats",
            "posterior_entropy": "entropy of q(a | x), nats",
            "nll": "validation, nats",
        }
        largest = select(figures, model=models[-1], has="samples")[0]
        return {
            "": by_slots(figures, at, shown, named, across="slots, learned"),
            "training": over_training(figures, models, over),
            "addresses": histograms(figures, (models[0], models[-1])),
            "samples": sheet(largest["samples"], "a row: pictures drawn from one learned slot", 4.6),
            "means": sheet(largest["means"], "a row: what pictures from one slot are expected to be", 4.6),
        }


def _is_code(point: Mapping[str, Any]) -> bool:
    """Whether addresses say of pictures what clusters would, and not all that slots could."""
    return LEAST <= point["kl_address"] <= MOST and point["prior_entropy"] - point["kl_address"] >= ROOM
