"""States in files: whole or not at all, and never code."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import mnesis
from mnesis.core.state import choose, concatenate, load_state, put, save_state


class Growing(NamedTuple):
    keys: Tensor
    count: Tensor


def test_a_state_survives_a_file(tmp_path) -> None:
    memory = mnesis.create_memory("armt", dim=8, segment=4, memory_tokens=2, memory_dim=4, heads=2)
    _, state = memory(torch.randn(2, 7, 8))
    path = tmp_path / "deep" / "state.safetensors"
    save_state(state, path, about=memory.describe())
    restored = load_state(path, about=memory.describe())
    assert type(restored) is type(state)
    assert type(restored.carried[0]) is type(state.carried[0])
    x = torch.randn(2, 7, 8)
    assert torch.equal(memory(x, state)[0], memory(x, restored)[0])


def test_a_state_of_another_memory_is_refused(tmp_path) -> None:
    small, large = (mnesis.create_memory("gru", dim=4, hidden=hidden) for hidden in (4, 5))
    _, state = small(torch.randn(1, 3, 4))
    save_state(state, tmp_path / "s", about=small.describe())
    with pytest.raises(ValueError, match="was made with arguments"):
        load_state(tmp_path / "s", about=large.describe())


def test_a_state_of_before_an_option(tmp_path) -> None:
    """What is newer than the file must be at its default."""
    window, other = (mnesis.create_memory("window", dim=8, window=3, rotary_fraction=share) for share in (1.0, 0.0))
    _, state = window(torch.randn(1, 3, 8))
    about = window.describe()
    arguments = json.loads(about["arguments"])
    del arguments["rotary_fraction"], arguments["output_bias"]
    save_state(state, tmp_path / "s", about=about | {"arguments": json.dumps(arguments, sort_keys=True)})
    assert torch.equal(load_state(tmp_path / "s", about=about).key, state.key)
    wider = mnesis.create_memory("window", dim=8, window=4)
    for memory in (other, wider):
        with pytest.raises(ValueError, match="was made with arguments"):
            load_state(tmp_path / "s", about=memory.describe())
    # Not the other way round: an option that is unknown here may have meant anything.
    save_state(state, tmp_path / "t", about=about | {"arguments": json.dumps({**arguments, "unknown": 1})})
    with pytest.raises(ValueError, match="was made with arguments"):
        load_state(tmp_path / "t", about=about)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda path: None, "no state file"),
        (lambda path: path.write_bytes(b"\x80\x04pickle"), "not a whole safetensors file"),
        (lambda path: save_file({"a": torch.zeros(1)}, path), "holds no mnesis state"),
        (
            lambda path: save_file({"a": torch.zeros(1)}, path, {"mnesis_state": "99", "structure": "null"}),
            "reads up to",
        ),
        (
            lambda path: save_file({}, path, {"mnesis_state": "1", "structure": '["os:stat_result", null]'}),
            "fewer tensors|needs the state class",
        ),
        (
            lambda path: save_file({"0": torch.ones(1)}, path, {"mnesis_state": "1", "structure": '["a:Zen", null]'}),
            "needs the state class a:Zen",
        ),
    ],
)
def test_a_broken_file_gets_one_sentence(tmp_path, content, sentence) -> None:
    path = tmp_path / "state.safetensors"
    content(path)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        load_state(path)


def test_a_truncated_file_is_refused(tmp_path) -> None:
    path = tmp_path / "state.safetensors"
    save_state((torch.randn(2, 100),), path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="truncated"):
        load_state(path)


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "state.safetensors"
    save_state((torch.ones(2),), path)
    monkeypatch.setattr("mnesis.core.tensors.save_file", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_state((torch.zeros(2),), path)
    assert load_state(path)[0].tolist() == [1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_growing_leaves_are_padded() -> None:
    old = Growing(torch.ones(2, 3, 1), torch.tensor([3, 3]))
    new = Growing(torch.full((1, 5, 1), 2.0), torch.tensor([5]))
    both = put(old, [1], new)
    assert both.keys.shape == (2, 5, 1)
    assert both.keys[0, :, 0].tolist() == [1, 1, 1, 0, 0]
    assert concatenate([old, new]).keys.shape == (3, 5, 1)


class Store(NamedTuple):
    kept: torch.Tensor
    count: torch.Tensor

    growing = {"kept": "count"}  # noqa: RUF012 - of a NamedTuple


def test_growing_leaves_are_as_long_as_their_fullest_row() -> None:
    kept = torch.arange(1.0, 7.0).view(2, 3, 1) * torch.tensor([[1.0, 1, 1], [1, 0, 0]])[..., None]
    state = (Store(kept, torch.tensor([3, 1])),)
    short = mnesis.take(state, [1, 1])
    assert short[0].kept.shape == (2, 1, 1)
    assert mnesis.take(state, [1, 0])[0].kept.shape == (2, 3, 1)
    both = mnesis.put(state, [0], mnesis.take(short, [0]))
    assert both[0].kept.tolist() == [[[4.0]], [[4.0]]]
    grown = mnesis.put(short, [0], mnesis.take(state, [0]))
    assert grown[0].kept.flatten(1).tolist() == [[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
    joined = concatenate([short, mnesis.take(state, [0])])
    assert joined[0].kept.shape == (3, 3, 1)
    assert joined[0].count.tolist() == [1, 1, 3]
    chosen = choose(torch.tensor([False, True]), state[0], short[0])
    assert chosen.kept.flatten(1).tolist() == [[4.0], [4.0]]
    chosen = choose(torch.tensor([True, False]), state[0], short[0])
    assert chosen.kept.flatten(1).tolist() == [[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
