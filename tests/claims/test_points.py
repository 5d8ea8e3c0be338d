"""Means over seeds, and what there is to average over."""

from __future__ import annotations

from statistics import StatisticsError

import pytest

from mnesis.claims.points import mean, models, places, select

FIGURES = {
    "points": [
        {"model": "b", "seed": 0, "at": 20, "loss": 1.0, "phase": "first"},
        {"model": "b", "seed": 1, "at": 20, "loss": 2.0, "phase": "first"},
        {"model": "b", "seed": 0, "at": 20, "loss": 9.0, "phase": "second"},
        {"model": "b", "seed": 0, "at": 3, "loss": 5.0, "phase": "first"},
        {"model": "a", "seed": 0, "at": 0, "loss": 0.25},
        {"model": "a", "seed": 0, "at": 0, "shown": "a picture"},
    ]
}


def test_models_stand_in_the_order_of_their_trials_and_places_in_their_own() -> None:
    assert models(FIGURES) == ["b", "a"]
    assert places(FIGURES) == [0, 3, 20]
    assert places(FIGURES, "b") == [3, 20]
    assert places(FIGURES, phase="second") == [20]


def test_a_mean_is_over_what_is_not_given() -> None:
    assert mean(FIGURES, "loss", "b", 20, phase="first") == 1.5
    assert mean(FIGURES, "loss", "b", 20) == 4.0
    assert mean(FIGURES, "loss", at=20, seed=1) == 2.0


def test_zero_is_a_place_and_points_without_the_quantity_are_passed_by() -> None:
    assert mean(FIGURES, "loss", at=0) == 0.25
    assert len(select(FIGURES, at=0)) == 2
    assert len(select(FIGURES, at=None)) == 6


def test_nothing_has_no_mean() -> None:
    with pytest.raises(StatisticsError):
        mean(FIGURES, "loss", "c")
