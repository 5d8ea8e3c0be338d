"""Facts and their updates, read along by a reader that knows what the tokens are and nothing of how they were drawn."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.recall.updated_facts import ASK, OF, WIDTH, UpdatedFacts

OPTIONS = [
    {},
    {"gap": None},
    {"gap": 0, "updates": 0, "distractors": 0},
    {"gap": 3, "updates": 5, "distractors": 2, "statements": 4, "wordings": 9, "values": 3},
    {"gap": None, "updates": 3, "wordings": 1, "relations": 1, "other_subjects": 1, "statements": 1, "values": 4},
]
many = pytest.mark.parametrize("options", OPTIONS)


class Statement(NamedTuple):
    """One of ``WIDTH`` units; the value stands at ``place`` of the sequence."""

    words: tuple[int, ...]
    order: tuple[int, ...]
    fact: tuple[int, int]
    value: int
    place: int


def draw(length: int, batch: int = 60, seed: int = 0, **options) -> Episode:
    return UpdatedFacts(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def read(task: UpdatedFacts, row: list[int]) -> list[Statement]:
    """What a sequence says; a unit that is none of a statement's parts fails."""
    ends = (3 + 2 * task.wordings, task.subjects + task.other_subjects, task.relations, task.values)
    kinds = [kind for kind, count in enumerate(ends) for _ in range(count)]
    assert len(kinds) == task.vocabulary
    found = []
    for at in range(0, len(row), WIDTH):
        part = row[at : at + WIDTH]
        words, (subject,), (relation,), (value,) = ([x for x in part if kinds[x] == kind] for kind in range(4))
        assert len(words) == 2
        order = tuple(kinds[x] for x in part)
        found.append(Statement(tuple(words), order, (subject - ends[0], relation), value, at + part.index(value)))
    return found


@many
def test_the_answer_is_the_latest_value(options) -> None:
    """Answered by a dictionary that reads along; what it forgot and when it heard it are told right."""
    task, episode = UpdatedFacts(**options), draw(4, **options)
    distance, displaced = task.distance(episode), task.displaced(episode)
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        assert y == [*x[1:], 0]
        held: dict[tuple[int, int], list[Statement]] = {}
        asked, questions = [], 0
        for said in read(task, x):
            if said.words != (ASK, OF):
                held.setdefault(said.fact, []).append(said)
                continue
            latest, *before = held[said.fact][::-1]
            at = said.place - 1
            assert (said.order, said.value, y[at], weight[at]) == ((0, 1, 0, 2, 3), latest.value, latest.value, 1)
            assert distance[row, at] == at - latest.place
            assert displaced[row, at] == (before[0].value if before else -1)
            asked.append(said.fact)
            questions += 1
        assert sum(weight) == questions == len(set(asked)) == task.items(4) == 4
        assert all(len(held[fact]) == task.updates + 1 for fact in asked)
        assert all(a.value != b.value for fact in asked for a, b in zip(held[fact], held[fact][1:], strict=False))
        assert all((subject < task.subjects) == ((subject, relation) in asked) for subject, relation in held)


@many
def test_statements_fill_segments(options) -> None:
    task, episode = UpdatedFacts(**options), draw(3, **options)
    stated, asked = 3 * (task.updates + 1), 3
    for row in episode.inputs.tolist():
        said = read(task, row)
        questions = [index for index, each in enumerate(said) if each.words == (ASK, OF)]
        others = sum(each.fact[0] >= task.subjects for each in said)
        if task.gap is None:
            assert len(row) % task.segment_length == 0
            gap = 0
        else:
            assert questions == list(range(len(said) - asked, len(said)))
            assert questions[0] % task.statements == 0, "they begin a segment"
            gap = task.gap * task.statements
            assert all(each.fact[0] >= task.subjects for each in said[questions[0] - gap : questions[0]])
        assert len(said) == stated + asked + others
        assert 0 <= others - gap - stated * task.distractors < task.statements


def test_wordings_are_two_words_and_an_order() -> None:
    task = UpdatedFacts(wordings=8)
    orders: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    counted = 0
    for row in draw(4, batch=300, wordings=8).inputs.tolist():
        for said in read(task, row):
            orders.setdefault(said.words, set()).add(said.order)
            counted += said.words == (3, 4)
    assert sorted(orders) == [(word, word + 1) for word in range(ASK, ASK + 18, 2)]
    assert all(len(each) == 1 for each in orders.values())
    assert len({order for words, (order,) in orders.items() if words != (ASK, OF)}) == 6
    assert counted / (300 * 35) == pytest.approx(1 / 8, abs=0.015)


@pytest.mark.parametrize(
    "options", [{"updates": count, "values": 3} for count in (0, 1, 2, 3)] + [{"gap": None, "values": 3}]
)
def test_what_is_known_by_halves(options) -> None:
    """Of 8000 questions: a blind guess, the last segment, and the first value."""
    task = UpdatedFacts(**options)
    first, latest, answers = 0, 0, [0, 0, 0]
    for row in draw(4, batch=2000, **options).inputs.tolist():
        held: dict[tuple[int, int], list[int]] = {}
        for said in read(task, row):
            if said.words == (ASK, OF):
                answers[said.value - (task.vocabulary - 3)] += 1
                first += held[said.fact][0] == said.value
                latest += held[said.fact][-1] == said.value
            else:
                held.setdefault(said.fact, []).append(said.value)
    assert latest == 8000
    assert first / 8000 == pytest.approx(task.first_value_accuracy, abs=0.02)
    assert [each / 8000 for each in answers] == pytest.approx([task.chance] * 3, abs=0.02)


def test_chances_in_numbers() -> None:
    assert UpdatedFacts(updates=0).first_value_accuracy == 1
    assert UpdatedFacts(updates=1).first_value_accuracy == pytest.approx(0)
    assert UpdatedFacts(updates=2, values=5).first_value_accuracy == pytest.approx(1 / 4), "back to it, of four"
    assert UpdatedFacts(updates=1, gap=None).first_value_accuracy == pytest.approx(1 / 2)
    task, episode = UpdatedFacts(values=8), draw(2, values=8)
    assert task.chance == 1 / 8
    assert float(task.blind(episode)[0, 0]) == pytest.approx(-math.log2(8))


def test_questions_anywhere_stand_behind_any_statement() -> None:
    """Of a fact with two updates: as often behind the first, the second and the third of its statements."""
    task, behind = UpdatedFacts(gap=None), [0, 0, 0]
    for row in draw(4, batch=1500, gap=None).inputs.tolist():
        heard: dict[tuple[int, int], int] = {}
        for said in read(task, row):
            if said.words == (ASK, OF):
                behind[heard[said.fact] - 1] += 1
            else:
                heard[said.fact] = heard.get(said.fact, 0) + 1
    assert [each / 6000 for each in behind] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_statements_stand_anywhere() -> None:
    """One fact among two others, six orders of three statements alike."""
    options = {"updates": 0, "distractors": 2, "statements": 3, "gap": 0}
    task = UpdatedFacts(**options)
    place = [0, 0, 0]
    for row in draw(1, batch=3000, **options).inputs.tolist():
        place[[said.fact[0] < task.subjects for said in read(task, row)].index(True)] += 1
    assert [each / 3000 for each in place] == pytest.approx([1 / 3] * 3, abs=0.03)


@many
def test_it_is_reproducible(options) -> None:
    first, again, other = (draw(4, seed=seed, **options) for seed in (3, 3, 4))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "both count something; give 1 or more"),
        (5, {"subjects": 2, "relations": 2}, "5 facts need .* 2 subjects with 2 relations make 4; raise subjects"),
        (1, {"values": 1}, "values=1 is not a whole number of at least 2"),
        (1, {"updates": -1}, "updates=-1 is not a whole number of at least 0"),
        (1, {"gap": -1}, "gap=-1 is not a whole number of at least 0"),
        (1, {"statements": 0}, "statements=0 is not a whole number of at least 1"),
        (1, {"other_subjects": 0}, "other_subjects=0 is not a whole number of at least 1"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
