"""Places and keys, looked up in plain Python by a reader that sees the inputs alone."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.recall.late_meaning import LateMeaning

SMALL = {"symbols": 3, "names": 9, "segment": 8, "fillers": 2}
FORMS = [{}, {"joined": True}, {"early": True}, {"early": True, "joined": True}]


def draw(length: int, batch: int = 60, seed: int = 0, **options) -> Episode:
    return LateMeaning(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


class Told(NamedTuple):
    """What a row says."""

    places: dict[int, tuple[int, int]]
    """Symbol of each name, and the unit at which it stands."""
    key: dict[int, tuple[int, int]]
    """Meaning of each symbol, and the unit at which it stands."""
    questions: dict[int, int]
    """Name by unit."""
    fillers: list[int]
    """Units."""


def read(row: list[int], symbols: int, names: int, fillers: int, joined: bool) -> Told:
    """By the tokens of the docstring; answers are numbered from 0."""
    told = Told({}, {}, {}, [])
    first_meaning, first_symbol = fillers + names, fillers + names + symbols
    before: int | None = None
    """The name or symbol with which a pair begins, or a question."""
    for t, token in enumerate(row):
        is_name, rest = fillers <= token < first_meaning, token - first_symbol
        if token < fillers:
            told.fillers.append(t)
        elif is_name:
            told.questions[t] = token - fillers
        elif joined:
            whole, part = divmod(rest, symbols)
            (told.places if whole < names else told.key)[whole if whole < names else whole - names] = (part, t)
        elif rest >= 0 and before is not None and fillers <= before < first_meaning:
            del told.questions[t - 1]
            told.places[before - fillers] = (rest, t)
        elif rest < 0:
            assert before is not None
            told.key[before - first_symbol] = (token - first_meaning, t)
        before = token
    return told


def told(row: list[int], task: LateMeaning) -> Told:
    return read(row, task.symbols, task.names, task.fillers, task.joined)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("late", "behind", "length"), [(1, 1, 3), (0, 0, 5), (2, 1, 4), (0, 3, 9), (1, 0, 1)])
def test_a_reader_of_the_inputs_answers_everything(form, late, behind, length) -> None:
    options = {**SMALL, **form, "late": late, "behind": behind}
    task, episode = LateMeaning(**options), draw(length, **options)
    distance = task.distance(episode)
    assert int(episode.inputs.max()) < task.vocabulary
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        found = told(x, task)
        assert len(found.places) == length == len(found.questions)
        assert sorted(found.key) == sorted(meaning for meaning, _ in found.key.values()) == [0, 1, 2]
        assert sorted(found.questions.values()) == sorted(found.places), "every place once"
        assert [t for t, each in enumerate(weight) if each] == sorted(found.questions)
        assert set(weight) <= {0, 1}
        for t, name in found.questions.items():
            symbol, place = found.places[name]
            assert y[t] == task.fillers + task.names + found.key[symbol][0]
            assert int(distance[row, t]) == t - place
        # Where the three stand, by the words of the docstring.
        width = 1 if task.joined else 2
        at_places, at_key = ([t for _, t in part.values()] for part in (found.places, found.key))
        first, second = (at_key, at_places) if task.early else (at_places, at_key)
        assert min(first) == width - 1
        for end, begin, gap in (
            (max(first), min(second) - width + 1, late),
            (max(second), min(found.questions), behind),
        ):
            assert begin == (end + 1 if gap == 0 else 8 * (end // 8 + gap))
        assert len(x) == max(found.questions) + 1
        assert len(found.fillers) == len(x) - width * (length + 3) - length


def test_the_example_of_the_docstring() -> None:
    """Three places and two symbols in segments of eight."""
    task = LateMeaning(symbols=2, names=5, segment=8)
    x = draw(3, batch=1, symbols=2, names=5, segment=8).inputs[0].tolist()
    kinds = ["." if token < 1 else "name" if token < 6 else "meaning" if token < 8 else "symbol" for token in x]
    places, key = ["name", "symbol"] * 3 + ["."] * 2, ["symbol", "meaning"] * 2 + ["."] * 4
    assert kinds == [*places, *key, "name", "name", "name"]
    assert (task.vocabulary, task.items(3)) == (10, 3)


@pytest.mark.parametrize("joined", [False, True])
def test_neither_the_places_nor_the_key_alone_determines_anything(joined) -> None:
    """Of all rows that begin alike up to the key, and of all that are alike from it on, each answer has its share."""
    options = {"symbols": 3, "names": 2, "segment": 4, "joined": joined}
    task, episode = LateMeaning(**options), draw(2, batch=120_000, **options)
    key = 4  # two places of one or two tokens, up to the border
    answer = episode.targets[:, -2:] - (1 + task.names)
    for part, kinds in ((episode.inputs[:, :key], 2 * 9), (episode.inputs[:, key:], 6 * 6 * 2)):
        _, alike = part.unique(dim=0, return_inverse=True)
        count = alike.bincount()
        assert len(count) == kinds, "all that there are"
        for question in range(2):
            share = (3 * alike + answer[:, question]).bincount(minlength=3 * kinds).view(kinds, 3) / count[:, None]
            assert torch.allclose(share, torch.full_like(share, 1 / 3), atol=0.06)
    whole = torch.cat([episode.inputs, episode.targets[:, -2:]], 1).unique(dim=0)
    assert len(whole) == len(episode.inputs.unique(dim=0)), "both together determine all"


@pytest.mark.parametrize("form", FORMS)
def test_chance_is_what_a_blind_guess_scores(form) -> None:
    options = {"symbols": 4, "names": 10, **form}
    task, episode = LateMeaning(**options), draw(5, batch=20_000, **options)
    asked = episode.targets[episode.weight > 0]
    share = (asked - asked.min()).bincount() / len(asked)
    assert torch.allclose(share, torch.full((4,), task.chance), atol=0.01)
    assert task.blind(episode)[episode.weight > 0].unique().tolist() == [-2]
    questions = episode.inputs[:, -5:]
    first = episode.targets[:, -5:][questions == questions.min()]
    assert torch.allclose((first - asked.min()).bincount() / len(first), torch.full((4,), 0.25), atol=0.02), "by name"


def test_one_seed_draws_the_same_places_and_key_whatever_comes_first() -> None:
    episodes = {early: draw(6, seed=3, early=early, late=2, **SMALL) for early in (False, True)}
    task = LateMeaning(**SMALL)
    for late, early in zip(episodes[False].inputs.tolist(), episodes[True].inputs.tolist(), strict=True):
        one, other = told(late, task), told(early, task)
        for mine, theirs in ((one.places, other.places), (one.key, other.key)):
            assert [(name, each) for name, (each, _) in mine.items()] == [
                (name, each) for name, (each, _) in theirs.items()
            ]
        assert list(one.questions.values()) == list(other.questions.values())
    assert torch.equal(episodes[False].targets[:, -6:], episodes[True].targets[:, -6:])


def test_it_is_reproducible() -> None:
    first, again, other = (draw(9, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "batch = 60, length = 0: both count something; give 1 or more"),
        (3, {"batch": 0}, "batch = 0, length = 3: both count something"),
        (10, {"names": 9}, "10 places need as many different names, but there are 9; raise names"),
        (3, {"symbols": 1}, "symbols=1 is not a whole number of at least 2"),
        (3, {"segment": 0}, "segment=0 is not a whole number of at least 1"),
        (3, {"late": -1}, "late=-1 is not a whole number of at least 0"),
        (3, {"fillers": 0}, "fillers=0 is not a whole number of at least 1"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
