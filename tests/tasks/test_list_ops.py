from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest
import torch

from mnesis.tasks.algorithms.list_ops import SYMBOLS, ListOps, evaluate
from tests.real_data import real

ID = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def draw(task, length: int, batch: int = 200, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def units(episode) -> torch.Tensor:
    assert episode.length is not None
    return episode.length


def rows(episode) -> list[tuple[list[str], int]]:
    """Symbols and answer of every row."""
    return [
        ([SYMBOLS[token] for token in tokens[:count]], answers[count - 1])
        for tokens, answers, count in zip(
            episode.inputs.tolist(), episode.targets.tolist(), units(episode).tolist(), strict=True
        )
    ]


def parse(symbols: list[str]):
    """A digit, or an operator and its arguments; what stands behind is left in the list."""
    first = symbols.pop(0)
    if first.isdigit():
        return int(first)
    arguments = []
    while symbols[0] != "]":
        arguments.append(parse(symbols))
    symbols.pop(0)
    return first, arguments


def value(tree) -> int:
    if isinstance(tree, int):
        return tree
    operator, arguments = tree
    values = [value(argument) for argument in arguments]
    rules = {
        "[MIN": min,
        "[MAX": max,
        "[MED": lambda x: int(statistics.median(x)),
        "[SM": lambda x: sum(x) % 10,
        "[FIRST": lambda x: x[0],
        "[LAST": lambda x: x[-1],
    }
    return rules[operator](values)


def operators(tree, depth: int = 1):
    """Depth, operator and arguments of each."""
    if not isinstance(tree, int):
        yield depth, *tree
        for argument in tree[1]:
            yield from operators(argument, depth + 1)


@pytest.mark.parametrize(("depth", "arguments"), [(10, 10), (20, 5), (3, 2), (2, 6)])
def test_answers_are_the_values(depth, arguments) -> None:
    episode = draw(ListOps(depth=depth, arguments=arguments), 8 if depth < 4 else 40)
    for symbols, answer in rows(episode):
        assert evaluate([ID[symbol] for symbol in symbols]) == answer
        tree = parse(symbols)
        assert not symbols, "one expression and nothing behind it"
        assert value(tree) == answer
        for level, _, given in operators(tree):
            assert level < depth
            assert 2 <= len(given) <= arguments
    assert torch.equal(episode.weight.argmax(1), units(episode) - 1)
    assert torch.equal(episode.weight.sum(1), torch.ones(200))


@pytest.mark.parametrize("length", [4, 9, 50, 600])
def test_more_than_a_quarter_of_the_length(length) -> None:
    episode = draw(ListOps(), length)
    assert episode.inputs.shape == (200, length)
    assert length // 4 < int(units(episode).min()) <= int(units(episode).max()) <= length
    assert int(units(episode).max()) > 0.8 * length
    beyond = torch.arange(length) >= units(episode)[:, None]
    assert not episode.inputs[beyond].any()


def test_drawn_as_by_the_published_rule() -> None:
    """Against a generator that makes one argument after the other."""
    numbers, depth, arguments, length = random.Random(0), 4, 3, 24

    def grown(level: int):
        if level > 1 and (level == depth or numbers.random() > 0.25):
            return numbers.randrange(10)
        count = numbers.randint(2, arguments)
        return numbers.choice(["[MIN", "[MAX", "[MED", "[SM"]), [grown(level + 1) for _ in range(count)]

    def size(tree) -> int:
        return 1 if isinstance(tree, int) else 2 + sum(map(size, tree[1]))

    published = [tree for tree in (grown(1) for _ in range(8000)) if length // 4 < size(tree) <= length]
    ours = [parse(symbols) for symbols, _ in rows(draw(ListOps(depth=depth, arguments=arguments), length, 5000))]

    def counted(tree) -> Counter[str]:
        """Its size, deepest operator and value, and what stands at every depth."""
        found = list(operators(tree))
        deepest = max(level for level, _, _ in found)
        counts = Counter([f"size {size(tree)}", f"deepest {deepest}", f"value {value(tree)}"])
        for level, operator, given in found:
            kinds = ["digit" if isinstance(argument, int) else "nested" for argument in given]
            counts.update(f"{level} {what}" for what in (operator, len(given), *kinds))
        return counts

    one, other = (list(map(counted, trees)) for trees in (published, ours))
    keys = {key for counts in one for key in counts}
    assert keys == {key for counts in other for key in counts}
    for key in keys:
        two = [torch.tensor([float(counts[key]) for counts in side]) for side in (one, other)]
        error = sum(float(x.var()) / len(x) for x in two) ** 0.5
        assert abs(float(two[0].mean() - two[1].mean())) < 4.5 * error, key


def test_digits_and_operators_are_uniform() -> None:
    counts = draw(ListOps(), 60, 1500).inputs.flatten().bincount(minlength=17)
    assert counts[15:].tolist() == [0, 0]
    torch.testing.assert_close(counts[11:15] / counts[11:15].sum(), torch.full((4,), 0.25), atol=0.02, rtol=0)
    torch.testing.assert_close(counts[1:10] / counts[1:10].sum(), torch.full((9,), 1 / 9), atol=0.015, rtol=0)


def test_blind_knows_how_often_values_come() -> None:
    task = ListOps()
    for length in (8, 64):
        episode = draw(task, length, 2000, seed=1)
        last = torch.tensor([answer for _, answer in rows(episode)])
        blind = task.blind(episode)[episode.weight > 0]
        found = dict(zip(last.tolist(), blind.tolist(), strict=True))
        assert sum(2**log2 for log2 in found.values()) == pytest.approx(1)
        for answer, log2 in found.items():
            assert float((last == answer).float().mean()) == pytest.approx(2**log2, abs=0.03)
    assert found[0] > found[1] + 0.3, "minima of many"
    assert 0.1 < task.chance < 2 ** found[0], "most expressions of at most 256 symbols are short"
    assert task.unseen("test") is task


def test_it_is_reproducible() -> None:
    task = ListOps()
    assert torch.equal(draw(task, 40, seed=3).inputs, draw(task, 40, seed=3).inputs)
    assert not torch.equal(draw(task, 40, seed=3).inputs, draw(task, 40, seed=4).inputs)


@pytest.mark.parametrize("text", ["[MIN 1 2", "[MIN 1 2 ] ]", "] 1", "[SM ]", "1 2", ""])
def test_no_expressions(text) -> None:
    with pytest.raises(ValueError, match="is no expression; close every operator once"):
        evaluate([ID[symbol] for symbol in text.split()])


def written(file, start: int, stop: int, *, arena: bool = False):
    """Rows that add two numbers, in one of the formats."""
    lines = ["Source\tTarget"] if arena else []
    for number in range(start, stop):
        expression = f"( ( ( [SM {number // 10} ) {number % 10} ) ] )"
        answer = (number // 10 + number % 10) % 10
        lines.append(f"{expression}\t{answer}" if arena else f"{answer}\t{expression}")
    file.write_text("\r\n".join(lines) if arena else "\n".join(lines) + "\n", encoding="utf-8")
    return file


def held(task) -> set[int]:
    return {int("".join(symbols[1:3])) for symbols, _ in rows(draw(task, 4, 2000))}


@pytest.mark.parametrize("arena", [False, True])
def test_files_make_the_parts(tmp_path, arena) -> None:
    train = written(tmp_path / "train.tsv", 0, 50, arena=arena)
    alone = ListOps(train=train)
    parts = [alone, alone.unseen("valid"), alone.unseen("test")]
    assert [held(part) for part in parts] == [set(range(40)), set(range(40, 45)), set(range(45, 50))]
    test = written(tmp_path / "test.tsv", 60, 70, arena=arena)
    with_test = ListOps(train=train, test=test)
    parts = [with_test, with_test.unseen("valid"), with_test.unseen("test")]
    assert [held(part) for part in parts] == [set(range(45)), set(range(45, 50)), set(range(60, 70))]
    both = ListOps(train=train, valid=test, test=test)
    assert [held(part) for part in (both, both.unseen("valid"))] == [set(range(50)), set(range(60, 70))]
    for symbols, answer in rows(draw(alone, 4)):
        assert symbols == ["[SM", symbols[1], symbols[2], "]"]
        assert answer == (int(symbols[1]) + int(symbols[2])) % 10


def test_rows_that_are_short_enough(tmp_path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text("1\t( ( ( [MIN 1 ) 5 ) ] )\n7\t( ( ( ( [MAX 1 ) 7 ) 2 ) ] )\n" * 20, encoding="utf-8")
    task = ListOps(train=file)
    assert {answer for _, answer in rows(draw(task, 4))} == {1}
    episode = draw(task, 100)
    assert set(map(tuple, (symbols for symbols, _ in rows(episode)))) == {
        ("[MIN", "1", "5", "]"),
        ("[MAX", "1", "7", "2", "]"),
    }
    assert episode.inputs.shape == (200, 5)
    assert task.chance == pytest.approx(0.5, abs=0.15)
    long = tmp_path / "long.tsv"
    long.write_text("7\t( ( ( ( [MAX 1 ) 7 ) 2 ) ] )\n" * 20, encoding="utf-8")
    with pytest.raises(ValueError, match="length = 4: the shortest row has 5 symbols; give more"):
        draw(ListOps(train=long), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, "depth=1 is not a whole number of at least 2"),
        ({"part": "all"}, "part = 'all' is unknown; choose one of train, valid, test"),
        ({"test": "some.tsv"}, "there is no file to train on beside some.tsv; give train= too"),
        ({"train": "none.tsv"}, r"none.tsv is no file; give one of rows, or none for expressions that are drawn"),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        ListOps(**options)


def test_bad_input(tmp_path) -> None:
    with pytest.raises(ValueError, match="length = 3: give 1 row or more, and 4 symbols or more"):
        draw(ListOps(), 3)
    with pytest.raises(
        ValueError, match=r"0 of \d+,\d+ expressions have 17 to 64 symbols with depth = 2, arguments = 2"
    ):
        draw(ListOps(depth=2, arguments=2), 64)
    for text, message in (
        ("1\t( [MIN 1 ) ]\n12\t[MIN 1 2 ]\n", r"line 2: '12.t\[MIN 1 2 \]' is no value, tab and expression; give"),
        ("1\t[PROD 1 2 ]\n", r"line 1: '1.t\[PROD 1 2 \]' is no value, tab and expression; give a file as"),
        ("Source\tTarget\n", "has an empty expression, or none; give a file as it was published"),
        ("1\t\n", "has an empty expression, or none"),
        ("1\t1\n", "has 1 rows, too few to keep a tenth of; give 10 or more"),
    ):
        file = tmp_path / f"{len(message)}.tsv"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            ListOps(train=file)


@pytest.mark.parametrize(("name", "longest"), [("test_d20s.tsv", 939), ("test_d8.tsv", 93)])
def test_real_rows_say_their_values(name, longest) -> None:
    task = ListOps(train=real("listops", name), test=real("listops", name), part="test")
    assert task.rows is not None
    tokens, start, counts, values = (part.tolist() for part in task.rows)
    assert len(values) == 10_000
    assert max(counts) == longest
    for first, count, answer in zip(start, counts, values, strict=True):
        assert evaluate(tokens[first : first + count]) == answer
    assert task.chance == pytest.approx(0.115, abs=0.002)
