"""forward: shapes, states, resets and the sentences that say what is wrong."""

from __future__ import annotations

import pytest
import torch

import mnesis
from mnesis.core import pieces
from mnesis.core.memory import align_left
from mnesis.core.state import nbytes, put, take
from mnesis.nets import Stack

from .broken import Leaky


@pytest.fixture
def gru():
    torch.manual_seed(0)
    return mnesis.create_memory("gru", dim=6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, x: m(x[0]), r"add the batch axis: x\[None\]"),
        (lambda m, x: m(x[..., :4]), "build it with dim=4"),
        (lambda m, x: m(x[:, :0]), "at least one row and one unit"),
        (lambda m, x: m(x[:0]), "at least one row and one unit"),
        (lambda m, x: m(x, m(x[:1])[1]), "a state of 1 rows for a batch of 2"),
        (lambda m, x: m(x, mnesis.create_memory("lstm", dim=6)(x)[1]), "state of another memory"),
        (lambda m, x: m(x, mnesis.create_memory("gru", dim=6, hidden=9)(x)[1]), "comes from a memory of another size"),
        (lambda m, x: m(x, reset=torch.zeros(2, 4, dtype=torch.bool)), "give one flag a unit"),
        (lambda m, x: m(x, length=torch.tensor([6, 1])), r"must lie in 0\.\.5"),
        (lambda m, x: m(x, length=torch.tensor([2])), "one whole number a row"),
    ],
)
def test_bad_input_gets_one_sentence(gru, call, sentence) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        call(gru, torch.randn(2, 5, 6))
    assert "\n" not in str(caught.value)


def test_names_are_suggested() -> None:
    with pytest.raises(ValueError, match="did you mean 'armt'"):
        mnesis.create_memory("arrmt", dim=4)
    with pytest.raises(ValueError, match="did you mean 'hidden'"):
        mnesis.create_memory("gru", dim=4, hiden=3)
    with pytest.raises(ValueError, match="needs dim"):
        mnesis.create_memory("gru")


def test_the_configuration_is_the_signature() -> None:
    memory = mnesis.create_memory("rmt", dim=16, segment=5)
    assert memory.config["segment"] == 5
    assert memory.config["memory_tokens"] == 10
    assert "host" in memory.config


def test_cutting_by_time_is_the_oracle() -> None:
    memory = mnesis.create_memory("rmt", dim=8, segment=4, memory_tokens=2, heads=2).double().eval()
    x, reset = torch.randn(5, 33, 8).double(), torch.rand(5, 33) < 0.15
    length = torch.tensor([33, 20, 0, 1, 32])
    y, state = memory(x, reset=reset, length=length)
    assert not y[2].any()
    for row, units in enumerate(length.tolist()):
        expected = memory.initial_state(1, device=x.device, dtype=x.dtype)
        for t in range(units):
            if reset[row, t]:
                expected = memory.initial_state(1, device=x.device, dtype=x.dtype)
            unit, expected = memory.step(x[row : row + 1, t], expected)
            assert torch.allclose(unit[0], y[row, t], atol=1e-10)
        assert torch.allclose(take(state, [row]).carried.memory, expected.carried.memory, atol=1e-10)


def test_reinforcement_learning_rollout_equals_training() -> None:
    memory = mnesis.create_memory("delta-rule", dim=8, heads=2).double().eval()
    observations, done = torch.randn(3, 20, 8).double(), torch.rand(3, 20) < 0.2
    state, acted = None, []
    for t in range(20):
        y, state = memory(observations[:, t : t + 1], state, reset=done[:, t : t + 1])
        acted.append(y)
    learned, _ = memory(observations, reset=done)
    assert torch.allclose(torch.cat(acted, 1), learned, atol=1e-10)


def test_scans_stay_few_however_many_resets() -> None:
    memory, calls = Leaky(4), []
    scan = memory.scan
    memory.scan = lambda *arguments: calls.append(1) or scan(*arguments)  # type: ignore[method-assign]
    memory(torch.randn(16, 256, 4), reset=torch.rand(16, 256) < 0.1)
    assert len(calls) <= 9


@pytest.mark.parametrize("layers", [["gru"], ["delta-rule"], ["gru", "rmt"]], ids="-".join)
def test_large_states_take_turns(layers, monkeypatch) -> None:
    """However many resets, no more rows run at once than have room, and nothing else changes; with a grid, too."""
    torch.manual_seed(0)
    short = mnesis.create_memory("rmt", dim=8, segment=4, memory_tokens=2)
    memory = Stack(8, memory=[short if layer == "rmt" else layer for layer in layers]).double().eval()
    assert memory.period == (4 if "rmt" in layers else None)
    x, reset = torch.randn(4, 33, 8).double().requires_grad_(), torch.rand(4, 33) < 0.3
    reset[0] = True
    state = memory(x[:, :3].detach())[1]

    def read() -> tuple[torch.Tensor, ...]:
        y, after = memory(x, state, reset=reset)
        tail, _ = memory(x, after)
        return y, tail, *torch.autograd.grad(tail.square().sum() + y.square().sum(), x)

    expected = read()
    scan, rows = memory.scan, []

    def counted(x, *arguments, **options):
        rows.append(len(x))
        return scan(x, *arguments, **options)

    monkeypatch.setattr(memory, "scan", counted)
    monkeypatch.setattr(pieces, "STATES", 2 * nbytes(state) // 4)
    found = read()
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(expected, found, strict=True))
    assert max(rows[:-1]) == 2, "two rows' states have room; the last call has no resets"


def test_states_that_nothing_goes_on_from_are_dropped() -> None:
    torch.manual_seed(0)
    memory = Leaky(4)
    x, length = torch.randn(4, 32, 4), torch.tensor([32, 31, 7, 0])
    read = pieces.Pieces(memory, x, memory(x)[1], torch.rand(4, 32) < 0.9, length)
    read.run()
    assert sum(len(wave.pieces) for wave in read.waves) < len(read.rows) / 2
    fresh = pieces.Pieces(memory, x, memory(x)[1], torch.ones(4, 32, dtype=torch.bool), None)
    fresh.run()
    assert [len(wave.pieces) for wave in fresh.waves] == [4], "of each row its last"


def test_left_padding_is_shifted() -> None:
    x = torch.arange(8).reshape(2, 4)
    assert align_left(x, torch.tensor([3, 4]))[0, :3].tolist() == [1, 2, 3]
    assert align_left(x, torch.tensor([3, 4]))[1].tolist() == [4, 5, 6, 7]


def test_rows_are_taken_put_and_counted(gru) -> None:
    _, state = gru(torch.randn(3, 5, 6))
    twice = take(state, [2, 2])
    assert torch.equal(twice.hidden[0], state.hidden[2])
    assert torch.equal(put(state, [0, 1], twice).hidden[1], state.hidden[2])
    assert nbytes(state) == 3 * 6 * 4
    view = type(state)(torch.zeros(100, 6)[:1])
    assert nbytes(view) == 100 * 6 * 4


def test_observables_come_in_the_order_of_the_rows() -> None:
    memory = mnesis.create_memory("delta-rule", dim=8, heads=2).eval()
    x, reset = torch.randn(3, 20, 8), torch.rand(3, 20) < 0.2
    with mnesis.recording() as plain:
        memory(x)
    with mnesis.recording() as regrouped:
        memory(x, reset=reset)
    (expected,), (found,) = plain["delta_rule/write_strength"], regrouped["delta_rule/write_strength"]
    assert torch.allclose(expected, found, atol=1e-6)  # the strength depends on the unit alone
    assert found.requires_grad
