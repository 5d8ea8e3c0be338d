"""Two sets with one member in common: what a reader with a set finds, orders, and that nothing else tells."""

from __future__ import annotations

import pytest
import torch

from mnesis.tasks.recall.set_disjointness import ASK, FIRST, MARKS, SECOND, SetDisjointness


def draw(length: int, batch: int = 200, seed: int = 0, **options):
    return SetDisjointness(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("order", ["small first", "large first", "either"])
def test_the_answer_is_what_both_sets_hold(order, twice) -> None:
    episode = draw(9, vocabulary=40, small=3, order=order, twice=twice)
    sizes = set()
    for x, y, weight in zip(*(part.tolist() for part in episode[:3]), strict=True):
        assert x[-1] == ASK
        assert weight == [0.0] * (len(x) - 1) + [1.0]
        sets = x[:-1]
        if twice:
            assert sets[: len(sets) // 2] == sets[len(sets) // 2 :]
            sets = sets[: len(sets) // 2]
        assert sets[0] == FIRST
        at = sets.index(SECOND)
        first, second = set(sets[1:at]), set(sets[at + 1 :])
        assert len(sets) == len(first) + len(second) + 2
        assert min(first | second) >= MARKS
        assert first & second == {y[-1]}
        sizes.add((len(first), len(second)))
    expected = {"small first": {(3, 9)}, "large first": {(9, 3)}, "either": {(3, 9), (9, 3)}}
    assert sizes == expected[order]


def test_neither_symbols_nor_places_give_it_away() -> None:
    """It is uniform over symbols, and stands anywhere in either set."""
    episode = draw(4, batch=40_000, vocabulary=14, small=2, order="small first")
    answer = episode.targets[:, -1]
    share = torch.bincount(answer - MARKS, minlength=10) / 40_000
    assert torch.allclose(share, torch.full((10,), 0.1), atol=0.01)
    for start, size in ((1, 2), (4, 4)):
        place = (episode.inputs[:, start : start + size] == answer[:, None]).double().mean(0)
        assert torch.allclose(place, torch.full((size,), 1 / size, dtype=torch.double), atol=0.015)


def test_it_is_reproducible() -> None:
    a, b = (draw(16, seed=3) for _ in range(2))
    assert torch.equal(a.inputs, b.inputs)
    assert not torch.equal(a.inputs, draw(16, seed=4).inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (3, {"small": 4}, "length = 3: give 1 or more pairs, and a large set of 4 to 2041 members"),
        (18, {"vocabulary": 24, "small": 4}, "a large set of 4 to 17 members; raise the vocabulary"),
        (4, {"vocabulary": 4}, "small = 4, vocabulary = 4: give a small set of 1 or more members"),
        (4, {"order": "small"}, "there is no order 'small'; choose one of small first"),
    ],
)
def test_bad_numbers(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
