from __future__ import annotations

from typing import Any

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.recall.hidden_fact import HiddenFact


def drawn(task: Any, rows: int, length: int, seed: int = 0) -> Episode:
    return task.episodes(rows, length, torch.Generator().manual_seed(seed))


def test_a_fact_hides_once_and_is_asked_for_at_the_end() -> None:
    task = HiddenFact(segment=7, fillers=5, choices=3)
    episode = drawn(task, 400, 4)
    assert episode.inputs.shape == (400, 28)
    assert (episode.weight.sum(1) == 1).all()
    assert (episode.weight[:, -1] == 1).all()
    assert (episode.inputs[:, -1] == task.question).all()
    marks = episode.inputs == task.mark
    assert (marks.sum(1) == 1).all()
    place = marks.long().argmax(1)
    rows = torch.arange(400)
    assert torch.equal(episode.inputs[rows, place + 1], episode.targets[:, -1])
    assert ((episode.inputs >= task.first).sum(1) == 1).all()
    assert ((episode.inputs < task.fillers).sum(1) == 28 - 3).all()
    assert (task.distance(episode)[:, -1] == 28 - 1 - (place + 1)).all()
    assert set((place // 7).tolist()) == {0, 1, 2, 3}
    assert set((place % 7).tolist()) == {0, 1, 2, 3, 4}, "inside its segment, before the question"


def test_facts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="fillers=0 is not a whole number of at least 1"):
        HiddenFact(fillers=0)
    for options in ({"segment": 2}, {"choices": 1}):
        with pytest.raises(ValueError, match="give 3, 1 and 2 or more"):
            HiddenFact(**options)
    with pytest.raises(ValueError, match="give 1 or more"):
        drawn(HiddenFact(), 2, 0)


def test_it_is_reproducible() -> None:
    assert torch.equal(drawn(HiddenFact(), 3, 4, seed=3).inputs, drawn(HiddenFact(), 3, 4, seed=3).inputs)
    assert not torch.equal(drawn(HiddenFact(), 3, 4, seed=3).inputs, drawn(HiddenFact(), 3, 4, seed=4).inputs)
