from __future__ import annotations

import pytest

from mnesis.claims.length_generalization import CARRIED, FRESH, LengthGeneralization, rise


def figures(before: float, carried: float, fresh: float) -> dict:
    """Two seeds that differ; losses at the end of the trained length and far beyond it."""
    points = []
    for seed, off in ((0, -0.05), (1, 0.05)):
        for start, after in ((CARRIED, carried), (FRESH, fresh)):
            for phase, risen in (("trained", before), ("updated", after)):
                for at, loss in ((64, 0.7), (128, 0.9), (1024, 0.7 + risen + off)):
                    points.append({"model": start, "seed": seed, "phase": phase, "at": at, "loss": loss + seed})
    return {"trained": 64, "points": points, "trainings": [{"phase": "updated", "updates": 500}]}


def test_the_rise_is_a_mean_over_seeds() -> None:
    found = figures(0.8, 0.1, 0.75)
    assert rise(found, FRESH, "trained") == pytest.approx(0.8)
    assert rise(found, CARRIED, "updated") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("before", "carried", "fresh", "verdict"),
    [
        (0.8, 0.19, 0.62, "holds"),
        (0.8, 0.21, 0.62, "does not hold"),
        (0.8, 0.19, 0.59, "does not hold"),
        (0.19, 0.0, 0.19, "inconclusive"),
    ],
)
def test_verdicts(before, carried, fresh, verdict) -> None:
    assert LengthGeneralization().judge(figures(before, carried, fresh)) == verdict


def test_the_table_shows_the_rise() -> None:
    table = LengthGeneralization().table(figures(0.8, 0.1, 0.75))
    assert [row[0] for row in table.rows] == ["fresh states alone", "+ from carried states", "+ fresh again"]
    assert table.rows[1][-1] == "[bold]+0.100[/]"
