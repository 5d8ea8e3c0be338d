"""Going back some units is as if they had not been read."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import mnesis
from mnesis import History
from mnesis.core.adapt import adapt
from mnesis.core.catalog import create_memory, list_memories
from mnesis.core.laws.subject import Subject, difference, joined
from mnesis.core.memory import Memory
from mnesis.core.pieces import map_leaves
from mnesis.core.state import leaves, nbytes, take
from mnesis.nets import LanguageModel

from .broken import Leaky


class Seen(NamedTuple):
    picture: Tensor
    reward: Tensor


class Moved(NamedTuple):
    h: Tensor
    count: Tensor


class Agent(Memory[Moved]):
    """Reads a tree, and gives one."""

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Moved:
        h = torch.zeros(batch, 3, device=device, dtype=dtype)
        return Moved(h, torch.zeros(batch, dtype=torch.long, device=device))

    def scan(self, x: Any, state: Moved, phase: int = 0) -> tuple[Any, Moved]:
        h, outputs = state.h, []
        for t in range(x.picture.shape[1]):
            h = 0.5 * h + x.picture[:, t].sum(-1) + x.reward[:, t, None]
            outputs.append(h)
        y = torch.stack(outputs, 1)
        return Seen(y, x.reward * 2), Moved(h, state.count + y.shape[1])

    def draw(self, batch: int, time: int) -> Seen:
        return Seen(torch.randn(batch, time, 3, 2), torch.randint(5, (batch, time)))


class Grows(Leaky):
    """Keeps all that it has read."""

    bounded = False

    def initial_state(self, batch, *, device, dtype):
        return Moved(torch.zeros(batch, 0, self.dim, dtype=dtype), torch.zeros(batch, dtype=torch.long))

    def scan(self, x, state, phase=0):
        h, width = state.h, state.h.shape[1]
        places = state.count[:, None] + torch.arange(x.shape[1])
        h = torch.cat([h, h.new_zeros(len(x), max(0, int(places.max()) + 1 - width), self.dim)], 1)
        h = h.scatter(1, places[..., None].expand(-1, -1, self.dim), x)
        seen = torch.arange(h.shape[1]) <= places[..., None]
        return seen.to(x.dtype) @ h, Moved(h * seen[:, -1, :, None], state.count + x.shape[1])


def language_model() -> LanguageModel:
    return LanguageModel(11, dim=8, memory=("armt", "gru"), options=({"segment": 4, "heads": 2}, {}))


MEMORIES = {
    "a recurrence": lambda: create_memory("gru", dim=6),
    "native lengths": lambda: create_memory("window", dim=8, heads=2, window=5),
    "segments": lambda: create_memory("armt", dim=8, segment=6, memory_tokens=2, memory_dim=4, heads=2),
    "token ids": language_model,
    "trees": Agent,
    "a state that grows": lambda: Grows(6),
}


def drawn(memory: Memory, batch: int, time: int) -> Any:
    return memory.draw(batch, time) if isinstance(memory, Agent) else Subject.draw(_Drawn(memory), batch, time)


class _Drawn:
    """What ``Subject.draw`` asks of a subject."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.dtype, self.generator = memory, torch.float32, None


class Told:
    """What rows have read: a history that keeps all units, and reads them anew each time."""

    def __init__(self, memory: Memory, start: Any, rows: int) -> None:
        self.memory, self.start = memory, start
        self.x: list[Any] = [None] * rows
        self.reset = [torch.zeros(0, dtype=torch.bool)] * rows

    def read(self, x: Any, reset: Tensor, length: list[int]) -> None:
        for row, end in enumerate(length):
            part = units_of(x, slice(row, row + 1), 0, end)
            self.x[row] = part if self.x[row] is None else joined([self.x[row], part])
            self.reset[row] = torch.cat([self.reset[row], reset[row, :end]])

    def back(self, k: list[int]) -> None:
        for row, number in enumerate(k):
            self.reset[row] = self.reset[row][: len(self.reset[row]) - number]
            self.x[row] = units_of(self.x[row], slice(None), 0, len(self.reset[row]))

    def stand(self) -> tuple[Any, Any, list[int]]:
        """All outputs, the state, and how many units each row has read."""
        counts = [len(flags) for flags in self.reset]
        most = max(1, *counts)
        x = joined([map_leaves(x, lambda leaf: padded(leaf, most)) for x in self.x], 0)
        reset = torch.stack([padded(flags[None], most)[0] for flags in self.reset])
        return *self.memory(x, self.start, reset=reset, length=torch.tensor(counts)), counts


def units_of(x: Any, rows: int | slice, begin: int, end: int) -> Any:
    return map_leaves(x, lambda leaf: leaf[rows, begin:end])


def padded(leaf: Tensor, time: int) -> Tensor:
    return torch.cat([leaf, leaf.new_zeros(1, time - leaf.shape[1], *leaf.shape[2:])], 1)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", MEMORIES.values(), ids=MEMORIES)
def test_streams_that_go_back_at_random_are_those_without_what_was_taken_back(make, seed) -> None:
    torch.manual_seed(seed)
    memory, rows, chance = make().eval(), 3, torch.Generator().manual_seed(seed)
    draw = lambda most: int(torch.randint(most + 1, (), generator=chance))  # noqa: E731
    every, keep = [(4, 3), (1, 6), (7, 2)][seed]
    history, start = History(memory, every=every, keep=keep), None
    with torch.no_grad():
        if seed != 1:
            length = torch.tensor([5, 1, 3])
            _, start = memory(drawn(memory, rows, 5), length=length)
        told, state = Told(memory, start, rows), start
        for call in range(6):
            time = [1, 1 + draw(4), 1 + draw(20)][draw(2)]
            x, reset = drawn(memory, rows, time), torch.rand(rows, time, generator=chance) < 0.1
            length = [time] * rows if draw(1) else [draw(time) for _ in range(rows)]
            y, state = history.read(x, state if call == 0 else None, reset, torch.tensor(length))
            told.read(x, reset, length)
            outputs, after, counts = told.stand()
            assert close(state, after)
            for row, end in enumerate(length):
                assert all(not bool(leaf[row, end:].any()) for leaf in leaves(y))
                told_last = units_of(outputs, row, counts[row] - end, counts[row])
                assert difference(told_last, units_of(y, row, 0, end)) < 1e-4
            assert all(reach < keep * every for reach in history.reach)
            k = [draw(reach) for reach in history.reach]
            k = min(k) if draw(1) else k
            history.rollback(k)
            told.back([k] * rows if isinstance(k, int) else k)


def close(found: Any, expected: Any) -> bool:
    """States agree; what one of them is longer by, where they grow, is zero."""
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        if a.ndim > 1:
            width = min(a.shape[1], b.shape[1])
            if bool(a[:, width:].any()) or bool(b[:, width:].any()):
                return False
            a, b = a[:, :width], b[:, :width]
        if difference(b, a) > 1e-4:
            return False
    return True


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.slow
@pytest.mark.parametrize("card", list_memories(), ids=lambda card: card.name)
def test_every_memory_goes_back_one_by_one(card) -> None:
    """From every unit to every unit that is kept, rows at their own places."""
    torch.manual_seed(0)
    memory = create_memory(card.name, **card.example).double().eval()
    x = drawn(memory, 2, 17)
    x = x.double() if x.is_floating_point() else x
    with torch.no_grad():
        states = [memory(x[:, :t])[1] for t in range(1, 18)]
        for k in range(11):
            history = History(memory, every=4, keep=3)
            for part in x.split([1, 9, 7], 1):
                history.read(part)
            assert min(history.reach) == 9
            if k > 9:
                with pytest.raises(ValueError, match="cannot go back 10 units, it keeps the last 9"):
                    history.rollback(k)
                continue
            back = history.rollback([k, 9 - k])
            for row, t in enumerate((17 - k, 8 + k)):
                assert difference(take(states[t - 1], [row]), take(back, [row])) < 1e-9


def test_calls_are_those_of_the_memory() -> None:
    """Outputs, states and gradients, in one call and in many, for as long as nobody goes back."""
    memory = create_memory("gru", dim=4)
    x = torch.randn(2, 50, 4)
    y, state = memory(x)
    history = History(memory, every=8, keep=3)
    y_kept, kept = history.read(x)
    assert difference(y, y_kept) < 1e-6
    assert difference(state, kept) < 1e-6
    weights = list(memory.parameters())
    pairs = zip(*(torch.autograd.grad(out.square().sum(), weights) for out in (y, y_kept)), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)
    state = None
    for part in x.split(9, 1):
        _, state = history.read(part, None if state is None else mnesis.detach(state))
    assert history.reach == [20, 20]  # of 100 units, from the 80th on


def test_a_long_call_is_cut_near_its_end_alone() -> None:
    memory, sizes = Leaky(6), []
    scan, memory.scan = memory.scan, lambda x, *rest: sizes.append(x.shape[1]) or scan(x, *rest)  # type: ignore[method-assign]
    history = History(memory, every=10, keep=3)
    history.read(torch.randn(1, 1004, 6))
    assert sizes == [980, 10, 10, 4]
    assert history.reach == [24]
    history.read(torch.randn(1, 7, 6))
    assert sizes[4:] == [6, 1]
    assert history.reach == [21]


def test_at_most_so_many_units_are_read_anew_and_kept_states_come_back_bit_for_bit() -> None:
    memory = create_memory("gru", dim=4)
    history, states = History(memory, every=8, keep=4), []
    with torch.no_grad():
        for part in torch.randn(2, 40, 4).split(1, 1):
            states.append(history.read(part)[1])
    anew = []
    memory.register_forward_pre_hook(lambda module, given: anew.append(given[0].shape[1]))
    assert difference(history.rollback(1), states[38]) < 1e-6
    assert anew == [7]
    assert torch.equal(leaves(history.rollback(7))[0], leaves(states[31])[0])
    assert difference(history.rollback(range(2)), tuple_of(states, 31, 30)) < 1e-6
    assert anew == [7, 7]
    assert torch.equal(leaves(history.rollback([0, 7]))[0][1:], leaves(states[23])[0][1:])
    assert anew == [7, 7]
    assert history.reach == [16, 8]


def tuple_of(states: list[Any], *which: int) -> Any:
    rows = [take(states[t], [row]) for row, t in enumerate(which)]
    return type(rows[0])(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def test_behind_a_reset_stands_what_it_took_away() -> None:
    memory = create_memory("gru", dim=4)
    history, x = History(memory, every=4), torch.randn(1, 10, 4)
    reset = torch.zeros(1, 10, dtype=torch.bool)
    reset[0, 6] = True
    history.read(x, reset=reset)
    assert difference(history.rollback(4), memory(x[:, :6])[1]) < 1e-6


def test_bytes_are_bounded_and_told() -> None:
    memory = create_memory("gru", dim=4)
    history, sizes = History(memory, every=8, keep=3), []
    assert history.nbytes == 0
    with torch.no_grad():
        for _ in range(6):
            _, state = history.read(torch.randn(2, 8, 4))
            sizes.append(history.nbytes)
    unit = 2 * (4 * 4 + 1)
    assert sizes[-1] == sizes[2] == sizes[3] == 3 * (nbytes(state) + 8 * unit)


def test_another_state_begins_anew() -> None:
    memory = create_memory("gru", dim=4)
    history, x = History(memory, every=4), torch.randn(2, 10, 4)
    _, state = history.read(x)
    _, again = history.read(x, state)
    assert history.reach == [20, 20]
    _, fork = history.read(x[:1], take(again, [1]))
    assert history.reach == [10]
    assert difference(history.rollback(10), take(again, [1])) == 0
    assert history.state is not None
    assert difference(history.read(x[:1])[1], fork) < 1e-6


def test_what_is_raised_leaves_the_history_where_it_stood() -> None:
    class Stumbles(Leaky):
        falls = False

        def scan(self, x, state, phase=0):
            if self.falls and x.shape[1] < 4:
                raise KeyboardInterrupt
            return super().scan(x, state, phase)

    memory = Stumbles(6)
    history = History(memory, every=4, keep=2)
    history.read(torch.randn(2, 6, 6))
    memory.falls, before = True, history.state
    with pytest.raises(KeyboardInterrupt):
        history.read(torch.randn(2, 13, 6))
    memory.falls = False
    assert history.state is before
    assert history.reach == [6, 6]
    model = language_model()
    words = History(model, every=2)
    words.read(torch.tensor([[1, 2, 3]]))
    with pytest.raises(ValueError, match=r"reads token ids of 0\.\.10, and x holds 11"):
        words.read(torch.tensor([[1, 2, 3, 11]]))
    assert words.reach == [3]


def test_modes_may_change_between_calls() -> None:
    history = History(create_memory("gru", dim=4), every=4)
    with torch.inference_mode():
        history.read(torch.randn(2, 3, 4))
    with torch.no_grad():
        history.read(torch.randn(2, 4, 4))
        assert leaves(history.rollback(6))[0].shape[0] == 2


def test_a_module_of_somebody_elses_goes_back() -> None:
    lstm = adapt(nn.LSTM(4, 4, batch_first=True))
    history, x = History(lstm, every=4), torch.randn(2, 11, 4)
    history.read(x)
    assert difference(lstm(x[:, :6])[1].tensors, history.rollback(5).tensors) < 1e-6


REFUSED = {
    "so far": (lambda h: h.rollback(24), "row 0 cannot go back 24 units, it keeps the last 11; give fewer, or build "
               "the history with keep=7 or more"),
    "behind the start": (lambda h: h.rollback([0, 30]), "row 1 cannot go back 30 units, it has read 27 since the "
                         "history began; give fewer"),
    "ahead": (lambda h: h.rollback(-1), "k=-1 is ahead; give whole numbers of units from 0 on"),
    "a half": (lambda h: h.rollback(0.5), "k=0.5 is not a whole number; give whole"),
    "rows": (lambda h: h.rollback([1, 2, 3]), "k has 3 numbers for 2 rows; give"),
    "true": (lambda h: h.rollback(True), "k=True is not a whole number"),
    "halves": (lambda h: h.rollback(torch.tensor([0.5, 1])), "k=0.5 is not a whole number"),
    "none": (lambda h: History(h.memory).rollback(1), "nothing was read that could be taken back; call"),
    "batch": (lambda h: h.read(torch.randn(3, 2, 4)), "state of 2 rows for a batch of 3"),
    "dtype": (lambda h: h.read(torch.randn(2, 2, 4).bfloat16()), r"x holds torch\.bfloat16 \[batch, time, 4\] on cpu "
              r"where the history holds torch.float32 \[batch, time, 4\] on cpu; give units alike"),
    "width": (lambda h: h.read(torch.randn(2, 2, 5)), "reads x of shape"),
    "no state": (lambda h: h.read(torch.randn(2, 2, 4), "state"), "was given the state of another memory"),
    "length": (lambda h: h.read(torch.randn(2, 2, 4), length=torch.tensor([1, 3])), "they must lie in 0..2"),
    "no memory": (lambda h: History(nn.GRU(4, 4)), "memory=.* is not a Memory; give"),
    "no size": (lambda h: History(h.memory, every=0), "every=0 is not a whole number of at least 1"),
}  # fmt: skip


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(call, sentence) -> None:
    history = History(create_memory("gru", dim=4), every=4, keep=3)
    history.read(torch.randn(2, 27, 4))
    with pytest.raises(ValueError, match=sentence) as refused:
        call(history)
    assert "\n" not in str(refused.value)
    assert history.reach == [11, 11]
