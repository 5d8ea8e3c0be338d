"""Going back: a reader of streams that keeps states on a grid, and reads anew the units that follow them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .domain import Checked, require
from .memory import Memory, check_length, check_mask
from .pieces import first_leaf, map_leaves
from .state import concatenate, detach, leaves, nbytes, put, structure, take, tree_map

S = TypeVar("S")


@dataclass
class _Slot:
    """A state of every row, and the units that were read after it until the next one was kept."""

    state: Any
    x: Any
    """``[B every ...]``; what was not read yet, or was taken back, stands there and is not looked at."""
    reset: Bool[Tensor, "B every"]


class _Part(NamedTuple):
    """Units of a call, for every row: where they begin, and how many they are."""

    begin: np.ndarray
    size: np.ndarray

    @property
    def together(self) -> bool:
        """Whether all rows read the same."""
        return bool((self.begin == self.begin[0]).all() and (self.size == self.size[0]).all() and self.size[0])


class History(Checked, Generic[S]):
    """Reads streams with a memory, and goes back: to the state of any row some units ago.

    A recurrence cannot be run backwards, so states are kept, and the units after them are read anew. Every row has a
    grid of its own: after each ``every`` units that *it* has read its state is kept, detached, with the units that
    follow; the latest ``keep`` of these stay. Going back reads at most ``every - 1`` units anew, and none where a state
    was kept, which comes back bit for bit. A row reaches ``(keep - 1) every`` units back as soon as it has read as
    many, at most ``keep every - 1``, and never behind its start; :attr:`reach` says how far it is at present.

    Calls may be of any length. They are cut where states are kept, which changes nothing but rounding; a long call is
    cut near its end alone, where states are kept that no later one overtakes.

    >>> history = mnesis.History(memory, every=64, keep=8)
    >>> y, state = history.read(x)      # as memory(x)
    >>> y, state = history.read(draft)  # goes on from there
    >>> state = history.rollback(5)     # as if the last five units had not been read
    >>> y, state = history.read(other)  # goes on from there

    What is read anew is read without gradients, by the weights and in the mode (``eval``, autocast) of that moment.

    Args:
        memory: any memory.
        every: units from one kept state to the next.
        keep: states that are kept at most.

    Raises:
        ValueError: what is no memory, or a size below 1.
    """

    def __init__(self, memory: Memory[S], *, every: int = 64, keep: int = 8) -> None:
        self.memory, self.every, self.keep = memory, every, keep
        self._state: S | None = None
        self._slots: dict[int, _Slot] = {}
        """State i of a row's grid, that after i * every units, stands in slot i % keep."""
        self._count = np.zeros(0, dtype=np.int64)
        """Units that each row has read."""
        self._oldest = np.zeros(0, dtype=np.int64)
        """Which state of its grid is the oldest that each row can go back to."""

    @property
    def state(self) -> S | None:
        """Where the rows stand at present; None before anything was read."""
        return self._state

    @property
    def reach(self) -> list[int]:
        """How many units each row can go back at present; empty before anything was read."""
        return (self._count - self._oldest * self.every).tolist()

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept: the states, the units after them, and the present state."""
        kept = [(slot.state, slot.x, slot.reset) for slot in self._slots.values()]
        return nbytes(((), *kept) if self._state is None else (self._state, *kept))

    def read(
        self,
        x: Any,
        state: S | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Any, S]:
        """Read on, as the memory does.

        Args:
            x: ``[B T ...]``, a tensor or a NamedTuple of tensors.
            state: None, or the state that was returned last, detached or not: go on from there (at first from a fresh
                one). Any other begins the history anew, and nobody goes back behind it.
            reset: ``reset[b, t]`` makes the state of row b fresh before unit t. Going back behind it gives what the
                state was there.
            length: units of each row that are real, 0..T. The others are not counted.

        Returns:
            Outputs ``[B T ...]`` and the state after the last real unit of each row, with gradients as the memory gives
            them.

        Raises:
            ValueError: what the memory refuses, or units of another dtype or shape than those that are kept. Whatever
                is raised, the history stands where it stood.
        """
        batch, time = self.memory._check_input(x)
        reset, length = check_mask(reset, batch, time), check_length(length, batch, time)
        goes_on = self._state is not None and (state is None or _same(state, self._state))
        present = self._state if goes_on and state is None else state
        present = self.memory._fresh(batch, x) if present is None else present
        if not goes_on or len(self._count) != batch:
            self.memory._check_state(present, batch)
        if goes_on:
            self._check_units(x)
        begins, outputs, states = present, [], []
        count = self._count if goes_on else np.zeros(batch, dtype=np.int64)
        parts = self._parts(count, np.full(batch, time) if length is None else length.cpu().numpy())
        for part in parts:
            y, present = _read_part(self.memory, x, present, reset, part)
            outputs.append(y)
            states.append(present)
        if not goes_on:
            self._slots, self._count, self._oldest = {}, count, np.zeros_like(count)
            self._keep(x, begins, np.arange(batch))
        for part, after in zip(parts, states, strict=True):
            self._take_in(x, reset, part, after)
        self._state = present
        return _assembled(outputs, parts, time), present

    def rollback(self, k: int | Sequence[int] | Int[Tensor, " B"]) -> S:
        """Go back, and read on from there: what was read since counts no more.

        Args:
            k: units, one number or one a row; a row stays where it is with 0. What stands beyond a row's length is no
                unit.

        Returns:
            The state of each row ``k`` units ago, detached.

        Raises:
            ValueError: nothing was read yet, or a row does not reach so far back (:attr:`reach`).
        """
        if self._state is None:
            raise ValueError("nothing was read that could be taken back; call read(x) first")
        units = self._checked(k)
        if not units.any():
            return detach(self._state)
        rows, count = units.nonzero()[0], self._count - units
        back = self._state_at(rows, count[rows])
        self._state = back = back if len(rows) == len(count) else put(detach(self._state), rows.tolist(), back)
        self._count = count
        return back

    def _checked(self, k: Any) -> np.ndarray:
        """Units to go back, of every row."""
        batch, mend = len(self._count), "give whole numbers of units from 0 on, one for all rows or one for each"
        given = k.tolist() if isinstance(k, (Tensor, np.ndarray)) else k
        units = list(given) if isinstance(given, (list, tuple, range)) else [given] * batch
        for each in units:
            require(each, int, "k", mend)
        if len(units) != batch or min(units) < 0:
            wrong = (
                f"k has {len(units)} numbers for {batch} rows" if len(units) != batch else f"k={min(units)} is ahead"
            )
            raise ValueError(f"{wrong}; {mend}")
        for row, (number, reach) in enumerate(zip(units, self.reach, strict=True)):
            if number > self._count[row]:
                raise ValueError(
                    f"row {row} cannot go back {number} units, it has read {self._count[row]} since the history began; "
                    "give fewer"
                )
            if number > reach:
                raise ValueError(
                    f"row {row} cannot go back {number} units, it keeps the last {reach}; give fewer, or build the "
                    f"history with keep={-(-number // self.every) + 1} or more"
                )
        return np.array(units, dtype=np.int64)

    def _check_units(self, x: Any) -> None:
        """Units that follow others in a slot are of their kind."""
        kept = next(iter(self._slots.values())).x
        if structure(kept) != structure(x):
            raise ValueError(
                f"x is a {type(x).__name__} where the history holds a {type(kept).__name__}; start another"
            )
        for had, has in zip(leaves(kept), leaves(x), strict=True):
            if (had.dtype, had.device, had.shape[2:]) != (has.dtype, has.device, has.shape[2:]):
                told = [
                    f"{t.dtype} [batch, time{''.join(f', {n}' for n in t.shape[2:])}] on {t.device}" for t in (has, had)
                ]
                raise ValueError(
                    f"x holds {told[0]} where the history holds {told[1]}; give units alike, or start another History"
                )

    def _parts(self, count: np.ndarray, ends: np.ndarray) -> list[_Part]:
        """Pieces of a call, each of which ends where rows keep a state that stays, or where they end."""
        first, last = count // self.every + 1, (count + ends) // self.every
        first = np.maximum(first, last - self.keep + 1)
        edges = [np.zeros_like(count)]
        for index in range(max(1, int((last - first).max()) + 2)):
            edges.append(np.minimum((first + index) * self.every - count, ends))
        parts = [_Part(begin, end - begin) for begin, end in pairwise(edges)]
        return [part for part in parts if part.size.any()] or parts[:1]

    def _take_in(self, x: Any, reset: Tensor | None, part: _Part, after: Any) -> None:
        """Note what a part has read: its units, behind the states that they follow, and the state after them."""
        index, offset = np.divmod(self._count, self.every)
        # A piece that goes beyond the next point of the grid leaves nothing that could be read anew.
        fits = offset + part.size <= self.every
        for slot, at, size, rows in _alike(index % self.keep, offset, part.size, (part.size > 0) & fits):
            self._write(self._slots[slot], at, size, rows, x, reset, part.begin[rows])
        self._count = self._count + part.size
        now = self._count // self.every
        oldest = np.where(fits, np.maximum(self._oldest, now - self.keep + 1), now)
        self._oldest = np.where(now > index, oldest, self._oldest)
        if len(reached := (now > index).nonzero()[0]):
            self._keep(x, after, reached)

    def _write(
        self, slot: _Slot, at: int, size: int, rows: np.ndarray, x: Any, reset: Tensor | None, begin: np.ndarray
    ) -> None:
        """Units of some rows, which stand in ``x`` from ``begin`` on, into a slot."""
        pairs = list(zip(leaves(slot.x), leaves(x), strict=True))
        if reset is not None:
            pairs.append((slot.reset, reset))
        together = len(rows) == len(self._count) and (begin == begin[0]).all()
        with torch.no_grad():
            if reset is None:
                slot.reset[torch.from_numpy(rows).to(slot.reset.device), at : at + size] = False
            for kept, given in pairs:
                if together:
                    kept[:, at : at + size] = given[:, begin[0] : begin[0] + size]
                    continue
                row = torch.from_numpy(rows).to(kept.device)[:, None]
                source = torch.from_numpy(begin[:, None] + np.arange(size)).to(kept.device)
                kept[row, torch.arange(at, at + size, device=kept.device)] = given[row, source]

    def _keep(self, x: Any, state: Any, rows: np.ndarray) -> None:
        """Keep the states of rows that have come to a point of their grids; ``x`` is what their units are like."""
        batch, places, state = len(self._count), self._count[rows] // self.every % self.keep, detach(state)
        for place in np.unique(places).tolist():
            own = rows[places == place]
            if (slot := self._slots.get(place)) is not None:
                slot.state = state if len(own) == batch else put(slot.state, own.tolist(), take(state, own.tolist()))
                continue
            with torch.inference_mode(False):  # written to later, in whatever mode
                units = map_leaves(x, lambda leaf: leaf.new_zeros(batch, self.every, *leaf.shape[2:]))
                flags = torch.zeros(batch, self.every, dtype=torch.bool, device=first_leaf(x).device)
            self._slots[place] = _Slot(state, units, flags)

    def _state_at(self, rows: np.ndarray, count: np.ndarray) -> Any:
        """The states of some rows after so many units, which are kept or read anew."""
        places, left = count // self.every % self.keep, count % self.every
        most, order, found = int(left.max()), [], []
        for place in np.unique(places).tolist():
            slot, own = self._slots[place], (places == place).nonzero()[0]
            tree = (slot.state, map_leaves(slot.x, lambda leaf: leaf[:, :most]), slot.reset[:, :most])
            found.append(tree if len(own) == len(self._count) else take(tree, rows[own].tolist()))
            order.append(own)
        tree = concatenate(found)
        state, x, reset = tree if len(found) == 1 else take(tree, np.concatenate(order).argsort().tolist())
        if not most:
            return state
        with torch.no_grad():
            _, state = _read_part(self.memory, x, state, check_mask(reset, *reset.shape), _Part(left * 0, left))
        return detach(state)


def _same(state: Any, other: Any) -> bool:
    """Whether two states are one, whatever graphs they belong to."""
    if state is other:
        return True
    if not isinstance(state, (Tensor, tuple)) or not isinstance(other, (Tensor, tuple)):
        return False
    try:
        if structure(state) != structure(other):
            return False
    except TypeError:
        return False
    return all(
        (a.data_ptr(), a.shape, a.stride(), a.dtype) == (b.data_ptr(), b.shape, b.stride(), b.dtype)
        for a, b in zip(leaves(state), leaves(other), strict=True)
    )


def _alike(
    slots: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, chosen: np.ndarray
) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Rows whose units go to one place: slot, offset in it, how many, and the rows."""
    rows = chosen.nonzero()[0]
    every = np.stack([slots, offsets, sizes], 1)[rows]
    if len(rows) and (every == every[0]).all():  # what streams without padding pass
        yield *every[0].tolist(), rows
        return
    places, which = np.unique(every, axis=0, return_inverse=True)
    for number, (slot, offset, size) in enumerate(places.tolist()):
        yield slot, offset, size, rows[which.reshape(-1) == number]


def _read_part(memory: Memory, x: Any, state: Any, reset: Tensor | None, part: _Part) -> tuple[Any, Any]:
    """Read the units of a part; outputs are as many as its longest row has, at least one."""
    most, time = max(1, int(part.size.max())), first_leaf(x).shape[1]
    if part.together:
        cut = slice(int(part.begin[0]), int(part.begin[0]) + most)
        flags = None if reset is None else reset[:, cut]
        return memory(x if most == time else map_leaves(x, lambda leaf: leaf[:, cut]), state, reset=flags)
    device = first_leaf(x).device
    place = torch.from_numpy(np.minimum(part.begin[:, None] + np.arange(most), time - 1)).to(device)
    row = torch.arange(len(place), device=device)[:, None]
    flags = None if reset is None else reset[row, place]
    length = torch.from_numpy(part.size).to(device)
    return memory(map_leaves(x, lambda leaf: leaf[row, place]), state, reset=flags, length=length)


def _assembled(outputs: list[Any], parts: list[_Part], time: int) -> Any:
    """Outputs of the parts of a call at the places of their units; 0 beyond a row's end."""
    if all(part.together for part in parts) and sum(int(part.size[0]) for part in parts) == time:
        return outputs[0] if len(outputs) == 1 else tree_map(lambda *each: torch.cat(each, 1), *outputs)
    place, before = np.full((len(parts[0].size), time), -1), 0
    for y, part in zip(outputs, parts, strict=True):
        offset = np.arange(time) - part.begin[:, None]
        place = np.where((offset >= 0) & (offset < part.size[:, None]), before + offset, place)
        before += first_leaf(y).shape[1]

    def assemble(*each: Tensor) -> Tensor:
        index = torch.from_numpy(place).to(each[0].device)
        row = torch.arange(len(index), device=index.device)[:, None]
        beyond = (index < 0).reshape(*index.shape, *[1] * (each[0].ndim - 2))
        return torch.cat(each, 1)[row, index.clamp(min=0)].masked_fill(beyond, 0)

    return tree_map(assemble, *outputs)
