"""Needles: where they stand, what is asked of them, and streams that are the same in chunks of any size."""

from __future__ import annotations

import math

import psutil
import pytest
import torch

from mnesis.tasks.recall.needle import BLOCK, Needle

OPTIONS = [
    {},
    {"key_tokens": 3, "value_tokens": 2},
    {"mode": "multi_key", "needles": 3},
    {"mode": "multi_key", "needles": 5, "symbols": 3, "key_tokens": 2, "value_tokens": 2},
    {"mode": "multi_key", "needles": 4, "symbols": 4, "depth": 0.3},
    {"mode": "multi_value", "needles": 4},
    {"mode": "multi_value", "needles": 3, "symbols": 5, "key_tokens": 2, "value_tokens": 3},
]


def draw(length: int, batch: int = 100, seed: int = 0, **options):
    return Needle(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def read(tokens: list[int], task: Needle) -> list[tuple[int, tuple[int, ...], list[int]]]:
    """(place, key, value) of every needle, by reading along; what is neither needle nor symbol fails."""
    mark, found, at = task.symbols, [], 0
    while at < len(tokens):
        if tokens[at] == mark:
            end = at + 1 + task.key_tokens
            key, value = tokens[at + 1 : end], tokens[end + 1 : end + 1 + task.value_tokens]
            assert tokens[end] == mark + 1
            assert len(value) == task.value_tokens
            assert max(key + value) < task.symbols
            found.append((at, tuple(key), value))
            at += task.needle_length
        else:
            assert 0 <= tokens[at] < task.symbols
            at += 1
    return found


def expected(haystack: list[int], question: list[int], task: Needle) -> tuple[list[int], list[int]]:
    """The answer to a question with its end, and where each of its tokens stands."""
    assert question[0] == task.symbols + 2
    assert question[-1] == task.symbols + 1
    needles = [needle for needle in read(haystack, task) if needle[1] == tuple(question[1:-1])]
    assert len(needles) == (task.needles if task.mode == "multi_value" else 1)
    answer = [token for _, _, value in needles for token in value] + [task.symbols + 3]
    begins = [place + task.key_tokens + 2 for place, _, _ in needles]
    places = [begin + index for begin in begins for index in range(task.value_tokens)]
    return answer, [*places, begins[-1] + task.value_tokens]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_answer_stands_behind_its_key(options) -> None:
    task, episode = Needle(**options), draw(50, **options)
    distance, blind = task.distance(episode), task.blind(episode)
    for row, (x, y, weight) in enumerate(zip(*(part.tolist() for part in episode[:3]), strict=True)):
        assert y[:-1] == x[1:]
        haystack, question = x[:50], x[50 : 52 + task.key_tokens]
        assert len(read(haystack, task)) == task.needles
        answer, places = expected(haystack, question, task)
        begin = 51 + task.key_tokens
        assert y[begin:] == answer
        assert weight == [0] * begin + [1] * len(answer)
        assert distance[row, begin:].tolist() == [begin + n - place for n, place in enumerate(places)]
        assert blind[row, begin:].tolist() == pytest.approx([-math.log2(task.symbols)] * (len(answer) - 1) + [0])
        assert task.chance == pytest.approx(2 ** float(blind[row, begin:].sum()))
        assert task.items(50) == len({key for _, key, _ in read(haystack, task)}) * len(answer)


def test_needles_stand_anywhere_whole() -> None:
    """Seven places for one needle of four units in ten; several in no room but their own in any order."""
    place = (draw(10, batch=70_000, symbols=4).inputs[:, :10] == 4).int().argmax(1)
    assert torch.allclose(torch.bincount(place) / 70_000, torch.full((7,), 1 / 7), atol=0.006)
    for depth in (None, 0.5):
        episode = draw(12, batch=30_000, mode="multi_key", needles=3, symbols=8, depth=depth)
        asked = (episode.inputs[:, 1:12:4] == episode.inputs[:, 13:14]).int().argmax(1)
        assert torch.allclose(torch.bincount(asked) / 30_000, torch.full((3,), 1 / 3), atol=0.01)
    task = Needle("multi_value", needles=2, symbols=2)
    for row in task.episodes(300, 11, torch.Generator().manual_seed(0)).inputs.tolist():
        (first, key, _), (second, other, _) = read(row[:11], task)
        assert second - first >= 4
        assert key == other


def test_tokens_are_uniform() -> None:
    episode = draw(12, batch=40_000, mode="multi_key", needles=3, symbols=3)
    for at in (1, 5, 9, 3, 7, 11):
        share = torch.bincount(episode.inputs[:, at], minlength=3) / 40_000
        assert torch.allclose(share, torch.full((3,), 1 / 3), atol=0.01)
    orders = torch.unique(episode.inputs[:, [1, 5, 9]], dim=0, return_counts=True)[1] / 40_000
    assert torch.allclose(orders, torch.full((6,), 1 / 6), atol=0.01)
    filler = draw(10_000, batch=4, symbols=4).inputs[:, :9_000]
    assert torch.allclose(filler[filler < 4].bincount() / filler.numel(), torch.full((4,), 0.25), atol=0.01)


@pytest.mark.parametrize(("depth", "filler"), [(0.0, 0), (0.25, 11), (1.0, 45)])
@pytest.mark.parametrize("mode", ["single", "multi_key"])
def test_depth_is_the_filler_before(depth, filler, mode) -> None:
    options = {"mode": mode, "needles": 3, "symbols": 8, "depth": depth}
    task = Needle(**options)
    length = 45 + 4 * task.needles
    for row in draw(length, **options).inputs.tolist():
        needles = read(row[:length], task)
        (rank,) = (rank for rank, needle in enumerate(needles) if needle[1] == (row[length + 1],))
        assert needles[rank][0] - 4 * rank == filler
    assert len(task.stream(length, 0).questions) == 1


@pytest.mark.parametrize("options", OPTIONS)
def test_streams_are_the_same_in_any_chunks(options) -> None:
    task = Needle(**options)
    length = 2 * BLOCK + 77
    for seed in range(3):
        stream = task.stream(length, seed)
        whole = torch.cat(list(stream.chunks(1000)))
        for size in (BLOCK - 1, 333, length, 3 * length):
            pieces = list(stream.chunks(size))
            assert {len(piece) for piece in pieces[:-1]} <= {size}
            assert torch.equal(torch.cat(pieces), whole)
        assert not torch.equal(whole[:BLOCK], whole[BLOCK : 2 * BLOCK])
        haystack = whole.tolist()
        assert len(haystack) == length
        assert len(read(haystack, task)) == task.needles
        every = options.get("mode") == "multi_key" and "depth" not in options
        assert len({question.text for question in stream.questions}) == (task.needles if every else 1)
        for question in stream.questions:
            answer, places = expected(haystack, question.prompt.tolist(), task)
            assert question.answer.tolist() == answer
            assert question.answer_text == " ".join(map(str, answer[:-1]))
            last = places[-1] - task.value_tokens - task.key_tokens - 2
            assert question.depth == pytest.approx(last / length)
            assert task.correct(question, answer)
            assert not task.correct(question, answer[:-1])
            assert len(question.choices) == (task.symbols if len(answer) == 2 else 0)


def test_chunks_of_one_unit() -> None:
    stream = Needle("multi_key").stream(60, 5)
    assert torch.equal(torch.cat(list(stream.chunks(1))), torch.cat(list(stream.chunks(60))))


def test_ten_million_units_are_never_held() -> None:
    stream = Needle("multi_key", needles=100, key_tokens=2).stream(10_000_000, 1)
    process, count, growth = psutil.Process(), 0, 0
    next(stream.chunks(4096))
    before = process.memory_info().rss
    for number, chunk in enumerate(stream.chunks(4096)):
        count += len(chunk)
        if number % 100 == 0:
            growth = max(growth, process.memory_info().rss - before)
    assert count == 10_000_000
    assert growth < 20e6, "bytes; the whole would be 80 MB"


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(20, seed=3).inputs, draw(20, seed=3).inputs)
    assert not torch.equal(draw(20, seed=3).inputs, draw(20, seed=4).inputs)
    task = Needle()
    one, same, other = (next(task.stream(100, seed).chunks(100)) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (9, {"mode": "two"}, "mode = 'two' is unknown; choose one of single, multi_key, multi_value"),
        (9, {"symbols": 1}, "symbols=1 is not a whole number of at least 2"),
        (9, {"value_tokens": 0}, "value_tokens=0 is not a whole number of at least 1"),
        (9, {"mode": "multi_key", "symbols": 3}, "4 needles need .* 3 symbols make 3 keys of 1 tokens; raise key_tok"),
        (9, {"depth": 1.5}, "depth = 1.5 is a share of the filler; give a number from 0 to 1"),
        (9, {"mode": "multi_value", "depth": 0.5}, "depth = 0.5: multi_value asks for needles at several places"),
        (15, {"mode": "multi_value"}, "length = 15: 4 needles of 4 units need 16; give more"),
        (9, {"batch": 0}, "batch = 0 draws nothing; give 1 row or more"),
    ],
)
def test_bad_input(length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(length, **options)
