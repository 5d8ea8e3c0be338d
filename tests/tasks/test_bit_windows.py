from __future__ import annotations

import math

import pytest
import torch

from mnesis.tasks.algorithms.bit_windows import DelayedMatch, Parity

TASKS = {"parity": Parity, "delayed match": DelayedMatch}


def draw(task, length: int, batch: int = 200, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("every", [False, True], ids=["one", "every"])
@pytest.mark.parametrize("length", [2, 3, 9])
@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS.keys())
def test_labels(kind, length, every) -> None:
    seen = set()
    for seed in range(8):
        episode = draw(kind(every=every), length, batch=20, seed=seed)
        asked = length - 1 if every else 1
        units = episode.inputs.shape[1] - asked
        assert length + 2 <= units <= 4 * length + 1
        seen.add(units)
        for x, y, weight in zip(*(part.tolist() for part in episode[:3]), strict=True):
            bits = x[:units]
            assert set(bits) <= {0, 1}
            assert sorted(x[units:]) == (list(range(2, length + 1)) if every else [length])
            for place in range(units, len(x)):
                window = bits[-x[place] :]
                right = sum(window) % 2 if kind is Parity else int(window[0] == window[-1])
                assert y[place] == right
            assert weight == [0] * units + [1] * asked
    assert len(seen) > 1, "lengths differ between calls"


def test_questions_come_in_any_order() -> None:
    asked = draw(Parity(every=True), 5, batch=24_000).inputs[:, -4:]
    for place in range(4):
        shares = torch.bincount(asked[:, place], minlength=6)[2:] / 24_000
        assert torch.allclose(shares, torch.full((4,), 0.25), atol=0.015)


@pytest.mark.parametrize("length", [2, 3, 4])
def test_uneven_bits_are_as_likely_as_said(length) -> None:
    task = Parity(balanced=False)
    episode = draw(task, length, batch=60_000)
    even = float((episode.targets[:, -1] == 0).float().mean())
    expected = 0.5 + (1 / (2 * length + 2) if length % 2 == 0 else 0)
    assert even == pytest.approx(expected, abs=0.01)
    told = task.blind(episode)[:, -1].exp2()
    for label, share in ((0, expected), (1, 1 - expected)):
        assert float(told[episode.targets[:, -1] == label][0]) == pytest.approx(share)
    assert math.isclose(float(episode.inputs[:, :-1].float().mean()), 0.5, abs_tol=0.01)


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS.keys())
def test_balanced_bits_are_a_toss(kind) -> None:
    task = kind()
    episode = draw(task, 4, batch=40_000)
    assert float(episode.targets[:, -1].float().mean()) == pytest.approx(0.5, abs=0.01)
    assert torch.all(task.blind(episode)[:, -1] == -1)


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(Parity(), 9, seed=3).inputs, draw(Parity(), 9, seed=3).inputs)
    assert not torch.equal(draw(Parity(), 9, seed=3).inputs[:, :9], draw(Parity(), 9, seed=4).inputs[:, :9])


@pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS.keys())
def test_bad_input(kind) -> None:
    with pytest.raises(ValueError, match="most = 1: the shortest window has 2 bits"):
        kind(most=1)
    for batch, length in ((0, 5), (3, 1), (3, 9)):
        with pytest.raises(ValueError, match=f"batch = {batch}, length = {length}: .* 2 to most = 8 bits"):
            draw(kind(most=8), length, batch)
