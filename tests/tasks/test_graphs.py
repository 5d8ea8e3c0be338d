"""Graphs are judged by union-find, and symbols are counted, in plain Python."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from mnesis.core.task import Episode, Task
from mnesis.tasks.algorithms.graphs import Connected, Counting, Index, IsTree

TASKS = [IsTree(), IsTree("recursive", nodes=9), Connected(), Connected("recursive"), Index(), Counting()]


def draw(task: Task, length: int, batch: int = 300, seed: int = 0) -> Episode:
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def rows(episode: Episode) -> list[tuple[list[int], int]]:
    """(inputs, answer) of every row; the answer stands at the last unit, and it alone is asked."""
    assert episode.weight.sum(0).tolist() == [0] * (episode.weight.shape[1] - 1) + [len(episode.weight)]
    return list(zip(episode.inputs.tolist(), episode.targets[:, -1].tolist(), strict=True))


def edges(tokens: list[int], nodes: int) -> list[tuple[int, int]]:
    assert set(tokens[1::3]) == {nodes}
    assert max(tokens[::3] + tokens[2::3]) < nodes
    found = list(zip(tokens[::3], tokens[2::3], strict=True))
    assert len({frozenset(edge) for edge in found}) == len(found), "no edge comes twice"
    assert all(u != v for u, v in found)
    return found


def components(found: list[tuple[int, int]], nodes: int) -> tuple[list[int], bool]:
    """The component of every node, and whether an edge closed a ring."""
    leader, ring = list(range(nodes)), False

    def lead(node: int) -> int:
        while leader[node] != node:
            node = leader[node]
        return node

    for u, v in found:
        ring |= lead(u) == lead(v)
        leader[lead(u)] = lead(v)
    return [lead(node) for node in range(nodes)], ring


@pytest.mark.parametrize("kind", ["stars", "recursive"])
@pytest.mark.parametrize("length", [5, 12, 20])
def test_trees_are_told_by_union_find(kind, length) -> None:
    for x, answer in rows(draw(IsTree(kind, nodes=20), length)):
        assert x[-1] == 21
        found = edges(x[:-1], 20)
        assert len(found) == length - 1
        named = {node for edge in found for node in edge}
        leader, ring = components(found, 20)
        assert answer == (not ring)
        parts = len({leader[node] for node in named}) + length - len(named)
        assert parts == (1 if answer else 2)
        if kind == "stars":
            degree = Counter(node for edge in found for node in edge)
            assert sum(sorted(degree.values())[-2:]) >= length - 2
            assert sorted(degree.values())[-3:-2] in ([1], [2])


@pytest.mark.parametrize("kind", ["stars", "recursive"])
@pytest.mark.parametrize("length", [5, 12, 20])
def test_paths_are_told_by_union_find(kind, length) -> None:
    for x, answer in rows(draw(Connected(kind, nodes=20), length)):
        assert x[-3] == 21
        u, v = x[-2:]
        found = edges(x[:-3], 20)
        leader, ring = components(found, 20)
        assert len(found) == length - 2
        assert not ring
        assert u != v
        assert {u, v} not in [set(edge) for edge in found]
        assert answer == (leader[u] == leader[v])


def test_recursive_trees_hang_on_any_earlier_node() -> None:
    """Of two trees that grow so, the first has 1, 2, ... nodes with the same probability."""
    sizes = Counter()
    for x, _ in rows(draw(Connected("recursive", nodes=6), 6, batch=6000)):
        leader, _ = components(edges(x[:-3], 6), 6)
        sizes[min(Counter(leader).values())] += 1
    assert [sizes[size] / 6000 for size in (1, 2, 3)] == pytest.approx([0.4, 0.4, 0.2], abs=0.02)


def test_names_and_ends_are_random() -> None:
    episode = draw(IsTree(nodes=10), 6, batch=10_000)
    for place in (0, 2, 12, 14):
        share = episode.inputs[:, place].bincount(minlength=10) / 10_000
        assert torch.allclose(share, torch.full((10,), 0.1), atol=0.015)
    hubs = Counter()
    for x, _ in rows(draw(Connected(nodes=12), 12)):
        found = edges(x[:-3], 12)
        degree = Counter(node for edge in found for node in edge)
        hubs.update(degree[u] > degree[v] for u, v in found if degree[u] != degree[v])
    assert hubs[True] / hubs.total() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_index(length) -> None:
    task = Index(symbols=5, most=30)
    episode = draw(task, length)
    distance, places = task.distance(episode), set()
    for row, (x, answer) in enumerate(rows(episode)):
        place = x[-1] - 5
        places.add(place)
        assert answer == x[:-1][place] < 5
        assert int(distance[row, -1]) == length - place
    assert places == set(range(length))
    assert task.items(length) == length


@pytest.mark.parametrize("length", [1, 2, 30])
def test_counting(length) -> None:
    numbers = set()
    for x, answer in rows(draw(Counting(symbols=4, most=30), length, batch=1000)):
        *symbols, ask, symbol, number = x
        assert len(symbols) == length
        assert ask == 4
        assert max(symbol, *symbols) < 4
        assert answer == (symbols.count(symbol) >= number - 4)
        numbers.add(number - 4)
    assert numbers == set(range(1, length + 1))


def test_a_question_of_how_often_tells_nothing() -> None:
    episode = draw(Counting(symbols=3, most=6), 6, batch=24_000)
    answers = episode.targets[:, -1].float()
    for number in range(1, 7):
        for symbol in range(3):
            here = (episode.inputs[:, -1] == 3 + number) & (episode.inputs[:, -2] == symbol)
            assert float(here.float().mean()) == pytest.approx(1 / 18, abs=0.01)
            assert float(answers[here].mean()) == pytest.approx(0.5, abs=0.06)
    counts = (episode.inputs[:, :6] == episode.inputs[:, -2:-1]).sum(1)
    here = episode.inputs[:, -1] == 3 + 4
    share = counts[here].bincount(minlength=7) / int(here.sum())
    assert share.tolist() == pytest.approx([0] + [1 / 6] * 6, abs=0.03), "4, and up to 2 more or 3 fewer"
    first = (episode.inputs[:, :6] == episode.inputs[:, -2:-1]).float().mean(0)
    assert torch.allclose(first, first.mean().expand(6), atol=0.015), "the symbol stands anywhere"


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_balanced_and_reproducible(task) -> None:
    episode, same, other = (draw(task, 8, batch=6000, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(episode.inputs, same.inputs)
    assert torch.equal(episode.targets, same.targets)
    assert not torch.equal(episode.inputs, other.inputs)
    assert int(episode.inputs.max()) < task.vocabulary
    share = episode.targets[:, -1].bincount() / 6000
    assert torch.allclose(share, torch.full_like(share, task.chance), atol=0.03)
    assert len(share) == round(1 / task.chance)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IsTree("ring"), "there is no kind 'ring' of graph; choose one of stars, recursive"),
        (lambda: Connected(nodes=4), "Connected: nodes=4 is not a whole number of at least 5"),
        (lambda: draw(IsTree(nodes=8), 9), "batch = 300, length = 9: give 1 row or more, and 5 to 8 nodes"),
        (lambda: draw(Connected(), 8, batch=0), "batch = 0, length = 8: give 1 row or more, and 5 to 32 nodes"),
        (lambda: Index(symbols=1), "symbols=1 is not a whole number of at least 2"),
        (lambda: draw(Index(most=3), 4), "batch = 300, length = 4: give 1 row or more, and 1 to 3 symbols"),
        (lambda: Counting(most=0), "most=0 is not a whole number of at least 1"),
        (lambda: draw(Counting(), 0), "batch = 300, length = 0: give 1 row or more, and 1 to 64 symbols"),
    ],
)
def test_bad_input(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
