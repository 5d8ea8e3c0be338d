"""Two documents by turns, read along by a reader that knows what the tokens are and nothing of how they were drawn."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.recall.interleaved_documents import ANSWER, ASK, InterleavedDocuments

OPTIONS = [
    {},
    {"segment": 4, "segments": 2, "gap": 0, "keys": 4, "fillers": 1, "values": 2},
    {"segment": 7, "segments": 6, "gap": 1, "keys": 5},
    {"segment": 8, "segments": 12, "gap": 6, "delay": 1},
    {"segment": 5, "segments": 10, "gap": 3, "delay": 3},
]
many = pytest.mark.parametrize("options", OPTIONS)
counts = pytest.mark.parametrize("length", [1, 3, 4])


class Asked(NamedTuple):
    """A question: its segment and that of its fact, the value and where that stands, and where the answer is asked."""

    question: int
    fact: int
    value: int
    stored: int
    answer: int


def draw(length: int, batch: int = 60, seed: int = 0, **options) -> Episode:
    return InterleavedDocuments(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def read(task: InterleavedDocuments, row: list[int]) -> list[Asked]:
    """All questions of a sequence, answered from its tokens; tokens of the wrong document fail."""
    own, held, keys, asked = task.keys + task.fillers, {}, set(), []
    answers = [at for at, token in enumerate(row) if token == ANSWER]
    at = 0
    while at < len(row):
        segment, token = at // task.segment, row[at]
        words = 3 + segment % 2 * own  # of the document whose turn it is
        if token == ASK:
            place, value = held[row[at + 1]]
            assert at % task.segment + 1 < task.segment // 2, "in the first half"
            asked.append(Asked(segment, place // task.segment, value, place, answers[len(asked)]))
            keys.remove(row[at + 1])
            at += 2
        elif words <= token < words + task.keys:
            assert segment < task.segments - task.gap
            assert row[at + 1] in range(task.vocabulary - task.values, task.vocabulary)
            assert (at + 1) // task.segment == segment
            assert token not in held
            held[token] = at + 1, row[at + 1]
            keys.add(token)
            at += 2
        else:
            assert token == ANSWER or words + task.keys <= token < words + own
            at += 1
    assert not keys, "every fact is asked for"
    assert len(asked) == len(answers)
    return asked


@many
@counts
def test_questions_are_answered_by_their_document(options, length) -> None:
    task, episode = InterleavedDocuments(**options), draw(length, **options)
    assert episode.inputs.shape == (60, (task.segments + length + task.delay) * task.segment)
    distance, segments = task.distance(episode), task.fact_segments(episode)
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        asked = read(task, x)
        assert len(asked) == sum(weight) == task.items(length) == length
        told = [-1] * len(x)
        for number, each in enumerate(asked):
            assert each.question == task.segments + number, "a segment each"
            assert each.answer == (each.question + task.delay + 1) * task.segment - 1, "its last unit"
            assert (y[each.answer], weight[each.answer]) == (each.value, 1)
            assert distance[row, each.answer] == each.answer - each.stored
            assert (each.question - each.fact) // 2 >= 1 + task.gap // 2, "turns of the other document between"
            told[each.answer] = each.fact
        assert segments[row].tolist() == told
        assert not any(y[at] for at in range(len(x)) if not weight[at])


@pytest.mark.parametrize("length", [2, 7, 9, 20])
def test_facts_are_spread_evenly(length) -> None:
    """Over the four segments of either document that may hold any; and every one of them is as likely."""
    options = {"segment": 8, "segments": 10, "gap": 2}
    task, total = InterleavedDocuments(**options), Counter()
    for row in draw(length, batch=500, **options).inputs.tolist():
        held = Counter(each.fact for each in read(task, row))
        total += held
        for document, facts in enumerate(((length + 1) // 2, length // 2)):
            own = [held[segment] for segment in range(document, 8, 2)]
            assert sum(own) == facts
            assert max(own) - min(own) <= 1
    for document, facts in enumerate(((length + 1) // 2, length // 2)):
        shares = [total[segment] / 500 / facts for segment in range(document, 8, 2)]
        assert shares == pytest.approx([1 / 4] * 4, abs=0.07)


def test_places_and_orders_are_random() -> None:
    """Two facts in each of four segments: after one of the first segment, one of three others is of it too."""
    options = {"segment": 8, "segments": 4, "gap": 0}
    task = InterleavedDocuments(**options)
    within, question, same = Counter(), Counter(), Counter()
    for row in draw(8, batch=1500, **options).inputs.tolist():
        asked = read(task, row)
        within.update((each.stored - 1) % 8 for each in asked)
        question.update(at % 8 for at, token in enumerate(row) if token == ASK)
        same.update(number for number in (2, 4, 6) if asked[number].fact == asked[0].fact)
    assert [within[at] / 12_000 for at in (0, 2, 4, 6)] == pytest.approx([1 / 4] * 4, abs=0.02)
    assert [question[at] / 12_000 for at in range(3)] == pytest.approx([1 / 3] * 3, abs=0.02)
    assert [same[number] / 1500 for number in (2, 4, 6)] == pytest.approx([1 / 3] * 3, abs=0.05)


def test_a_blind_guess_is_right_by_chance() -> None:
    task = InterleavedDocuments(values=4)
    said = Counter(each.value for row in draw(8, batch=1000, values=4).inputs.tolist() for each in read(task, row))
    assert task.chance == 1 / 4
    assert [said[task.vocabulary - 4 + value] / 8000 for value in range(4)] == pytest.approx([1 / 4] * 4, abs=0.02)


@many
def test_it_is_reproducible(options) -> None:
    first, again, other = (draw(4, seed=seed, **options) for seed in (3, 3, 4))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "both count something; give 1 or more"),
        (1, {"segments": 7}, "segments = 7: two documents take turns; give an even number"),
        (1, {"segments": 6, "gap": 5}, "gap = 5: of 6 segments 2 hold facts at least; give 4 or less"),
        (9, {"keys": 4}, "length = 9: 4 keys of each document make at most 8 facts; raise keys"),
        (6, {"segments": 2, "gap": 0, "segment": 4}, "length = 6: the segments hold at most 4 facts; raise segments"),
        (20, {"segments": 4, "gap": 1, "segment": 8}, "length = 20: the segments hold at most 9 facts"),
        (1, {"segment": 3}, "segment=3 is not a whole number of at least 4"),
        (1, {"values": 1}, "values=1 is not a whole number of at least 2"),
        (1, {"delay": -1}, "delay=-1 is not a whole number of at least 0"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)


def test_as_many_facts_as_the_segments_hold() -> None:
    for most, options in ((4, {"segments": 2, "gap": 0, "segment": 4}), (9, {"segments": 4, "gap": 1, "segment": 8})):
        task = InterleavedDocuments(**options)
        assert all(len(read(task, row)) == most for row in draw(most, **options).inputs.tolist())
