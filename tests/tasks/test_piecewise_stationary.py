from __future__ import annotations

import itertools
import math

import pytest
import torch

from mnesis.tasks.signals.piecewise_stationary import START, PiecewiseStationary, ptw_log_loss


def draw(length: int, batch: int = 200, seed: int = 0):
    return PiecewiseStationary().episodes(batch, length, torch.Generator().manual_seed(seed))


def partitions(start: int, end: int) -> list[tuple[float, list[tuple[int, int]]]]:
    """All partitions of a block of 2^d places, with their weights in the prior."""
    if end - start == 1:
        return [(1.0, [(start, end)])]
    middle = (start + end) // 2
    halves = itertools.product(partitions(start, middle), partitions(middle, end))
    return [(0.5, [(start, end)])] + [(0.5 * a * b, left + right) for (a, left), (b, right) in halves]


def kt(bits: list[int]) -> float:
    """One bit after the other, as the estimator says it."""
    probability, counts = 1.0, [0, 0]
    for bit in bits:
        probability *= (counts[bit] + 0.5) / (sum(counts) + 1)
        counts[bit] += 1
    return probability


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_ptw_mixes_all_partitions(length) -> None:
    size = 1 << (length - 1).bit_length()
    bits = torch.randint(2, (20, length), generator=torch.Generator().manual_seed(0))
    for row, loss in zip(bits.tolist(), ptw_log_loss(bits).tolist(), strict=True):
        mixture = sum(weight * math.prod(kt(row[a:b]) for a, b in blocks) for weight, blocks in partitions(0, size))
        assert loss == pytest.approx(-math.log2(mixture) / length, abs=1e-12)


def test_ptw_is_a_distribution() -> None:
    every = torch.tensor(list(itertools.product((0, 1), repeat=7)))
    assert float((-7 * ptw_log_loss(every)).exp2().sum()) == pytest.approx(1, abs=1e-12)


def test_draws_are_as_likely_as_ptw_says() -> None:
    """Of four bits: the source and the predictor are the same mixture."""
    bits = draw(4, batch=200_000).targets
    code = (bits * torch.tensor([8, 4, 2, 1])).sum(1)
    found = torch.bincount(code, minlength=16) / len(code)
    every = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    assert torch.allclose(found, (-4 * ptw_log_loss(every)).exp2().float(), atol=0.004)


def test_no_single_coin_predicts_it_as_well() -> None:
    """On 10,000 sequences PTW loses less than one KT estimator, which loses less than a toss."""
    bits = draw(64, batch=10_000).targets
    loss = ptw_log_loss(bits)
    ones = bits.sum(1).double()
    alone = -(torch.lgamma(ones + 0.5) + torch.lgamma(64 - ones + 0.5) - math.log(math.pi) - math.lgamma(65)) / (
        64 * math.log(2)
    )
    error = float((alone - loss).std()) / 100
    assert float((alone - loss).mean()) > 10 * error
    assert float(loss.mean()) < 0.85


def test_the_next_bit_is_asked() -> None:
    episode = draw(9)
    assert torch.all(episode.inputs[:, 0] == START)
    assert torch.equal(episode.inputs[:, 1:], episode.targets[:, :-1])
    assert torch.all(episode.weight == 1)


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(20, seed=3).inputs, draw(20, seed=3).inputs)
    assert not torch.equal(draw(20, seed=3).inputs, draw(20, seed=4).inputs)


@pytest.mark.parametrize(("batch", "length"), [(0, 5), (3, 0)])
def test_bad_input(batch, length) -> None:
    with pytest.raises(ValueError, match=f"batch = {batch}, length = {length}: both count something"):
        draw(length, batch)
