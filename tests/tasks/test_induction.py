from __future__ import annotations

import pytest
import torch

from mnesis.tasks.recall.induction import Induction


def draw(length: int, batch: int = 200, seed: int = 0, **options):
    return Induction(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [3, 4, 40])
def test_the_answer_followed_the_first_mark(length) -> None:
    task, episode = Induction(symbols=5), draw(length, symbols=5)
    distance = task.distance(episode)
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        first, last = (place for place, token in enumerate(x) if token == 5)
        assert last == length - 1
        assert y[-1] == x[first + 1] < 5
        assert weight == [0] * (length - 1) + [1]
        assert int(distance[row, -1]) == last - first - 1


def test_marks_and_answers_are_uniform() -> None:
    episode = draw(6, batch=40_000, symbols=4)
    first = (episode.inputs == 4).int().argmax(1)
    assert torch.allclose(torch.bincount(first) / 40_000, torch.full((4,), 0.25), atol=0.01)
    assert torch.allclose(torch.bincount(episode.targets[:, -1]) / 40_000, torch.full((4,), 0.25), atol=0.01)


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(20, seed=3).inputs, draw(20, seed=3).inputs)
    assert not torch.equal(draw(20, seed=3).inputs, draw(20, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="batch = 0, length = 9: give 1 row or more, and 3 units or more"):
        draw(9, batch=0)
    with pytest.raises(ValueError, match="length = 2: give"):
        draw(2)
    with pytest.raises(ValueError, match="symbols=1 is not a whole number of at least 2"):
        Induction(symbols=1)
