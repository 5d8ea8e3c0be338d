"""Of characters, which differ more than digits do, a learned bank says nearly all that its slots can."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from matplotlib.figure import Figure

from ...generative.networks import ConvolutionNetworks
from ..claim import Scale, Verdict
from ..points import agreed, mean, select
from ..trials import Trial
from .exams import Pictures, pictures
from .learned import SHOWN, learned_trial, named, over_training, sizes, train_beside_test
from .nats import NatsClaim, by_slots, sheet
from .study import SEEDS, VAE

SHARE = 0.7
"""Of log N, that the address must say."""
REGULARISED, STARTED = ", regularised", ", from pictures"
L2 = 3e-4


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    widths: tuple[int, ...]
    latent: int
    match: int
    sizes: tuple[int, ...]
    """Of the banks."""
    regularised: tuple[int, tuple[int, ...]]
    """Slots and widths of the model with decay."""
    updates: int
    rate: float
    every: int
    pictures: int
    """To test on."""
    samples: int

    def networks(self, widths: tuple[int, ...], source: Pictures, slots: int) -> ConvolutionNetworks:
        """Of a bank with so many slots, or of the VAE."""
        rows, columns = source.part("train").pixels.shape[1:]
        image = (rows, columns)
        return ConvolutionNetworks(
            image,
            widths=widths,
            latent=self.latent,
            match=self.match,
            channels=1,
            template=image if slots else None,
            addressed=slots > 0,
        )


_SMALL = (16, 16, 32, 32, 32)
SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting((4, 4, 4), 2, 4, (4, 8), (4, (4, 4, 4)), 2, 1e-3, 2, 20, 8),
    "laptop": Setting(_SMALL, 32, 64, (64, 256, 1024), (256, _SMALL), 6000, 1e-3, 500, 500, 5000),
    "full": Setting(
        (48, 48, 48, 64, 64, 64), 64, 128, (64, 128, 256, 512, 1024, 2048), (256, (32,) * 6), 300_000, 3e-4, 5000,
        8070, 5000,
    ),
}  # fmt: skip


class LearnedCharacters(NatsClaim):
    """Slots that are pictures, learned with convolutions on Omniglot at 28x28, binarised anew at every presentation.

    The pictures are those of chardata.mat where it stands in the folder of data, else derived from the drawings, which
    tables say; without data glyphs stand in. Weights are chosen on validation pictures. The start and the gain of slots
    are those of ``vma-learned-memory``. The regularised model has an L2 of 3e-4 on all parameters but the slots. Beside
    them stands a bank that begins as pictures trained on, which is ours.
    """

    name = "vma-learned-characters"
    paper = "bornschein2017vma"
    statement = (
        "Of characters a learned bank's address says nearly log N nats, and its model knows them better than a VAE; it "
        "learns the pictures trained on by heart unless it is regularised."
    )
    predicate = (
        "holds if in every seed KL(q(a | x) || p(a)) is at least 0.7 log N with 256 slots and with more, and the nats "
        "of test pictures are below the VAE's; inconclusive where seeds differ; else does not hold"
    )
    unit = "slots"
    shown = SHOWN
    printed: ClassVar[Mapping[tuple[str, int], str]] = {
        ("VMA 256, regularised", 256): "103.6",
        ("VMA 2048", 2048): "over 150; train below 80",
    }
    seeds = SEEDS
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        setting, source = SETTINGS[scale], pictures("omniglot-28", self.data, "glyphs")
        slots, widths = setting.regularised
        kinds: list[tuple[str, int, tuple[int, ...], float, dict[str, Any]]] = [
            *((named(size), size, setting.widths, 0.0, {}) for size in (*setting.sizes[::-1], 0)),
            (named(slots) + REGULARISED, slots, widths, L2, {}),
            (named(slots) + STARTED, slots, setting.widths, 0.0, {"from_pictures": True}),
        ]
        return [
            learned_trial(
                name, seed, source, size, setting.updates, partial(setting.networks, own, source), every=setting.every,
                pictures=setting.pictures, samples=setting.samples, rate=setting.rate, l2=l2, options=options,
            )
            for seed in self.seeds[scale]
            for name, size, own, l2, options in kinds
        ]  # fmt: skip

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        return agreed(figures, _judge)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at = sizes(figures)
        models = [named(slots) for slots in at]
        shown = {"kl_address": "KL of the address", "kl_latent": "KL of z"}
        regularised = next(p["model"] for p in figures["points"] if p["model"].endswith(REGULARISED))
        largest = select(figures, model=models[-1])[0]
        over = {"kl_address": "KL of the address, nats", "nll": "validation, nats"}
        return {
            "": by_slots(figures, at, shown, named, across="slots, learned"),
            "training": over_training(figures, models, over),
            "heart": train_beside_test(figures, (VAE, *models, regularised)),
            "samples": sheet(largest["samples"], "a row: pictures drawn from one learned slot", 4.6),
            "means": sheet(largest["means"], "a row: what pictures from one slot are expected to be", 4.6),
        }


def _judge(figures: Mapping[str, Any]) -> Verdict:
    for slots in (slots for slots in sizes(figures) if slots >= 256):
        said = mean(figures, "kl_address", named(slots), slots)
        if said < SHARE * math.log(slots) or mean(figures, "nll", named(slots), slots) >= mean(figures, "nll", VAE):
            return "does not hold"
    return "holds"
