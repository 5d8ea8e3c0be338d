"""Claims about linear recurrences and HiPPO: their predicates, and what they measure themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mnesis.claims.aaren_attention import AarenAttention
from mnesis.claims.bilinear_state_tracking import FULL, GROUPS, POSITIVE, BilinearStateTracking
from mnesis.claims.copying_limits import FIXED, HYBRID, CopyingLimits
from mnesis.claims.diagonal_channels import DISC, REAL, RING, SMOOTH, WHOLE, rates, read_back
from mnesis.claims.gated_rnn_attention import (
    GATED,
    NEURONS,
    UNGATED,
    GatedRNNAttention,
    construction_gap,
)
from mnesis.claims.legs_timescale import LEGS, LSTM, LegSTimescale
from mnesis.claims.linear_universality import FILTER, NUMBERS, LinearUniversality
from mnesis.claims.min_gru_speed import MinGRUSpeed
from mnesis.claims.perturbation import LARGEST, RADII, perturbed
from mnesis.claims.reading_twice import ATTENTION, LARGE, ONCE, SMALL, TWICE, ReadingTwice
from mnesis.claims.recall_state_size import DECAY, DELTA, HEBBIAN, RecallStateSize
from mnesis.claims.stable_ssm_memory import SIZES, StableSSMMemory
from mnesis.claims.star_free_languages import LSTM as CELL
from mnesis.claims.star_free_languages import MAMBA, OTHERS, STAR_FREE, StarFreeLanguages
from mnesis.memories.linear.stable_ssm import PARAMETERIZATIONS, StableSSM
from mnesis.tasks.signals.polynomial_memory import PolynomialMemory


def aaren(error: float = 1e-12, narrow: float = 1e-6, large: float = 1e-2, finite: bool = True) -> dict[str, Any]:
    points = [
        {"dtype": "float64", "at": 10_000, "error": 0.0, "cut_error": error, "finite": True},
        {"dtype": "float32", "at": 1, "error": narrow, "cut_error": 0.0, "finite": True},
        {"dtype": "float32", "at": 10_000, "error": large, "cut_error": large, "finite": finite},
    ]
    return {"points": points, "state_bytes": [100, 200]}


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (aaren(), "holds"),
        (aaren(error=1e-8), "does not hold"),
        (aaren(narrow=1e-4), "does not hold"),
        (aaren(finite=False), "does not hold"),
        (aaren() | {"state_bytes": [100, 120, 200]}, "does not hold"),
    ],
)
def test_aaren_verdicts(figures, verdict) -> None:
    assert AarenAttention().judge(figures) == verdict


def gated(few: float, enough: float, ungated: float, construction: float = 1e-12) -> dict[str, Any]:
    points = []
    for seed, off in ((0, 0.9), (1, 1.1)):
        for at in NEURONS[GATED]:
            points.append({"model": GATED, "at": at, "seed": seed, "error": off * (few if at <= 6 else enough)})
        for at in NEURONS[UNGATED]:
            points.append({"model": UNGATED, "at": at, "seed": seed, "error": off * ungated})
    return {"construction": construction, "points": [{**point, "kept": [0.0, 0.5, 1.0]} for point in points]}


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (gated(0.06, 0.009, 0.3), "holds"),
        (gated(0.04, 0.009, 0.3), "does not hold"),
        (gated(0.06, 0.011, 0.3), "does not hold"),
        (gated(0.06, 0.009, 0.04), "does not hold"),
        (gated(0.06, 0.009, 0.3, construction=1e-8), "does not hold"),
    ],
)
def test_gated_rnn_verdicts(figures, verdict) -> None:
    assert GatedRNNAttention().judge(figures) == verdict


def test_gated_rnn_table_and_construction() -> None:
    rows = GatedRNNAttention().table(gated(0.06, 0.009, 0.3)).rows
    assert len(rows) == 1 + len(NEURONS[GATED]) + len(NEURONS[UNGATED])
    assert rows[1][1:] == ("3", "6.000 %", "67 %")
    assert construction_gap(20) < 1e-12


@pytest.mark.parametrize(
    ("legs", "lstm", "verdict"),
    [
        ((0.86, 0.9, 0.88), (0.3, 0.95, 0.9), "holds"),
        ((0.84, 0.9, 0.88), (0.3, 0.95, 0.9), "does not hold"),
        ((0.86, 0.9, 0.88), (0.76, 0.95, 0.9), "does not hold"),
        ((0.79, 0.79, 0.79), (0.3, 0.95, 0.9), "inconclusive"),
        ((0.86, 0.9, 0.88), (0.3, 0.75, 0.9), "inconclusive"),
    ],
)
def test_legs_verdicts(legs, lstm, verdict) -> None:
    points = [
        {"model": model, "at": at, "accuracy": right}
        for model, found in ((LEGS, legs), (LSTM, lstm))
        for at, right in zip((50, 100, 200), found, strict=True)
    ]
    assert LegSTimescale().judge({"trained": 100, "points": points}) == verdict


def universality(whole: float, smooth: float, few: float, wide: float) -> dict[str, Any]:
    read = [(f"{WHOLE}, {RING}", 64, whole), (f"{WHOLE}, {REAL}", 64, 0.5)]
    read += [(f"{SMOOTH}, {RING}", 16, smooth), (f"{SMOOTH}, {RING}", 8, 0.5)]
    points = [{"model": model, "at": at, "read_back": lost} for model, at, lost in read]
    errors = dict.fromkeys(NUMBERS, 0.1) | {4: few, NUMBERS[-1]: wide}
    points += [{"model": FILTER, "at": at, "error": error} for at, error in errors.items()]
    return {"length": 64, "points": points}


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (universality(1e-9, 1e-7, 0.41, 0.06), "holds"),
        (universality(1e-5, 1e-7, 0.41, 0.06), "does not hold"),
        (universality(1e-9, 1e-5, 0.41, 0.06), "does not hold"),
        (universality(1e-9, 1e-7, 0.39, 0.06), "does not hold"),
        (universality(1e-9, 1e-7, 0.41, 0.04), "does not hold"),
    ],
)
def test_universality_verdicts(figures, verdict) -> None:
    assert LinearUniversality().judge(figures) == verdict


def test_what_universality_measures() -> None:
    for kind, radius in ((RING, 0.99), (DISC, 0.0)):
        found = rates(kind, 40)
        assert found.abs().min() >= radius
        assert found.abs().max() <= 1
        assert len(found.angle().unique()) == 40
    assert read_back(WHOLE, RING, 32, 32) < 1e-9
    assert read_back(WHOLE, REAL, 32, 32) > 0.1


def stable(moved: float = 0.2, unmoved: float = 0.04, direct: float = 300.0) -> dict[str, Any]:
    points = []
    for name in PARAMETERIZATIONS:
        for at in SIZES:
            still, pushed = (0.1, 0.3) if at == SIZES[0] else (unmoved, moved)
            if name == "direct":
                pushed = 30.0 if at == SIZES[0] else direct
            points.append({"model": name, "at": at, "errors": [pushed if r == 0.01 else still for r in RADII]})
    return {"points": points}


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (stable(), "holds"),
        (stable(moved=0.31), "does not hold"),
        (stable(direct=20.0), "does not hold"),
        (stable(moved=0.29, direct=30.5), "holds"),
        (stable(unmoved=0.06), "inconclusive"),
    ],
)
def test_stable_ssm_verdicts(figures, verdict) -> None:
    assert StableSSMMemory().judge(figures) == verdict


def test_the_perturbation_error_is_that_of_the_filter() -> None:
    """Unmoved, it is what the worst inputs and the bias reach; moved, it is never less; unstable rates are noted."""
    torch.manual_seed(0)
    memory = StableSSM(1, states=3, activation="linear", parameterization="direct").double()
    response = PolynomialMemory().response(40)
    with torch.no_grad():
        silent = memory(torch.zeros(1, 40, 1, dtype=torch.float64))[0][0, :, 0]
        impulse = torch.zeros(1, 40, 1, dtype=torch.float64)
        impulse[0, 0] = 1
        gap = memory(impulse)[0][0, :, 0] - silent - response
        worst = gap.flip(0).sign()[None, :, None]
        output = memory(worst)[0][0, -1, 0] - silent[-1] - (worst[0, :, 0].flip(0) * response).sum()
    expected = float((output + silent[-1].abs()) / response.sum())
    found = [perturbed(memory, radius, 40, 10) for radius in (0.0, 0.001, 0.01)]
    assert abs(found[0] - expected) < 1e-6
    assert found == sorted(found)
    assert perturbed(memory, 100.0, 400, 10) == LARGEST


@pytest.mark.parametrize(
    ("short", "middle", "long", "verdict"),
    [
        (1.0, 1.1, 1.6, "holds"),
        (0.5, 1.1, 1.2, "holds"),
        (1.0, 0.9, 1.6, "does not hold"),
        (1.0, 1.1, 1.4, "does not hold"),
    ],
)
def test_min_gru_verdicts(short, middle, long, verdict) -> None:
    at = ((64, short), (128, 0.2), (512, middle), (4096, long))
    points = [{"model": "min-gru", "at": units, "ratio": ratio} for units, ratio in at]
    points.append({"model": "min-lstm", "at": 4096, "ratio": 0.1})
    assert MinGRUSpeed().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("hebbian", "decay", "delta", "verdict"),
    [
        ((0.5, 0.9), (0.55, 0.9), (0.61, 0.9), "holds"),
        ((0.5, 0.9), (0.54, 0.9), (0.61, 0.9), "does not hold"),
        ((0.5, 0.9), (0.55, 0.9), (0.59, 0.9), "does not hold"),
        ((0.5, 0.93), (0.55, 0.9), (0.61, 0.9), "does not hold"),
        ((0.88, 0.9), (0.94, 0.91), (1.0, 0.99), "does not hold"),
        ((0.5, 0.89), (0.55, 0.9), (0.61, 0.9), "inconclusive"),
    ],
)
def test_recall_verdicts(hebbian, decay, delta, verdict) -> None:
    points = [
        {"model": model, "at": at, "accuracy": right}
        for model, found in ((HEBBIAN, hebbian), (DECAY, decay), (DELTA, delta))
        for at, right in zip((512, 1024), found, strict=True)
    ]
    points.append({"model": "retention", "at": 1024, "accuracy": 0.1})
    assert RecallStateSize().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("full", "positive", "verdict"),
    [(0.99, 0.6, "holds"), (0.98, 0.5, "does not hold"), (1.0, 0.61, "does not hold")],
)
def test_bilinear_verdicts(full, positive, verdict) -> None:
    points = [{"model": f"{FULL}, {group}", "at": 500, "accuracy": 1.0} for group in GROUPS]
    points[-1]["accuracy"] = full
    points.append({"model": f"{POSITIVE}, parity", "at": 500, "accuracy": positive})
    points.append({"model": f"{POSITIVE}, parity", "at": 10, "accuracy": 1.0})
    assert BilinearStateTracking().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("known", "lost", "parity", "verdict"),
    [
        (0.95, 0.5, 0.95, "holds"),
        (0.94, 0.5, 0.95, "does not hold"),
        (0.95, 0.51, 0.95, "does not hold"),
        (0.95, 0.5, 0.94, "inconclusive"),
    ],
)
def test_star_free_verdicts(known, lost, parity, verdict) -> None:
    points = [{"model": f"{MAMBA}, {language}", "at": 100, "accuracy": known} for language in STAR_FREE]
    points += [{"model": f"{MAMBA}, {language}", "at": 100, "accuracy": 0.0} for language in OTHERS[:-1]]
    points.append({"model": f"{MAMBA}, {OTHERS[-1]}", "at": 100, "accuracy": lost})
    points.append({"model": f"{CELL}, parity", "at": 100, "accuracy": parity})
    points.append({"model": f"{MAMBA}, parity", "at": 50, "accuracy": 1.0})
    assert StarFreeLanguages().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("alone", "attending", "verdict"),
    [
        ((0.9, 0.75), (1.0, 0.95), "holds"),
        ((0.9, 0.76), (1.0, 0.95), "does not hold"),
        ((0.9, 0.5), (0.94, 1.0), "does not hold"),
        ((0.89, 0.1), (1.0, 1.0), "inconclusive"),
    ],
)
def test_copying_verdicts(alone, attending, verdict) -> None:
    points = [
        {"model": model, "at": at, "accuracy": right}
        for model, found in ((FIXED, alone), (HYBRID, attending))
        for at, right in zip((4, 32), found, strict=True)
    ]
    assert CopyingLimits().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("attention", "once", "twice", "verdict"),
    [
        (0.9, (0.8, 0.7), (0.85, 0.81), "holds"),
        (0.9, (0.8, 0.71), (0.85, 0.84), "does not hold"),
        (0.9, (0.8, 0.7), (0.87, 0.81), "does not hold"),
        (0.9, (0.8, 0.7), (0.79, 0.79), "does not hold"),
        (0.89, (0.8, 0.7), (0.85, 0.81), "inconclusive"),
        (0.9, (0.74, 0.5), (0.85, 0.81), "inconclusive"),
    ],
)
def test_reading_twice_verdicts(attention, once, twice, verdict) -> None:
    points = []
    for model, found in ((ATTENTION, (attention, 1.0)), (ONCE, once), (TWICE, twice)):
        for order, right in zip((SMALL, LARGE), found, strict=True):
            points.append({"model": f"{model}, {order}", "at": 32, "accuracy": right})
            points.append({"model": f"{model}, {order}", "at": 4, "accuracy": 0.0})
    assert ReadingTwice().judge({"points": points}) == verdict
