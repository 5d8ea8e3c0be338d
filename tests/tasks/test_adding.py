from __future__ import annotations

import pytest
import torch

from mnesis.tasks.algorithms.adding import Adding


def draw(length: int, batch: int = 200, seed: int = 0):
    return Adding().episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [2, 3, 50])
def test_the_marked_numbers_add_up(length) -> None:
    episode = draw(length)
    for x, y, weight in zip(episode.inputs, episode.targets, episode.weight, strict=True):
        marked = [place for place, mark in enumerate(x[:, 1].tolist()) if mark == 1]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert set(x[:, 1].tolist()) == {0.0, 1.0} or length == 2
        assert float(y[-1, 0]) == pytest.approx(sum(float(x[place, 0]) for place in marked))
        assert weight.tolist() == [0] * (length - 1) + [1]


def test_the_mean_errs_by_a_sixth() -> None:
    sums = draw(10, batch=50_000).targets[:, -1, 0]
    assert float(sums.mean()) == pytest.approx(1, abs=0.01)
    assert float(sums.var()) == pytest.approx(1 / 6, abs=0.005)


def test_marks_are_anywhere_in_their_half() -> None:
    places = draw(8, batch=40_000).inputs[..., 1].mean(0)
    torch.testing.assert_close(places, torch.full((8,), 0.25), atol=0.02, rtol=0)


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(20, seed=3).inputs, draw(20, seed=3).inputs)
    assert not torch.equal(draw(20, seed=3).inputs, draw(20, seed=4).inputs)


@pytest.mark.parametrize(("batch", "length"), [(0, 5), (3, 1)])
def test_bad_input(batch, length) -> None:
    with pytest.raises(ValueError, match=rf"batch = {batch}, length = {length}: give 1 row or more, and 2 units"):
        draw(length, batch)
