"""Trials of working memory, answered in plain Python by reading their frames."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.cognition.working_memory import WorkingMemory
from mnesis.tasks.cognition.working_memory_trials import FAMILIES

Frames = list[list[int]]
LENGTHS = dict.fromkeys(FAMILIES, 6) | {"complex-span": 2}
SEGMENTS = [
    (first, second) for first in range(25) for second in range(first + 1, 25)
    if max(abs(first // 5 - second // 5), abs(first % 5 - second % 5)) == 1
]  # fmt: skip
DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)]


def draw(family: str, length: int, batch: int = 200, seed: int = 0, **options) -> Episode:
    return WorkingMemory(family, **options).episodes(batch, length, torch.Generator().manual_seed(seed))


def read(episode: Episode) -> list[tuple[Frames, list[int], list[int]]]:
    """(frames, targets, which frames ask) of every row."""
    rows = zip(episode.inputs.int().tolist(), episode.targets.tolist(), episode.weight.tolist(), strict=True)
    return [(x, y, [t for t, weight in enumerate(w) if weight]) for x, y, w in rows]


def on(frame: list[int]) -> list[int]:
    return [place for place, value in enumerate(frame) if value]


def halves(frame: list[int]) -> tuple[list[int], list[int]]:
    return frame[:36], frame[36:]


@pytest.mark.parametrize(("length", "delay", "difference"), [(1, 0, 2), (5, 3, 4), (9, 4, 10)])
def test_item_recognition(length, delay, difference) -> None:
    options = {"delay": delay, "difference": difference}
    episode = draw("item-recognition", length, **options)
    distance = WorkingMemory("item-recognition", **options).distance(episode)
    assert distance is not None
    for row, (x, y, asked) in enumerate(read(episode)):
        assert asked == [length + delay]
        assert not any(map(any, x[length:-1]))
        assert all(sum(frame[:36]) == 18 and not any(frame[36:]) for frame in x[:length])
        shown, sides = [frame[:36] for frame in x[:length]], halves(x[-1])
        assert [side in shown for side in sides] == [y[-1] == 0, y[-1] == 1]
        assert sum(a != b for a, b in zip(*sides, strict=True)) == difference
        assert sum(sides[1 - y[-1]]) == 18
        assert int(distance[row, -1]) == length + delay - shown.index(sides[y[-1]])


def test_serial_recognition() -> None:
    episode = draw("serial-recognition", 5, difference=6)
    distance = WorkingMemory("serial-recognition").distance(episode)
    assert distance is not None
    assert distance.unique().tolist() == [5]
    for x, y, asked in read(episode):
        assert asked == [5, 6, 7, 8, 9]
        for frame, probe, answer in zip(x[:5], x[5:], y[5:], strict=True):
            sides = halves(probe)
            assert sides[answer] == frame[:36]
            assert sum(a != b for a, b in zip(*sides, strict=True)) == 6


def test_serial_recall() -> None:
    episode = draw("serial-recall", 6)
    assert WorkingMemory("serial-recall").blind(episode)[0, 0] == pytest.approx(-math.log2(6))
    for x, y, asked in read(episode):
        assert asked == list(range(6, 12))
        slots = [x[6][36 * slot : 36 * slot + 36] for slot in range(9)]
        assert x[6:] == [x[6]] * 6
        assert y[6:] == [slots.index(frame[:36]) for frame in x[:6]]
        assert sum(map(any, slots)) == 6
        assert not any(any(frame[36:]) for frame in x[:6])


def test_free_recall() -> None:
    task = WorkingMemory("free-recall")
    assert (task.vocabulary, task.target_features) == (0, 100)
    episode = draw("free-recall", 7)
    for (x, _, asked), told in zip(read(episode), episode.targets[:, -1].int().tolist(), strict=True):
        assert asked == [7]
        assert not any(x[7])
        assert len({tuple(frame[:100]) for frame in x[:7]}) == 1
        lit = [on(frame[100:]) for frame in x[:7]]
        visible = on(x[0][:100])
        assert len(visible) == 30
        assert all(len(each) == 1 and each[0] in visible for each in lit)
        assert on(told) == sorted(square for (square,) in lit)
        assert len(on(told)) == 7


@pytest.mark.parametrize(("boxes", "updates"), [(1, 8), (3, 8), (8, 5), (2, 0)])
def test_memory_updating(boxes, updates) -> None:
    episode = draw("memory-updating", boxes, delay=updates)
    for x, y, asked in read(episode):
        assert asked == list(range(1 + updates, 1 + updates + boxes))
        cells = [divmod(place % 9, 3) for place in on(x[0])]
        assert [place // 9 for place in on(x[0])] == list(range(boxes))
        for update, frame in enumerate(x[1 : 1 + updates]):
            box, way = on(frame)
            assert box - 72 == update % boxes
            down, right = DIRECTIONS[way - 80]
            cells[box - 72] = (cells[box - 72][0] + down, cells[box - 72][1] + right)
            assert all(0 <= place < 3 for place in cells[box - 72])
        named = [box - 72 for frame in x[1 + updates :] for box in on(frame)]
        assert sorted(named) == list(range(boxes))
        assert y[1 + updates :] == [3 * cells[box][0] + cells[box][1] for box in named]


def test_markers_move_as_blind_guesses_say() -> None:
    """Two updates of one box: all ways from all cells, each as likely as the others from its cell."""

    def ways(cell: tuple[int, int]) -> list[tuple[int, int]]:
        after = [(cell[0] + down, cell[1] + right) for down, right in DIRECTIONS]
        return [each for each in after if set(each) <= {0, 1, 2}]

    expected = dict.fromkeys(range(9), 0.0)
    for start in ((row, column) for row in range(3) for column in range(3)):
        for middle in ways(start):
            for end in ways(middle):
                expected[3 * end[0] + end[1]] += 1 / (9 * len(ways(start)) * len(ways(middle)))
    task = WorkingMemory("memory-updating", delay=2)
    episode = draw("memory-updating", 1, batch=20_000, delay=2)
    blind = task.blind(episode)[:, -1].exp2()
    answers = episode.targets[:, -1]
    for cell in range(9):
        assert blind[answers == cell].unique().tolist() == pytest.approx([expected[cell]])
        assert float((answers == cell).float().mean()) == pytest.approx(expected[cell], abs=0.01)
    assert task.chance == pytest.approx(max(expected.values()))


@pytest.mark.parametrize(("dots", "difference"), [(2, 8), (10, 4), (18, 2), (90, 10)])
def test_coordination(dots, difference) -> None:
    for x, y, asked in read(draw("coordination", dots, difference=difference)):
        assert asked == [dots]
        assert not any(x[dots])
        cells = {cell for frame in x[:dots] for cell in on(frame)}
        mirrored = {10 * (cell // 10) + 9 - cell % 10 for cell in cells}
        assert len(cells) == dots
        assert sum(cell % 10 < 5 for cell in cells) == dots // 2
        assert len(cells - mirrored) == (0 if y[-1] else min(difference, dots))


@pytest.mark.parametrize(("parts", "difference"), [(1, 1), (2, 2), (3, 3), (12, 4)])
def test_integration(parts, difference) -> None:
    """Segments of a figure make one line through points, none of them twice."""
    for x, y, asked in read(draw("integration", parts, difference=difference)):
        assert asked == [parts]
        shown, probe = [on(frame) for frame in x[:parts]], on(x[parts])
        assert all(len(part) == 12 // parts for part in shown)
        whole = sorted(segment for part in shown for segment in part)
        assert len(set(probe) - set(whole)) == (0 if y[-1] else difference)
        for figure in (*shown, whole, probe):
            ends = Counter(point for segment in figure for point in SEGMENTS[segment])
            assert len(ends) == len(figure) + 1
            assert sorted(ends.values()) == [1, 1] + [2] * (len(figure) - 1)


def test_figures_give_no_hint() -> None:
    """What is shown and what is asked for are alike, even in how much room is left at their ends."""
    ends = torch.tensor(SEGMENTS)
    touches = torch.zeros(72, 25).scatter_(1, ends, 1.0)
    neighbours = torch.zeros(25, 25)
    neighbours[ends[:, 0], ends[:, 1]] = neighbours[ends[:, 1], ends[:, 0]] = 1
    episode = draw("integration", 1, batch=24_000)
    same = episode.targets[:, -1] == 1
    figures = [episode.inputs[same, 0], episode.inputs[~same, 0], episode.inputs[~same, 1]]
    degrees = [figure @ touches for figure in figures]
    room = [(((degree == 1).float() @ neighbours) * (degree == 0)).sum(1).mean() for degree in degrees]
    assert [float(each) for each in room[1:]] == pytest.approx([float(room[0])] * 2, abs=0.09)
    assert all(torch.allclose(figures[0].mean(0), other.mean(0), atol=0.02) for other in figures[1:])


@pytest.mark.parametrize("variant", ["cued", "alternate"])
def test_task_switching(variant) -> None:
    episode = draw("task-switching", 20, batch=1000, variant=variant)
    blind, cues, rules = WorkingMemory("task-switching", variant=variant).blind(episode).tolist(), 0, Counter()
    for row, (x, y, asked) in enumerate(read(episode)):
        rule, before = None, False
        assert on(x[0])[0] >= 4
        for t, frame in enumerate(x):
            (at,) = on(frame)
            assert (t in asked) is (at < 4)
            if at >= 4:
                assert not before
                assert rule != at - 4
                rule, before, cues = at - 4, True, cues + 1
                continue
            if variant == "alternate" and t > 1:
                rule = 1 - int(rule or 0)
            before, answers = False, (at // 2, at % 2)
            assert y[t] == answers[int(rule or 0)]
            assert blind[row][t] == (0 if answers[0] == answers[1] else -1)
            rules[rule, at] += 1
        assert not before
    assert all(count == pytest.approx(sum(rules.values()) / 8, rel=0.06) for count in rules.values())
    if variant == "alternate":
        assert cues == 1000
    else:
        shares = [1.0, 0.0]
        for _ in range(17):
            shares.append(0.2 * (1 - shares[-1]))
        assert cues / 1000 == pytest.approx(sum(shares), abs=0.15)


@pytest.mark.parametrize("variant", ["color", "orientation", "size", "gap", "conjunction"])
def test_change_detection(variant) -> None:
    found = Counter()
    for x, y, asked in read(draw("change-detection", 5, delay=3, variant=variant)):
        assert asked == [4]
        assert not any(map(any, x[1:4]))
        before, after = ([frame[5 * place : 5 * place + 5] for place in range(12)] for frame in (x[0], x[4]))
        assert sum(bar[0] for bar in before) == 5
        assert all(set(map(abs, bar)) == {bar[0]} for bar in (*before, *after))
        changed = [
            (place, feature) for place in range(12) for feature in range(5)
            if before[place][feature] != after[place][feature]
        ]  # fmt: skip
        assert len(changed) == y[-1]
        found.update(feature - 1 for _, feature in changed)
    features = ["color", "orientation", "size", "gap"]
    assert set(found) == (set(range(4)) if variant == "conjunction" else {features.index(variant)})


@pytest.mark.parametrize(("length", "delay"), [(2, 3), (3, 0)])
@pytest.mark.parametrize("stored", ["visual", "spatial"])
@pytest.mark.parametrize("judged", ["visual", "spatial"])
def test_complex_span(stored, judged, length, delay) -> None:
    options = {"variant": f"{stored}-{judged}", "delay": delay}
    episode = draw("complex-span", length, batch=60, **options)
    blind = WorkingMemory("complex-span", **options).blind(episode)
    for row, (x, y, asked) in enumerate(read(episode)):
        starts = [item * (3 + delay) for item in range(length)]
        judgements = [start + 3 + index for start in starts for index in range(delay)]
        probes = list(range(length * (3 + delay), len(x)))
        assert asked == judgements + probes
        for t in judgements:
            field = on(x[t])
            assert all(36 <= place < 136 for place in field)
            mirrored = {10 * ((place - 36) // 10) + 9 - (place - 36) % 10 + 36 for place in field}
            assert y[t] == (field[0] - 36 >= 7 if judged == "visual" else set(field) == mirrored)
            assert float(blind[row, t]) == 0
        for start, t in zip(starts, probes, strict=True):
            assert not any(x[t][:136])
            item, seen, choices = x[start : start + 3], [on(frame) for frame in x[start : start + 3]], x[t][136:]
            if stored == "visual":
                assert item == [item[0]] * 3
                assert len(seen[0]) == 18
                assert [choices[36 * n : 36 * n + 36] for n in range(8)].index(item[0][:36]) == y[t] - 2
                assert float(blind[row, t]) == -3
            else:
                (a,), (b,), (c,) = seen
                ways = [(v // 3 - u // 3, v % 3 - u % 3) for u, v in ((a, b), (b, c))]
                assert ways[0] == ways[1]
                assert [on(choices[8 * n : 8 * n + 8]) for n in range(8)].index([DIRECTIONS.index(ways[0])]) == y[t] - 2
                assert 2 ** float(blind[row, t]) == pytest.approx(1 / 16 if all(ways[0]) else 3 / 16)


def test_patterns_to_pick_from_are_alike() -> None:
    """The right one is no nearer to the others than they are to each other."""
    episode = draw("complex-span", 1, batch=3000, delay=0)
    choices = episode.inputs[:, -1, 136:].unflatten(1, (8, 36))
    apart = (choices[:, :, None] - choices[:, None]).abs().sum(-1)
    right = apart[torch.arange(3000), episode.targets[:, -1] - 2].sum(1) / 7
    assert float(right.mean()) == pytest.approx(float(apart.sum((1, 2)).mean()) / 56, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_balanced_and_reproducible(family) -> None:
    task, length = WorkingMemory(family), LENGTHS[family]
    episode, same, other = (draw(family, length, batch=2500, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(episode[:3], same[:3], strict=True))
    assert not torch.equal(episode.inputs, other.inputs)
    assert episode.inputs.shape == (2500, episode.weight.shape[1], task.features)
    assert episode.inputs.dtype == episode.weight.dtype == torch.float32
    if family == "free-recall":
        return
    answers = episode.targets[episode.weight > 0]
    share = answers.bincount(minlength=task.vocabulary) / len(answers)
    assert len(share) == task.vocabulary
    assert float(share.max()) == pytest.approx(task.chance, abs=0.035 if family != "memory-updating" else 0.05)
    if family not in ("memory-updating", "complex-span"):
        assert torch.allclose(share, torch.full_like(share, 1 / task.vocabulary), atol=0.035)
    blind = task.blind(episode)
    assert blind.shape == episode.weight.shape
    assert bool((blind[episode.weight > 0] <= 0).all())
    assert task.items(length) == (length if FAMILIES[family].listed else None)


@pytest.mark.parametrize(
    ("family", "length", "options", "message"),
    [
        ("dual-task", 3, {}, "there is no family 'dual-task'; choose one of item-recognition, "),
        ("serial-recall", 3, {"delay": 2}, "delay = 2: serial-recall has no delay; leave it None"),
        ("item-recognition", 3, {"delay": -1}, "delay=-1 is not a whole number of at least 0"),
        ("item-recognition", 3, {"difference": 3}, "difference = 3: item-recognition takes one of 2, 4, 6, 8, 10"),
        ("free-recall", 3, {"difference": 2}, "difference = 2: free-recall has no difference; leave it None"),
        ("task-switching", 3, {"variant": "up"}, "variant = 'up': task-switching takes one of cued, alternate"),
        ("item-recognition", 3, {"variant": "up"}, "variant = 'up': item-recognition has no variant; leave it None"),
        ("serial-recall", 10, {}, "length = 10: serial-recall counts patterns; give 1 to 9"),
        ("coordination", 3, {}, "length = 3: coordination counts dots; give an even number from 2 to 90"),
        ("integration", 5, {}, "length = 5: integration counts parts; give 1, 2, 3, 4, 6 or 12"),
        ("task-switching", 1, {}, "length = 1: task-switching counts frames, a cue first; give 2 or more"),
        ("item-recognition", 3, {"batch": 0}, "batch = 0 draws nothing; give 1 row or more"),
    ],
)
def test_bad_input(family, length, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw(family, length, **options)
