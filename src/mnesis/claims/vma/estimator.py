"""The gradient through a random address is unbiased, and its baselines leave little of the variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, styled
from ...ops.addressing import Bound, SampledRead, draw_addresses, read_bank, vimco
from ..claim import Claim, Scale, Table, Verdict, Work

SLOTS = 5
NONE = "no baseline"
UNBIASED = ("vimco", "vimco-geometric", "rloo")
ESTIMATORS = (*UNBIASED, NONE, "reweighted-wake-sleep", "gumbel-softmax", "straight-through")
SAMPLES = (2, 3, 4)
DRAWS: dict[Scale, int] = {"smoke": 2000, "laptop": 200_000, "full": 2_000_000}
STANDARD_ERRORS, EXACT, SHARE = 4.5, 1e-8, 0.25

Parts = tuple[Float[Tensor, " N"], Float[Tensor, " N"], Float[Tensor, " N"]]
"""Logits of q(a | x), logits of p(a), and log p(x | a)."""


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
        with styled():
            figure, ax = axes(height=4.2)
            for index, name in enumerate(("vimco", "vimco-geometric", "rloo", NONE, "reweighted-wake-sleep")):
                values = [point["variance"] for point in figures["points"] if point["model"] == name]
                color, marker = style.SERIES[index], style.MARKERS[index]
                ax.plot(SAMPLES, values, color=color, marker=marker, linewidth=2, label=name)
            ax.set_ylim(0)
            ax.set_xticks(SAMPLES)
            ax.set_xlabel("K, addresses drawn")
            ax.set_ylabel("variance of the gradient")
            ax.grid(axis="y")
            figure.legend(loc="outside lower left", ncols=2)
        return {"": figure}


def small_model() -> Parts:
    """Logits of q, of p(a), and log p(x | a), far from each other."""
    generator = torch.Generator().manual_seed(3)
    first, second, third = (torch.randn(SLOTS, generator=generator, dtype=torch.float64) for _ in range(3))
    return first, second, 2 * third


def expected_bound(parts: Parts, samples: int) -> Float[Tensor, ""]:
    """E log (1/K sum_k w_k) over all N^K draws."""
    posterior, log_weight = _weights(parts)
    tuples = _tuples(samples)
    bound = log_weight[tuples].logsumexp(1) - math.log(samples)
    return (posterior[tuples].sum(1).exp() * bound).sum()


def gradients(value: Float[Tensor, ""], parts: tuple[Tensor, ...]) -> Float[Tensor, " G"]:
    """By all three parts, end to end."""
    return torch.cat(torch.autograd.grad(value, parts))


def expected_gradient(parts: Parts, samples: int, baseline: str) -> Float[Tensor, " G"]:
    """The mean of VIMCO's gradient over all N^K draws."""
    posterior, log_weight = _weights(parts)
    tuples = _tuples(samples)
    chance = posterior.detach()[tuples].sum(1).exp()
    bound = vimco(log_weight[tuples], posterior[tuples], baseline)
    return gradients((chance * bound.objective).sum(), parts)


def drawn_gradients(
    estimator: str, parts: Parts, rows: int, samples: int, seed: int = 0
) -> tuple[Float[Tensor, " R"], Float[Tensor, "R G"]]:
    """Bounds and gradients of many single draws: every row has logits, and so a gradient, of its own."""
    own = [part.detach()[None].repeat(rows, 1).requires_grad_() for part in parts]
    posterior, prior, likelihood = own[0].log_softmax(1), own[1].log_softmax(1), own[2]
    generator = torch.Generator().manual_seed(seed)
    if estimator == NONE:
        read = SampledRead(posterior, draw_addresses(posterior, samples, generator), _plain)
    else:
        read = read_bank(posterior, estimator=estimator, samples=samples, generator=generator)
    bound = read.bound(read.log_ratio(prior) + read.take(likelihood, own=True))
    return bound.value.detach(), torch.cat(torch.autograd.grad(bound.objective.sum(), own), 1)


def _plain(log_weight: Float[Tensor, "B K"], log_probability: Float[Tensor, "B K"]) -> Bound:
    """The K-sample bound, its value the signal of every address."""
    value = log_weight.logsumexp(1) - math.log(log_weight.shape[1])
    return Bound(value.detach(), (value.detach()[:, None] * log_probability).sum(1) + value)


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


def _weights(parts: Parts) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """log q(a | x), and the logarithm of p(a) p(x | a) / q(a | x)."""
    posterior = parts[0].log_softmax(0)
    return posterior, parts[1].log_softmax(0) + parts[2] - posterior


def _tuples(samples: int) -> Tensor:
    return torch.tensor(list(product(range(SLOTS), repeat=samples)))
