"""Walks through T-mazes, retraced in plain Python by an agent with one bit of memory."""

from __future__ import annotations

import math

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.cognition.t_maze import TMaze

CORRIDOR, UP, DOWN, JUNCTION = range(4)
RIGHT = 0
OPTIONS = [{}, {"noise": 3}, {"every": True}, {"shortest": 2}, {"every": True, "noise": 5, "shortest": 1}]


def draw(length: int, batch: int = 200, seed: int = 0, **options) -> Episode:
    return TMaze(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def walks(episode: Episode) -> list[tuple[list[int], list[int], list[float]]]:
    """(inputs, targets, weights) of every row, up to its end."""
    time = episode.inputs.shape[1]
    ends = [time] * len(episode.inputs) if episode.length is None else episode.length.tolist()
    rows = zip(*(part.tolist() for part in episode[:3]), ends, strict=True)
    return [(x[:end], y[:end], weight[:end]) for x, y, weight, end in rows]


def walk(observations: list[int]) -> list[int]:
    """What an agent does that reads the observations alone."""
    cue, actions = 0, []
    for seen in (each % 4 for each in observations):
        cue = seen if seen in (UP, DOWN) else cue
        actions.append(cue if seen == JUNCTION else RIGHT)
    return actions


@pytest.mark.parametrize("options", OPTIONS)
def test_an_agent_that_holds_the_cue_gets_everything_right(options) -> None:
    task, episode = TMaze(**options), draw(7, **options)
    assert episode.inputs.shape == (200, 8)
    for x, y, weight in walks(episode):
        kinds = [each % 4 for each in x]
        assert kinds[0] in (UP, DOWN)
        assert kinds[1:] == [CORRIDOR] * (len(x) - 2) + [JUNCTION]
        assert options.get("shortest", 7) <= len(x) - 1 <= 7, "steps"
        assert walk(x) == y == [RIGHT] * (len(x) - 1) + [kinds[0]]
        assert weight == ([1.0] * len(x) if options.get("every") else [0.0] * (len(x) - 1) + [1.0])
        assert max(x) < task.vocabulary == 4 * options.get("noise", 1)
    assert episode.weight.sum() == sum(sum(weight) for _, _, weight in walks(episode)), (
        "nothing is asked behind the end"
    )


def test_cues_corridors_and_looks_are_uniform() -> None:
    episode = draw(6, batch=30_000, noise=3, shortest=3)
    assert episode.length is not None
    assert torch.allclose((episode.length - 1).bincount() / 30_000, torch.tensor([0, 0, 0, *[0.25] * 4]), atol=0.01)
    for at in range(4):
        looks = (episode.inputs[:, at] // 4).bincount(minlength=3) / 30_000
        assert torch.allclose(looks, torch.full((3,), 1 / 3), atol=0.01)
    cue = episode.inputs[:, 0] % 4
    for look in range(3):
        assert float((cue[episode.inputs[:, 1] // 4 == look] == UP).float().mean()) == pytest.approx(0.5, abs=0.015)
    assert float((cue == UP).float().mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("options", OPTIONS)
def test_chance_is_what_a_blind_guess_scores(options) -> None:
    """Whoever sees what stands before them, and not what stood before that."""
    task, episode = TMaze(**options), draw(9, batch=8000, **options)
    seen, asked = episode.inputs % 4, episode.weight > 0
    turns = episode.targets[asked & (seen == JUNCTION)]
    assert float((turns == UP).float().mean()) == pytest.approx(task.chance, abs=0.02)
    probability = task.blind(episode).exp2()
    for kind, action, share in ((JUNCTION, UP, 0.5), (JUNCTION, DOWN, 0.5), (CORRIDOR, RIGHT, 1), (UP, RIGHT, 1)):
        here = asked & (seen == kind)
        if here.any():
            assert float((episode.targets[here] == action).float().mean()) == pytest.approx(share, abs=0.02)
            assert probability[here & (episode.targets == action)].unique().tolist() == [share]
    if not options.get("every"):
        assert task.blind(episode)[asked].unique().tolist() == [math.log2(task.chance)]


def test_how_far_the_cue_lies() -> None:
    task, episode = TMaze(every=True, shortest=1), draw(9, every=True, shortest=1)
    distance = task.distance(episode)
    assert episode.length is not None
    for row, (x, _, _) in enumerate(walks(episode)):
        assert distance[row, : len(x)].tolist() == [0] * (len(x) - 1) + [len(x) - 1]
    assert (TMaze().items(5), task.items(5)) == (1, None)


def test_a_long_corridor() -> None:
    (x, y, weight), *_ = walks(draw(1000, batch=2, noise=3))
    assert (len(x), sum(weight), y[-1]) == (1001, 1, x[0] % 4)


def test_it_is_reproducible() -> None:
    options = {"noise": 3, "shortest": 2}
    first, again, other = (draw(20, seed=seed, **options) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "batch = 200, length = 0: both count something; give 1 or more"),
        (5, {"batch": 0}, "batch = 0, length = 5: both count something"),
        (5, {"shortest": 6}, "length = 5: the shortest corridor has 6 steps; give as many or more"),
        (5, {"shortest": 0}, "shortest=0 is not a whole number of at least 1"),
        (5, {"noise": 0}, "noise=0 is not a whole number of at least 1"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
