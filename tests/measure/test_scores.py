"""Scores at several lengths: how far a task goes, how much is asked, and what is kept."""

from __future__ import annotations

import pytest
import torch

import mnesis
from mnesis.core.task import Episode, Task
from mnesis.measure.metering.scores import LEAST, MOST, doubles, examine_lengths, read_scores
from mnesis.nets.for_task import network_for


class Cut(Task):
    """Sequences of at most so many units; those asked for beyond a limit are refused."""

    vocabulary, chance = 4, 0.25

    def __init__(self, longest: int = 32, limit: int = 1000) -> None:
        self.longest, self.limit = longest, limit

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        if length > self.limit:
            raise ValueError(f"length = {length} is beyond {self.limit}; give less")
        x = torch.randint(4, (batch, min(length, self.longest)), generator=generator)
        return Episode(x, x, torch.ones(x.shape))


def test_doubles_go_as_far_as_the_task() -> None:
    copy = mnesis.create_task("copy", symbols=4)
    assert doubles(copy, 3, 8) == ([3, 6, 12, 24], "")
    assert doubles(copy, 3, 1) == ([3], "")
    cut = doubles(Cut(), 8, 64)
    assert cut.lengths == [8, 16, 32]
    assert cut.limit == "its sequences get no longer than 32 units"
    refused = doubles(Cut(longest=1 << 20, limit=20), 8, 64)
    assert (refused.lengths, refused.limit) == ([8, 16], "32 is beyond what it draws (length = 32 is beyond 20)")


def test_long_sequences_are_fewer(tmp_path) -> None:
    task = Cut(longest=1 << 20, limit=1 << 20)
    network = network_for(task, "gru", dim=4, depth=1)
    found = examine_lengths(network, task, [4096, 4], folder=tmp_path, progress=False)
    assert [each.score.sequences for each in found] == [MOST, 500_000 // 4096]
    assert [each.score.length for each in found] == [4, 4096]
    identity, kept = read_scores(tmp_path)
    assert kept == found
    assert identity["sequences"] is None
    assert found[1].score.sequences > LEAST


def test_numbers_are_told_as_r2() -> None:
    task = mnesis.create_task("adding")
    network = network_for(task, "gru", dim=4, depth=1)
    (found,) = examine_lengths(network, task, [10], sequences=8, progress=False)
    assert found.score.measure == "R2"
    assert str(found.score).startswith("R2 ")
    assert "a constant answer has 0" in str(found.score)


def test_weights_that_answer_in_no_numbers_are_refused(tmp_path) -> None:
    task = mnesis.create_task("adding")
    network = network_for(task, "gru", dim=4, depth=1)
    with torch.no_grad():
        network.head.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="at length 10 it answers in no finite numbers"):
        examine_lengths(network, task, [10], sequences=8, folder=tmp_path, progress=False)
