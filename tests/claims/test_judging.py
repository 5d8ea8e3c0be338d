"""The predicates, on made-up figures."""

from __future__ import annotations

from typing import Any

import pytest

from mnesis.claims import armt_rewrite, rmt_copy, rmt_length
from mnesis.claims.accuracy import accuracy
from mnesis.claims.points import places


def figures(curves: dict[str, dict[int, float]], *, trained: int | None = None, chance: float = 0.1) -> dict[str, Any]:
    """Two seeds a curve, 2 points above and below it."""
    points = [
        {"model": model, "seed": seed, "at": at, "accuracy": mean + shift, "interval": [mean - 0.03, mean + 0.03]}
        for model, curve in curves.items()
        for at, mean in curve.items()
        for seed, shift in ((0, 0.02), (1, -0.02))
    ]
    return {"unit": "pairs", "trained": trained, "chance": chance, "points": points}


REWRITE = [
    ((0.97, 0.96), (0.97, 0.60), (0.80, 0.30), "holds"),
    ((0.97, 0.95), (0.97, 0.60), (0.80, 0.30), "does not hold"),  # not more than 95 % at 5 times
    ((0.97, 0.96), (0.97, 0.95), (0.80, 0.30), "does not hold"),  # the plain rule does not decay
    ((0.97, 0.96), (0.97, 0.60), (0.80, 0.75), "does not hold"),  # RMT does not decay
    ((0.97, 0.96), (0.97, 0.95), (0.40, 0.30), "does not hold"),  # one does not decay, whatever the other did
    ((0.95, 0.96), (0.97, 0.60), (0.80, 0.30), "inconclusive"),  # the training length was not learned
    ((0.97, 0.96), (0.97, 0.60), (0.40, 0.10), "inconclusive"),  # RMT learned too little to lose
    ((0.97, 0.96), (0.49, 0.10), (0.80, 0.30), "inconclusive"),
]


@pytest.mark.parametrize(("whole", "plain", "rmt", "verdict"), REWRITE)
def test_rewrite(whole: tuple, plain: tuple, rmt: tuple, verdict: str) -> None:
    curves = {
        armt_rewrite.ARMT: {10: whole[0], 50: whole[1], 200: 0.5},
        armt_rewrite.PLAIN: {10: plain[0], 50: 0.9, 200: plain[1]},
        armt_rewrite.RMT: {10: rmt[0], 50: 0.5, 200: rmt[1]},
    }
    assert armt_rewrite.ARMTRewrite().judge(figures(curves, trained=10)) == verdict


COPY = [
    ((0.97, 0.96), (0.97, 0.80), (0.97, 0.12), "holds"),
    ((0.97, 0.95), (0.97, 0.80), (0.97, 0.12), "does not hold"),
    ((0.97, 0.96), (0.97, 0.90), (0.97, 0.12), "does not hold"),  # Transformer-XL keeps up
    ((0.97, 0.96), (0.97, 0.80), (0.97, 0.25), "does not hold"),  # what is asked for can be seen without a memory
    ((0.95, 0.96), (0.97, 0.80), (0.97, 0.12), "inconclusive"),
    ((0.97, 0.96), (0.60, 0.20), (0.97, 0.12), "inconclusive"),
    ((0.97, 0.96), (0.97, 0.80), (0.60, 0.12), "inconclusive"),
]


@pytest.mark.parametrize(("rmt", "transformer_xl", "none", "verdict"), COPY)
def test_copy(rmt: tuple, transformer_xl: tuple, none: tuple, verdict: str) -> None:
    ends = {rmt_copy.RMT: rmt, rmt_copy.TRANSFORMER_XL: transformer_xl, rmt_copy.NONE: none}
    curves = {model: {1: first, 2: 0.5, 3: 0.5, 6: last} for model, (first, last) in ends.items()}
    assert rmt_copy.RMTCopy().judge(figures(curves)) == verdict


@pytest.mark.parametrize(
    ("near", "far", "verdict"),
    [(0.97, 0.81, "holds"), (0.97, 0.79, "does not hold"), (0.95, 0.90, "inconclusive"), (0.2, 0.2, "inconclusive")],
)
def test_length(near: float, far: float, verdict: str) -> None:
    curves = {
        rmt_length.RANDOM: {5: near, 20: far, 100: 0.3, 500: 0.2},
        rmt_length.FIXED: {5: 0.3, 20: 0.2, 100: 0.2, 500: 0.2},
        rmt_length.NONE: {5: 0.2, 20: 0.2, 100: 0.2, 500: 0.2},
    }
    assert rmt_length.RMTLength().judge(figures(curves, trained=5)) == verdict


def test_a_figure_has_a_curve_a_model_and_its_marks() -> None:
    made = figures({"one": {5: 0.9, 20: 0.7}, "two": {5: 0.4, 20: 0.3}}, trained=5)
    assert places(made) == [5, 20]
    assert accuracy(made, "two", 20) == pytest.approx(0.3)
    axes = rmt_length.RMTLength().draw(made)[""].axes[0]
    assert [line.get_label() for line in axes.lines] == ["one", "two", "chance", "trained to here"]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.9, 0.7])
