from __future__ import annotations

import pytest
import torch

from mnesis.claims.bands import rise
from mnesis.claims.length_generalization import CARRIED, FRESH, LengthGeneralization
from mnesis.claims.state_collapse import CLIPPED, FORGETTING, LINES, UNTOUCHED, WINDOWED, RemedyExam, StateCollapse
from mnesis.nets import LanguageModel
from mnesis.tasks.language.text import Text


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
    assert [row[0] for row in table.rows] == [
        "from fresh states alone",
        "+ 500 updates, from carried states",
        "+ 500 updates, fresh again",
    ]
    assert table.rows[1][-1] == "+0.100"


@pytest.mark.parametrize(
    ("risen", "far", "near", "verdict"),
    [
        (0.4, 0.19, 0.04, "holds"),
        (0.4, 0.21, 0.0, "does not hold"),
        (0.4, 0.1, 0.06, "does not hold"),
        (0.19, 0.0, 0.0, "inconclusive"),
    ],
)
def test_remedies_are_judged_by_their_worst(risen, far, near, verdict) -> None:
    points = []
    for seed, off in ((0, -0.01), (1, 0.01)):
        for model, losses in {
            UNTOUCHED: (0.8, 0.8 + risen),
            FORGETTING: (0.7, 0.8),
            CLIPPED: (0.8 + near, 0.9),
            WINDOWED: (0.8, 0.8 + far),
        }.items():
            for at, loss in zip((64, 1024), losses, strict=True):
                points.append({"model": model, "phase": "training", "at": at, "seed": seed, "loss": loss + off})
    assert StateCollapse().judge({"trained": 64, "points": points}) == verdict


def test_remedies_are_as_strong_as_the_training_was_long() -> None:
    torch.manual_seed(0)
    task = Text()
    network = LanguageModel(task.vocabulary, dim=16, memory="retention", depth=1, options={"heads": 2})
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    found = {}
    for line in LINES:
        exam = RemedyExam(64, "training", 32, 64, 4, remedy=line.model, trained=16)
        point = exam.take(network, task)
        assert point["model"] == line.model
        found[line.model] = point["loss"]
    assert len(set(found.values())) == len(LINES)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
