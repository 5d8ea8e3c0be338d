import pytest
import torch

from mnesis.tasks.copying.copy import Copy, Reverse


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("repeats", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 24])
def test_copy_layout(length, repeats):
    task = Copy(symbols=10, repeats=repeats)
    episode = task.episodes(5, length, generator())
    assert episode.inputs.shape == episode.targets.shape == episode.weight.shape == (5, (1 + repeats) * length)
    source = episode.inputs[:, :length]
    assert torch.equal(episode.inputs[:, length], torch.full((5,), task.start))
    assert torch.equal(episode.targets[:, length:], torch.cat([source] * repeats, dim=1))
    assert torch.equal(episode.targets[:, :-1], episode.inputs[:, 1:])
    assert torch.equal(episode.weight, (torch.arange((1 + repeats) * length) >= length).float().expand(5, -1))
    assert int(episode.inputs.max()) < task.vocabulary


@pytest.mark.parametrize("length", [1, 2, 24])
def test_reverse_layout(length):
    task = Reverse(symbols=10)
    episode = task.episodes(5, length, generator())
    assert episode.inputs.shape == episode.targets.shape == episode.weight.shape == (5, 2 * length)
    source = episode.inputs[:, :length]
    for step in range(length):
        assert torch.equal(episode.targets[:, length + step], source[:, length - 1 - step])
    assert torch.equal(episode.targets[:, :-1], episode.inputs[:, 1:])
    assert int(episode.weight.sum()) == 5 * length
    assert not episode.weight[:, :length].any()


def test_paper_setting_makes_72_and_48_tokens():
    assert Copy().episodes(1, 24, generator()).inputs.shape == (1, 72)
    assert Reverse().episodes(1, 24, generator()).inputs.shape == (1, 48)


@pytest.mark.parametrize("task", [Copy(symbols=4), Reverse(symbols=4)])
def test_symbols_are_uniform_and_chance_is_the_best_constant(task):
    episode = task.episodes(2000, 10, generator())
    answers = episode.targets[episode.weight > 0]
    shares = torch.bincount(answers, minlength=task.vocabulary) / len(answers)
    assert shares[task.start] == 0
    assert torch.allclose(shares[:4], torch.full((4,), task.chance), atol=0.015)


@pytest.mark.parametrize("task", [Copy(), Reverse()])
def test_the_generator_decides(task):
    first, again, other = (task.episodes(3, 8, generator(seed)).inputs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Copy(symbols=1),
            "Copy: symbols=1 is not a whole number of at least 2; give symbols=16",
        ),
        (lambda: Reverse(symbols=0), "Reverse: symbols=0 is not a whole number of at least 2"),
        (lambda: Copy(repeats=0), "Copy: repeats=0 is not a whole number of at least 1"),
        (lambda: Copy().episodes(0, 3, generator()), "batch = 0"),
        (lambda: Reverse().episodes(3, 0, generator()), "length = 0"),
        (lambda: Copy().episodes(3, -1, generator()), "length = -1"),
    ],
)
def test_errors_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_no_streaming_form():
    with pytest.raises(TypeError, match="Copy has no streaming form"):
        Copy().stream(1000, 0)
