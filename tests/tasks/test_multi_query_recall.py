from __future__ import annotations

import pytest
import torch

from mnesis.tasks.recall.multi_query_recall import MultiQueryRecall


def draw(length: int, batch: int = 50, seed: int = 0, **options):
    return MultiQueryRecall(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", [{}, {"units": 64}, {"random_fillers": False}, {"power": 1.0, "units": 101}])
def test_every_key_is_asked_once(options) -> None:
    """Answered by a dictionary that reads along."""
    episode = draw(12, vocabulary=64, **options)
    assert episode.inputs.shape == (50, options.get("units", 48))
    for x, y, weight in zip(*(part.tolist() for part in episode[:3]), strict=True):
        held = dict(zip(x[:24:2], x[1:24:2], strict=True))
        assert len(held) == len(set(held.values())) == 12
        assert all(1 <= key < 32 <= value < 64 for key, value in held.items())
        asked = [place for place, each in enumerate(weight) if each]
        assert sorted(x[place] for place in asked) == sorted(held)
        assert all(y[place] == held[x[place]] for place in asked)
        assert all(place >= 24 and place % 2 == 0 for place in asked)
        if options.get("random_fillers") is False:
            assert not any(x[place] for place in range(24, len(x)) if place not in asked)


def test_places_follow_the_power_law() -> None:
    """With one pair the law can be counted."""
    for power in (0.01, 1.0):
        episode = draw(1, batch=200_000, vocabulary=4, units=10, power=power)
        place = (episode.weight.argmax(1) - 2) // 2
        found = torch.bincount(place, minlength=4) / len(place)
        expected = torch.arange(1, 5.0) ** (power - 1)
        assert torch.allclose(found, expected / expected.sum(), atol=0.005)


def test_keys_and_values_are_uniform() -> None:
    episode = draw(2, batch=50_000, vocabulary=12)
    for at, low, count in ((0, 1, 5), (2, 1, 5), (1, 6, 6), (3, 6, 6)):
        share = torch.bincount(episode.inputs[:, at] - low, minlength=count) / 50_000
        assert torch.allclose(share, torch.full((count,), 1 / count), atol=0.01)


def test_it_is_reproducible() -> None:
    a, b = (draw(64, batch=64, seed=3) for _ in range(2))
    assert torch.equal(a.inputs, b.inputs)
    assert torch.equal(a.targets, b.targets)
    assert not torch.equal(a.inputs, draw(64, batch=64, seed=4).inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "both count something"),
        (31, {"vocabulary": 62}, "a vocabulary of 62 has 30; raise it"),
        (9, {"units": 35}, "9 pairs and their queries need 36 units, not 35"),
        (1, {"vocabulary": 3}, "vocabulary = 3 has no two values"),
        (1, {"power": 0.0}, "power = 0.0: places need weights above 0"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
