"""Products in groups: their tables, products so far, and what inputs may be."""

from __future__ import annotations

import pytest
import torch

from mnesis.tasks.algorithms.state_tracking import StateTracking

GROUPS = [("cyclic", 2, 2), ("cyclic", 5, 5), ("dihedral", 4, 8), ("symmetric", 3, 6), ("symmetric", 5, 120)]
GROUPS += [("alternating", 3, 3), ("alternating", 5, 60), ("symmetric", 2, 2)]


@pytest.mark.parametrize(("group", "order", "size"), GROUPS)
def test_it_is_a_group(group, order, size) -> None:
    task = StateTracking(group, order=order)
    table, every = task.table, torch.arange(size)
    assert table.shape == (size, size)
    assert task.chance == 1 / size
    assert torch.equal(table[0], every)
    assert torch.equal(table[:, 0], every)
    assert all(torch.equal(row.sort().values, every) for row in (*table, *table.T))
    left, right = table[table], table[every[:, None, None], table]  # (a b) c and a (b c)
    assert torch.equal(left, right)
    commutes = torch.equal(table, table.T)
    assert commutes is (group == "cyclic" or size < 4)


def test_sums_modulo_five() -> None:
    task = StateTracking("cyclic", order=5)
    example = torch.tensor([[3, 4, 0, 1, 4]])
    assert task.products(example).tolist() == [[3, 2, 2, 3, 2]]
    episode = task.episodes(20, 30, torch.Generator().manual_seed(0))
    assert torch.equal(episode.targets, episode.inputs.cumsum(1) % 5)


@pytest.mark.parametrize("length", [1, 2, 63, 100])
def test_products_are_those_of_one_after_the_other(length) -> None:
    task = StateTracking("symmetric", order=4)
    episode = task.episodes(7, length, torch.Generator().manual_seed(0))
    for word, answers in zip(episode.inputs.tolist(), episode.targets.tolist(), strict=True):
        product = 0
        for element, answer in zip(word, answers, strict=True):
            product = int(task.table[product, element])
            assert product == answer


def test_generators_reach_everything() -> None:
    task = StateTracking("symmetric", order=4, generators_only=True, every=False)
    episode = task.episodes(2000, 40, torch.Generator().manual_seed(0))
    assert len(episode.inputs.unique()) == 3
    assert len(episode.targets[:, -1].unique()) == 24
    assert episode.weight.sum(0).tolist() == [0.0] * 39 + [2000.0]


@pytest.mark.parametrize(
    ("group", "order", "message"),
    [
        ("cyclic", 1, "order = 1: a cyclic group needs 2 points or more"),
        ("symmetric", 8, "order = 8 makes more than 5,040 elements"),
        ("quaternion", 8, "there is no group 'quaternion'; choose one of cyclic"),
    ],
)
def test_bad_groups(group, order, message) -> None:
    with pytest.raises(ValueError, match=message):
        StateTracking(group, order=order)
    with pytest.raises(ValueError, match="both count something"):
        StateTracking().episodes(1, 0, torch.Generator())
