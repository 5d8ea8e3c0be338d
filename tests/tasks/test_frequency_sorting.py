from __future__ import annotations

from collections import Counter

import pytest
import torch

from mnesis.tasks.algorithms.frequency_sorting import HEAVIEST, FrequencySorting


def draw(length: int, batch: int = 50, seed: int = 0, **options):
    return FrequencySorting(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def sorted_by_frequency(sequence: list[int], symbols: int) -> list[int]:
    """As the authors' code sorts: by a counter, which keeps ties in the order in which they came, then the rest."""
    came = [symbol for symbol, _ in Counter(sequence).most_common()]
    return came + [symbol for symbol in range(symbols) if symbol not in came]


@pytest.mark.parametrize(("symbols", "length"), [(2, 1), (4, 7), (8, 64), (20, 16), (20, 700)])
def test_a_counter_that_reads_the_inputs_says_all_answers(symbols, length) -> None:
    episode = draw(length, symbols=symbols)
    assert episode.inputs.shape == (50, length + symbols)
    for x, y, weight in zip(*(part.tolist() for part in episode[:3]), strict=True):
        sequence, mark, said = x[:length], x[length], x[length + 1 :]
        assert mark == symbols
        assert all(0 <= symbol < symbols for symbol in sequence)
        right = sorted_by_frequency(sequence, symbols)
        assert y[length:] == right
        assert said == right[:-1], "answers are read after they were asked for"
        assert weight == [0] * length + [1] * symbols


def test_ties_and_symbols_that_never_came_are_met() -> None:
    """The rules for both are tested above only where they decide."""
    counts = [Counter(row) for row in draw(16).inputs[:, :16].tolist()]
    assert all(len(count) < 20 for count in counts)
    assert all(len(set(count.values())) < len(count) for count in counts)


def test_the_start_is_drawn_from_one_distribution_and_the_end_from_another() -> None:
    """Shares of the symbols of one sequence, over its quarters, go from the first to the last in even steps."""
    sequence = draw(200_000, batch=6, symbols=5).inputs[:, :200_000]
    shares = torch.stack([torch.nn.functional.one_hot(row.view(4, -1), 5).float().mean(1) for row in sequence])
    steps = shares.diff(dim=1)
    assert (steps - steps.mean(1, keepdim=True)).abs().max() < 0.01
    assert steps.abs().amax((1, 2)).min() > 0.02, "they change"
    ends = torch.stack([shares[:, 0] - steps.mean(1) / 2, shares[:, -1] + steps.mean(1) / 2], 1)
    weights = torch.arange(1, HEAVIEST + 1)
    possible = weights / torch.arange(1 + 4, 5 * HEAVIEST + 1)[:, None]  # whole weights among those of any total
    assert (ends[..., None, None] - possible).abs().amin((3, 4)).max() < 0.01
    assert (ends.amax(2) / ends.amin(2)).max() < HEAVIEST + 1
    assert torch.allclose(ends.sum(2), torch.ones(6, 2), atol=0.01)


def test_no_symbol_is_likelier_than_another() -> None:
    share = draw(50, batch=20_000, symbols=5).inputs[:, :50].flatten().bincount(minlength=5) / 1e6
    assert torch.allclose(share, torch.full((5,), 0.2), atol=0.005)


@pytest.mark.parametrize("symbols", [3, 8])
def test_what_blind_guesses_score(symbols) -> None:
    """One symbol always is right by chance; one among those not yet said as often as ``blind`` and the text say."""
    task, episode = FrequencySorting(symbols=symbols), draw(100, batch=20_000, symbols=symbols)
    order = episode.targets[:, -symbols:]
    for symbol in range(symbols):
        assert float((order == symbol).float().mean()) == pytest.approx(task.chance)
    random = torch.rand(order.shape, generator=torch.Generator().manual_seed(1))
    right = []
    for place in range(symbols):
        left = random.scatter(1, order[:, :place], -1)  # what was said is not said again
        right.append((left.argmax(1) == order[:, place]).float().mean())
    told = task.blind(episode)[:, -symbols:].exp2()
    assert torch.allclose(told.mean(0), torch.stack(right), atol=0.015)
    assert float(told.mean()) == pytest.approx(sum(1 / left for left in range(1, symbols + 1)) / symbols)
    assert not task.blind(episode)[:, :-symbols].any()
    assert task.items(100) == symbols


def test_the_end_alone_does_not_sort() -> None:
    """Whoever has only the last quarter is right more often than by chance, and far from always."""
    episode = draw(256, batch=200, symbols=8)
    right = [
        sum(a == b for a, b in zip(sorted_by_frequency(x[192:256], 8), y[256:], strict=True)) / 8
        for x, y in zip(episode.inputs.tolist(), episode.targets.tolist(), strict=True)
    ]
    assert 0.2 < sum(right) / len(right) < 0.5


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(50, seed=3).inputs, draw(50, seed=3).inputs)
    assert not torch.equal(draw(50, seed=3).inputs, draw(50, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="symbols=1 is not a whole number of at least 2"):
        FrequencySorting(symbols=1)
    for batch, length in ((0, 5), (3, 0)):
        with pytest.raises(ValueError, match=f"batch = {batch}, length = {length}: both count something; give 1"):
            draw(length, batch)
