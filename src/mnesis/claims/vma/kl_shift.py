"""With more exemplars a class, more of what a picture costs is said by its address, and less by z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from ...measure.pages import figures as style
from ..claim import Scale, Verdict
from ..drawing import chart
from ..points import agreed, mean, places
from ..trials import Trial
from .exams import NestedExam
from .few_shot import ROUNDS
from .nats import NatsClaim
from .study import SEEDS, VMA, exemplar_trial, omniglot

EXAMPLES: dict[Scale, tuple[int, ...]] = {"smoke": (1, 2), "laptop": (1, 4, 8, 16), "full": (1, 2, 4, 8, 16)}
PAPER = {1: (2.0, 28.2, 75.1), 16: (4.5, 21.8, 69.1)}
"""KL of the address, KL of z and nats at the ends of figure 4B; how many exemplars its last model has is not told."""
MOVED = 1.0


class KLShift(NatsClaim):
    """VMA trained and tested with 8 classes of 1 to 16 exemplars, all as long as the models of ``vma-few-shot``.

    With one exemplar a class the address is the class, log 8 = 2.08 nats. Every size answers for the same targets.
    """

    name = "vma-kl-shift"
    paper = "bornschein2017vma"
    statement = "With more exemplars a class, cost moves from the latent to the address, and pictures cost less."
    predicate = (
        "holds if in every seed, from one exemplar a class to the most, KL(q(a | x) || p(a)) rises by at least 1 nat, "
        "the latent's divergence falls by at least 1 nat, and so do the nats of a picture; inconclusive where seeds "
        "differ; else does not hold"
    )
    unit = "exemplars a class"
    printed: ClassVar[Mapping[tuple[str, int], str]] = {
        (f"{VMA} 8x{n}", n): f"{nats} ({address} and {latent})" for n, (address, latent, nats) in PAPER.items()
    }
    seeds = SEEDS
    study = "vma-few-shot"
    reads_data = True

    def trials(self, scale: Scale) -> list[Trial]:
        source, (rounds, samples, limit) = omniglot(self.data), ROUNDS[scale]
        return [
            exemplar_trial(scale, seed, source, exam.examples, (exam,))
            for seed in self.seeds[scale]
            for exam in (
                NestedExam(examples, source, samples=samples, examples=examples, rounds=rounds, limit=limit)
                for examples in reversed(EXAMPLES[scale])
            )
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        return agreed(figures, _judge)

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
            shown = [(index, PAPER[examples]) for index, examples in enumerate(at) if examples in PAPER]
            for offset, label in ((0, "paper: KL of the address"), (1, "paper: both")):
                heights = [paper[0] + offset * paper[1] for _, paper in shown]
                marker = ("_", "x")[offset]
                ax.plot([x for x, _ in shown], heights, marker, color=style.INK, markersize=14, label=label)
            ax.set_ylim(0, 1.35 * max(float((address + latent).max()), 31))
            ax.set_xticks(place, [str(examples) for examples in at])
        return {"": figure}


def _judge(figures: Mapping[str, Any]) -> Verdict:
    at = places(figures)
    address, latent, nats = (
        mean(figures, quantity, at=at[-1]) - mean(figures, quantity, at=at[0])
        for quantity in ("kl_address", "kl_latent", "nll")
    )
    return "holds" if address >= MOVED and max(latent, nats) <= -MOVED else "does not hold"
