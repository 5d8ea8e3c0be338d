"""The meter, on a memory that is a dictionary, on one that knows nothing, and on curves drawn by hand."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnesis.core.memory import Memory
from mnesis.core.task import Episode, Task
from mnesis.measure.metering.meter import Score, capacity, crossing, examine, half_life
from mnesis.tasks.copying.copy import Reverse
from mnesis.tasks.language.text import Text
from mnesis.tasks.recall.associative_retrieval import AssociativeRetrieval
from mnesis.tasks.recall.multi_query_recall import MultiQueryRecall


class Pages(NamedTuple):
    following: Tensor
    last: Tensor


class Dictionary(Memory[Pages]):
    """Says what followed a token the last time; ``kept`` units later it is forgotten."""

    def __init__(self, vocabulary: int, sure: float = 50.0) -> None:
        super().__init__()
        self.vocabulary, self.sure = vocabulary, sure
        self.nothing = nn.Parameter(torch.zeros(1))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Pages:
        return Pages(torch.zeros(batch, self.vocabulary, dtype=torch.long), torch.zeros(batch, dtype=torch.long))

    def scan(self, x, state, phase=0):
        following, last, said = state.following.clone(), state.last, []
        for token in x.unbind(1):
            said.append(following.gather(1, token[:, None])[:, 0])
            following.scatter_(1, last[:, None], token[:, None])
            last = token
        return self.sure * F.one_hot(torch.stack(said, 1), self.vocabulary).float(), Pages(following, last.clone())


class Even(Dictionary):
    """Finds all of the upper half of the tokens alike."""

    def scan(self, x, state, phase=0):
        half = torch.zeros(*x.shape, self.vocabulary // 2)
        return torch.cat([half - 99, half], -1), state


def test_a_dictionary_holds_everything() -> None:
    task = MultiQueryRecall(vocabulary=64, random_fillers=False)
    score = examine(Dictionary(64), task, 8, sequences=40, batch=16)
    assert (score.length, score.answers, score.sequences, score.items) == (8, 320, 40, 8)
    assert score.accuracy == 1.0
    assert score.bits == pytest.approx(5, abs=1e-6), "one of 32 values"
    assert score.held == pytest.approx(40, abs=1e-5)
    assert score.control == 0.0, "fresh before a question it says silence"
    assert score.control_bits == pytest.approx(5 - 20), "not less than 2^-20 is ever given to an answer"
    assert score.state_bytes == 8 * 65
    assert score.above_chance == 1.0
    assert 1 / 32 <= score.chance < 0.1
    assert score.accuracy_interval[0] < 1.0 == score.accuracy_interval[1]
    assert [at for at, *_ in score.distances] == sorted(at for at, *_ in score.distances)
    assert sum(count for _, count, _, _ in score.distances) == 320
    assert Score.from_json(json.loads(json.dumps(score.as_json()))) == score


class Values(Dictionary):
    """Says what a key was bound to the first or the last time, in rows of ``key : value ;``."""

    first = False

    def scan(self, x, state, phase=0):
        said = torch.zeros(*x.shape, self.vocabulary)
        for row, tokens in enumerate(x.tolist() if x.shape[1] > 4 else []):
            pairs = list(zip(tokens[:-4:4], tokens[2:-4:4], strict=True))
            said[row, -3, dict(pairs[::-1] if self.first else pairs).get(tokens[-4], 0)] = self.sure
            said[row, -2, tokens[-1]] = self.sure
        return said, state


@pytest.mark.parametrize("first", [False, True])
def test_earlier_bindings_interfere(first) -> None:
    task, network = AssociativeRetrieval("rewrite", symbols=4), Values(103)
    network.first = first
    found = examine(network, task, 5, sequences=200).interference
    assert found is not None
    assert (found.once or 0) >= (0.95 if first else 1), "and so is every end"
    assert found.answers > 50
    assert found.accuracy is not None
    assert found.intrusions is not None
    if first:
        assert found.accuracy < 0.2
        assert found.intrusions > 0.6, "some keys have three values"
    else:
        assert (found.accuracy, found.intrusions) == (1.0, 0.0)
    score = examine(network, AssociativeRetrieval(symbols=4), 4, sequences=20)
    assert score.interference is None


def test_knowing_nothing_is_nought_bits() -> None:
    """An even distribution over the values alone."""
    task = MultiQueryRecall(vocabulary=64)
    network = Dictionary(64, sure=0.0)
    network.scan = lambda x, state, phase=0: (
        torch.cat([torch.full((*x.shape, 32), -99.0), torch.zeros(*x.shape, 32)], -1),
        state,
    )
    score = examine(network, task, 4, sequences=30)
    assert score.bits == pytest.approx(0, abs=1e-5)
    assert abs(score.above_chance or 0) < 0.1


def test_distances_are_those_of_the_pairs() -> None:
    task = MultiQueryRecall(vocabulary=64, units=80)
    episode = task.episodes(20, 10, torch.Generator().manual_seed(0))
    distance = task.distance(episode)
    for row in range(20):
        x = episode.inputs[row].tolist()
        for place in episode.weight[row].nonzero()[:, 0].tolist():
            assert int(distance[row, place]) == place - (x[:20:2].index(x[place]) * 2 + 1)


class Echo(Task):
    """Numbers to be said again with noise that is known: R2 = 1 - noise^2, independent of the scale."""

    vocabulary, features, target_features, chance = 0, 2, 2, 0.0

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        x = torch.randn(batch, length, 2, generator=generator)
        noise = torch.tensor([0.5, 0.25]) * torch.randn(batch, length, 2, generator=generator)
        targets = 7 * ((1 - torch.tensor([0.25, 0.0625])).sqrt() * x + noise) + 3
        return Episode(x, targets, torch.ones(batch, length))


class Passing(Memory[tuple[()]]):
    """The best answer to Echo."""

    dim = 2

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> tuple[()]:
        return ()

    def scan(self, x, state, phase=0):
        return 7 * (1 - torch.tensor([0.25, 0.0625])).sqrt() * x + 3, state


def test_numbers() -> None:
    score = examine(Passing(), Echo(), 50, sequences=400)
    assert score.accuracy == pytest.approx(1 - (0.25 + 0.0625) / 2, abs=0.005)
    assert score.bits == pytest.approx(1 + 2, abs=0.03), "-log2 of 0.5 and of 0.25"
    assert score.accuracy_interval[0] < score.accuracy < score.accuracy_interval[1]
    assert score.bits_interval is not None
    assert score.bits_interval[0] < 3 < score.bits_interval[1]
    assert (score.items, score.held, score.distances, score.chance) == (None, None, (), 0.0)
    with pytest.raises(ValueError, match="no distances"):
        half_life(score)
    with pytest.raises(ValueError, match="no number of items"):
        capacity([score])


def test_crossings() -> None:
    assert crossing([1, 10, 100], [1.0, 0.75, 0.25], 0.5).at == pytest.approx(10**1.5)
    assert crossing([1, 10], [1.0, 0.6], 0.5) == (None, 10)
    assert crossing([2, 10], [0.4, 0.6], 0.5) == (None, 0.0)
    for places, values in (([], []), ([1, 1], [0.0, 0.0]), ([1, 2], [0.0])):
        with pytest.raises(ValueError, match="give rising places and a value for each"):
            crossing(places, values, 0.5)


def drawn(items: int, accuracy: float, bits: float, **more) -> Score:
    return Score(
        length=items,
        answers=100,
        sequences=10,
        accuracy=accuracy,
        accuracy_interval=(accuracy - 0.1, accuracy + 0.1),
        bits=bits,
        bits_interval=None,
        control=0.0,
        control_bits=0.0,
        chance=0.0,
        above_chance=accuracy,
        state_bytes=1000,
        items=items,
        held=items * bits,
        **more,
    )


def test_capacity() -> None:
    """Held bits rise, and fall again once more items are stored than fit."""
    found = capacity([drawn(64, 0.25, 1.0), drawn(4, 1.0, 6.0), drawn(16, 0.75, 5.0)])
    assert found.items == (4, 16, 64)
    assert (found.held, found.held_items) == (80.0, 16)
    assert found.bits_per_byte == pytest.approx(0.08)
    assert found.half.at == pytest.approx(32)
    low, high = found.half_interval
    assert low.at is not None
    assert high.at is not None
    assert low.at < 32 < high.at


def test_half_life() -> None:
    bands = (1, 30, 1.0, 4.0), (4, 40, 0.9, 3.0), (8, 29, 0.0, 0.0), (16, 30, 0.2, 1.0)
    score = drawn(4, 1.0, 4.0, distances=bands)
    assert half_life(score).at == pytest.approx(math.sqrt(4 * 16)), "29 answers say nothing"
    assert half_life(score, answers=29).at < 8
    assert half_life(drawn(4, 1.0, 4.0, distances=((1, 30, 1.0, 4.0), (8, 30, 1.0, 4.0)))) == (None, 8)
    with pytest.raises(ValueError, match="no distance has 41 answers; examine more sequences"):
        half_life(score, answers=41)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="sequences=0, batch=64: give 1 or more of both"):
        examine(Passing(), Echo(), 5, sequences=0)


def test_blind_guesses_are_probabilities() -> None:
    """What somebody knows who has not read the stream, where answers are not uniform over one set."""
    retrieval = AssociativeRetrieval(symbols=4, value_length=2)
    episode = retrieval.episodes(3, 2, torch.Generator().manual_seed(0))
    asked = episode.weight > 0
    assert retrieval.blind(episode)[asked].view(3, 3).tolist() == [[-2.0, -2.0, 0.0]] * 3
    text = Text()
    episode = text.episodes(200, 200, torch.Generator().manual_seed(0))
    entropy = -float(text.blind(episode).mean())
    shares = torch.bincount(text.tokens).double() / len(text.tokens)
    assert entropy == pytest.approx(-float((shares * shares.log2()).sum()), abs=0.05)


def test_a_reversed_symbol_was_read_so_long_ago() -> None:
    task = Reverse(symbols=1000)
    episode = task.episodes(5, 6, torch.Generator().manual_seed(0))
    distance = task.distance(episode)
    for row in range(5):
        source = episode.inputs[row, :6].tolist()
        for place in range(6, 12):
            assert place - source.index(int(episode.targets[row, place])) == int(distance[row, place])
    assert task.items(6) == 6
