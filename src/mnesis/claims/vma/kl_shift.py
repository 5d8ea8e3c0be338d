"""With more exemplars a class, more of what a picture costs is said by its address, and less by z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ..claim import Scale, Verdict
from ..drawing import chart
from ..points import mean, places
from ..trials import Trial
from .exams import NestedExam
from .few_shot import ROUNDS
from .nats import NatsClaim
from .study import SEEDS, Diet, omniglot, trial, variant

EXAMPLES: dict[Scale, tuple[int, ...]] = {"smoke": (1, 2), "laptop": (1, 2, 4, 8), "full": (1, 2, 4, 8, 16)}
CLASSES = 8
MOVED = 1.0


class KLShift(NatsClaim):
    """VMA trained and tested with 8 classes of 1, 2, 4 and 8 exemplars, all equally long.

    With one exemplar a class the address is the class, log 8 = 2.08 nats. Every size answers for the same targets.
    """

    name = "vma-kl-shift"
    paper = "bornschein2017vma"
    statement = "With more exemplars a class, cost moves from the latent to the address, and pictures cost less."
    predicate = (
        "holds if from one exemplar a class to the most, KL(q(a | x) || p(a)) rises by at least 1 nat, the latent's "
        "divergence falls by at least 1 nat, and so do the nats of a picture; else does not hold"
    )
    unit = "exemplars a class"
    seeds = SEEDS
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source, (rounds, samples, limit) = omniglot(self.data), ROUNDS[scale]
        return [
            trial(
                seed=seed,
                scale=scale,
                source=source,
                exams=(NestedExam(examples, source, samples=samples, examples=examples, rounds=rounds, limit=limit),),
                **variant(scale, "" if examples == 4 else f" {CLASSES}x{examples}", diet=Diet(CLASSES, examples)),
            )
            for seed in self.seeds[scale]
            for examples in reversed(EXAMPLES[scale])
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        at = places(figures)
        address, latent, nats = (
            mean(figures, quantity, at=at[-1]) - mean(figures, quantity, at=at[0])
            for quantity in ("kl_address", "kl_latent", "nll")
        )
        return "holds" if address >= MOVED and max(latent, nats) <= -MOVED else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        at = places(figures)
        address, latent, nats = (
            np.array([mean(figures, quantity, at=examples) for examples in at])
            for quantity in ("kl_address", "kl_latent", "nll")
        )
        with chart(across="exemplars a class, of 8 classes", up="nats", height=2.9) as (figure, ax):
            place = range(len(at))
            ax.bar(place, address, 0.6, color=style.SERIES[1], label="KL of the address")
            ax.bar(place, latent, 0.6, bottom=address, color=style.SERIES[0], label="KL of z")
            for x, (top, value) in enumerate(zip(address + latent, nats, strict=True)):
                ax.text(x, top, f"{value:.1f} nats\nin all", ha="center", va="bottom", fontsize=10)
            ax.set_ylim(0, 1.3 * float((address + latent).max()))
            ax.set_xticks(place, [str(examples) for examples in at])
        return {"": figure}
