import pytest
import torch

from mnesis.tasks.recall.associative_retrieval import AssociativeRetrieval

SEPARATOR, GENERATE, END = 100, 101, 102


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parse(task: AssociativeRetrieval, row: list[int]) -> tuple[list[tuple[tuple, tuple]], tuple, tuple]:
    """A reader of its own: pairs, the queried key and its answer."""
    items, rest = [], row
    while rest:
        end = rest.index(END)
        item, rest = rest[:end], rest[end + 1 :]
        mark = item[task.key_length]
        assert mark == (SEPARATOR if rest else GENERATE)
        key, value = tuple(item[: task.key_length]), tuple(item[task.key_length + 1 :])
        assert len(value) == task.value_length
        assert all(0 <= digit < task.symbols for digit in key + value)
        items.append((key, value))
    *pairs, (query, answer) = items
    return pairs, query, answer


@pytest.mark.parametrize("form", ["remember", "rewrite"])
@pytest.mark.parametrize(("key_length", "value_length", "length"), [(1, 1, 1), (1, 1, 16), (2, 1, 20), (3, 2, 50)])
def test_the_answer_is_the_latest_value_of_the_key(form, key_length, value_length, length):
    task = AssociativeRetrieval(form, key_length=key_length, value_length=value_length)
    episode = task.episodes(40, length, generator())
    assert episode.inputs.shape == (40, (length + 1) * task.segment_length)
    for row in episode.inputs.tolist():
        pairs, query, answer = parse(task, row)
        assert len(pairs) == length
        assert dict(pairs)[query] == answer  # of several values dict keeps the last
        if form == "remember":
            assert len({key for key, _ in pairs}) == length


@pytest.mark.parametrize("value_length", [1, 3])
def test_only_the_value_and_the_end_token_are_asked(value_length):
    task = AssociativeRetrieval(value_length=value_length)
    episode = task.episodes(6, 5, generator())
    assert torch.equal(episode.targets[:, :-1], episode.inputs[:, 1:])
    asked = episode.targets[episode.weight > 0].view(6, -1)
    for row, answer in zip(episode.inputs.tolist(), asked.tolist(), strict=True):
        assert answer == [*parse(task, row)[2], END]
    first = episode.weight.argmax(dim=1)
    assert torch.equal(episode.inputs[torch.arange(6), first], torch.full((6,), GENERATE))
    assert set(episode.weight.unique().tolist()) == {0, 1}


def test_one_pair_a_segment():
    task = AssociativeRetrieval("rewrite", key_length=2, value_length=3)
    segments = task.episodes(4, 9, generator()).inputs.unflatten(1, (-1, task.segment_length))
    assert segments.shape == (4, 10, 7)
    assert bool((segments[..., -1] == END).all())
    assert bool((segments[:, :-1, 2] == SEPARATOR).all())
    assert bool((segments[:, -1, 2] == GENERATE).all())


def test_remember_can_use_every_key_once():
    task = AssociativeRetrieval("remember")
    keys = task.episodes(30, 16, generator()).inputs.unflatten(1, (-1, 4))[:, :16, 0]
    assert torch.equal(keys.sort(dim=1).values, torch.arange(16).expand(30, 16))
    assert len({tuple(row) for row in keys.tolist()}) == 30


def test_query_is_uniform_over_different_keys_not_over_pairs():
    task = AssociativeRetrieval("rewrite", symbols=2)
    rows = task.episodes(6000, 3, generator()).inputs.tolist()
    often = 0
    mixed = 0
    for row in rows:
        pairs, query, _ = parse(task, row)
        keys = [key for key, _ in pairs]
        if len(set(keys)) == 2:
            mixed += 1
            often += keys.count(query) == 2
    assert often / mixed == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize("form", ["remember", "rewrite"])
def test_digits_and_places_are_uniform(form):
    task = AssociativeRetrieval(form, key_length=2, symbols=4)
    episode = task.episodes(6000, 4, generator())
    segments = episode.inputs.unflatten(1, (-1, task.segment_length))
    for column in (0, 1, 3):
        for pair in range(5):
            shares = torch.bincount(segments[:, pair, column], minlength=4)[:4] / 6000
            assert torch.allclose(shares, torch.full((4,), 0.25), atol=0.03)
    assert task.chance == 0.25
    if form == "remember":
        asked = (segments[:, :4, :2] == segments[:, 4:, :2]).all(-1).float().mean(0)
        assert torch.allclose(asked, torch.full((4,), 0.25), atol=0.03)


def test_chance_and_vocabulary():
    task = AssociativeRetrieval(value_length=2, symbols=8)
    assert task.chance == 1 / 64
    assert task.vocabulary == 103


@pytest.mark.parametrize("form", ["remember", "rewrite"])
def test_the_generator_decides(form):
    task = AssociativeRetrieval(form)
    first, again, other = (task.episodes(3, 8, generator(seed)).inputs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AssociativeRetrieval("recall"), "form = 'recall'"),
        (lambda: AssociativeRetrieval(key_length=0), "key_length=0 is not a whole number of at least 1"),
        (lambda: AssociativeRetrieval(value_length=0), "value_length=0 is not a whole number of at least 1"),
        (lambda: AssociativeRetrieval(symbols=1), "symbols = 1"),
        (lambda: AssociativeRetrieval(symbols=101), "symbols = 101"),
        (lambda: AssociativeRetrieval().episodes(2, 17, generator()), "17 pairs need .* make 16 keys"),
        (lambda: AssociativeRetrieval().episodes(0, 2, generator()), "batch = 0"),
        (lambda: AssociativeRetrieval().episodes(2, 0, generator()), "length = 0"),
    ],
)
def test_errors_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("key_length", "value_length"), [(1, 1), (2, 3)])
def test_what_was_bound_when(key_length, value_length):
    """Distances and displaced values, against pairs that were read one by one."""
    task = AssociativeRetrieval("rewrite", key_length=key_length, value_length=value_length, symbols=3)
    episode = task.episodes(200, 6, generator())
    distance, displaced = task.distance(episode), task.displaced(episode)
    assert displaced is not None
    counted = 0
    for row, inputs in enumerate(episode.inputs.tolist()):
        pairs, query, answer = parse(task, inputs)
        values = [value for key, value in pairs if key == query]
        last = max(index for index, (key, _) in enumerate(pairs) if key == query)
        asked = range(6 * task.segment_length + key_length, 7 * task.segment_length - 2)
        for digit, place in enumerate(asked):
            assert int(distance[row, place]) == place - (last * task.segment_length + key_length + 1 + digit)
            old = values[-2][digit] if len(values) > 1 and values[-2][digit] != answer[digit] else -1
            assert int(displaced[row, place]) == old
            counted += old >= 0
    assert counted > 50
    assert (displaced >= 0).sum() == counted
    assert AssociativeRetrieval().displaced(AssociativeRetrieval().episodes(2, 3, generator())) is None
    assert (task.items(6), AssociativeRetrieval().items(6)) == (None, 6)
