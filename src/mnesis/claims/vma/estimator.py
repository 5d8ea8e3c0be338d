"""The gradient through a random address is unbiased, and its baselines leave little of the variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ..claim import Claim, Scale, Table, Verdict, Work
from ..drawing import chart, curves
from .enumeration import NONE, drawn_gradients, expected_bound, expected_gradient, gradients, small_model

UNBIASED = ("vimco", "vimco-geometric", "rloo")
ESTIMATORS = (*UNBIASED, NONE, "reweighted-wake-sleep", "gumbel-softmax", "straight-through")
SAMPLES = (2, 3, 4)
DRAWS: dict[Scale, int] = {"smoke": 2000, "laptop": 200_000, "full": 2_000_000}
STANDARD_ERRORS, EXACT, SHARE = 4.5, 1e-8, 0.25


class Estimator(Claim):
    """A model of five slots, small enough for all N^K draws to be enumerated; logits of q, p(a) and log p(x | a).

    For every estimator the mean of many single draws is compared with the exact gradient of its bound, coordinate by
    coordinate, and its variance is the trace of the gradients' covariance. Wake-sleep and relaxed reads follow other
    gradients on purpose; how far they are off is shown and not judged.
    """

    name = "vma-estimator"
    paper = "bornschein2017vma"
    statement = "VIMCO's gradient through a discrete address is unbiased, with far less variance than a plain one."
    predicate = (
        "holds if the mean over 200,000 draws of every unbiased estimator is within 4.5 standard errors of the exact "
        "gradient in all coordinates, VIMCO's expectation over all draws equals it to 1e-8 with either baseline, and "
        "at K = 4 VIMCO has less than a quarter of the variance without a baseline; else does not hold"
    )
    seeds = {"smoke": (0,), "laptop": (0,), "full": (0,)}  # noqa: RUF012

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        points = []
        for samples in SAMPLES:
            for estimator in ESTIMATORS:
                points.append({"model": estimator, "at": samples, **_compare(estimator, samples, DRAWS[scale])})
        return {"points": points, "draws": DRAWS[scale]}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        for point in figures["points"]:
            if point["model"] in UNBIASED and point["standard_errors"] >= STANDARD_ERRORS:
                return "does not hold"
            if point.get("exact_gap", 0.0) > EXACT:
                return "does not hold"
        last = {point["model"]: point["variance"] for point in figures["points"] if point["at"] == SAMPLES[-1]}
        small = max(last["vimco"], last["vimco-geometric"]) < SHARE * last[NONE]
        return "holds" if small else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (
                point["model"],
                str(point["at"]),
                f"{point['standard_errors']:.1f}" if point["model"] in (*UNBIASED, NONE) else "",
                f"{point['bias']:.4f}",
                f"{point['variance']:.3f}",
                f"{point['exact_gap']:.0e}" if "exact_gap" in point else "",
            )
            for point in figures["points"]
        ]
        header = ("", "K", "in s.e.", "off by", "variance", "expectation off by")
        caption = f"mean gradient of {figures['draws']:,} draws against the exact one, largest gap of all coordinates"
        return Table(header, rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        drawn = {name: {"model": name} for name in (*UNBIASED, NONE, "reweighted-wake-sleep")}
        with chart(across="K, addresses drawn", up="variance of the gradient") as (figure, ax):
            curves(ax, figures, "variance", drawn)
            ax.set_ylim(0)
        return {"": figure}


def _compare(estimator: str, samples: int, draws: int) -> dict[str, float]:
    first, second, third = (part.requires_grad_() for part in small_model())
    parts = (first, second, third)
    # Leave-one-out is about the one-sample bound.
    exact = gradients(expected_bound(parts, 1 if estimator == "rloo" else samples), parts)
    _, found = drawn_gradients(estimator, parts, draws, samples)
    error = found.std(0) / math.sqrt(draws)
    off = (found.mean(0) - exact).abs()
    told = {
        "standard_errors": float((off / error.clamp_min(1e-12)).max()),
        "bias": float(off.max()),
        "variance": float(found.var(0).sum()),
    }
    baseline = {"vimco": "arithmetic", "vimco-geometric": "geometric"}.get(estimator)
    if baseline is not None:
        told["exact_gap"] = float((expected_gradient(parts, samples, baseline) - exact).abs().max())
    return told
