from __future__ import annotations

import pytest
import torch

from mnesis.tasks.copying.selective_copy import SelectiveCopy


def draw(length: int, batch: int = 200, seed: int = 0, **options):
    return SelectiveCopy(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("length", "options"), [(1, {}), (5, {}), (5, {"units": 5}), (5, {"units": 64})])
def test_symbols_are_asked_in_their_order(length, options) -> None:
    task, episode = SelectiveCopy(symbols=7, **options), draw(length, symbols=7, **options)
    units, distance = options.get("units", 4 * length), task.distance(episode)
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        held = [place for place in range(units) if x[place]]
        assert len(held) == length
        assert all(1 <= x[place] <= 7 for place in held)
        assert x[units:] == [8] * length
        assert y[units:] == [x[place] for place in held]
        assert weight == [0] * units + [1] * length
        assert distance[row, units:].tolist() == [units + i - place for i, place in enumerate(held)]
    assert task.items(length) == length


def test_places_and_symbols_are_uniform() -> None:
    episode = draw(2, batch=40_000, symbols=4)
    held = (episode.inputs[:, :8] > 0).float().mean(0)
    torch.testing.assert_close(held, torch.full((8,), 0.25), atol=0.01, rtol=0)
    assert torch.allclose(torch.bincount(episode.targets[:, -1]) / 40_000, torch.tensor([0, *[0.25] * 4]), atol=0.01)


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(20, seed=3).inputs, draw(20, seed=3).inputs)
    assert not torch.equal(draw(20, seed=3).inputs, draw(20, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="batch = 3, length = 0: both count something"):
        draw(0, batch=3)
    with pytest.raises(ValueError, match="9 symbols do not fit into 8 units; raise units"):
        draw(9, units=8)
    with pytest.raises(ValueError, match="symbols=1 is not a whole number of at least 2"):
        SelectiveCopy(symbols=1)
