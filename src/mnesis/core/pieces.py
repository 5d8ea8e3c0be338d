"""Resets, ragged rows and mixed phases, written once for every memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from .record import regrouped
from .state import concatenate, nbytes, put, take

S = TypeVar("S")
STATES = 2**28
"""Bytes of states that run side by side at most; more pieces than have room in them run in turns."""


@runtime_checkable
class Recurrence(Protocol[S]):
    """What is asked of a memory here; :class:`mnesis.core.memory.Memory` says what all of it means."""

    period: int | None
    native_length: ClassVar[bool]

    def scan(self, x: Any, state: S, phase: int = 0) -> tuple[Any, S]: ...

    def phase_of(self, state: S) -> Int[Tensor, " B"] | None: ...

    def _fresh(self, batch: int, x: Any) -> S: ...


@dataclass
class _Wave:
    """States of some pieces after a scan, and which pieces they are."""

    state: Any
    pieces: Int[Tensor, " n"]


class Pieces(Generic[S]):
    """One call of a memory, cut into pieces that can run side by side.

    Each row is cut at its own resets; pieces are independent, so they run as rows of one batch. A piece that starts off
    the grid first runs to its boundary, grouped by phase. Then lengths are cut by powers of two (no grid), or whole
    periods run first and tails after them: at most log2 T + 1 scans without a grid, 2 period + T / period with one, and
    far fewer where the memory takes tails of different lengths at once (``native_length``). Pieces whose states are
    large run in turns, and a state that nothing goes on from is dropped at once, so that a row that is made fresh at
    every unit needs no room for as many states.
    """

    def __init__(self, memory: Recurrence[S], x: Any, state: S, reset: Tensor | None, length: Tensor | None) -> None:
        self.memory, self.x, self.state = memory, x, state
        self.device = first_leaf(x).device
        self.batch, self.time = first_leaf(x).shape[:2]
        ends = [self.time] * self.batch if length is None else length.tolist()
        marks = [[]] * self.batch if reset is None else [row.nonzero().flatten().tolist() for row in reset.cpu()]
        phases = memory.phase_of(state) if memory.period is not None else None
        row_phases = [0] * self.batch if phases is None else phases.tolist()
        rows, starts, stops, fresh, phase, last = [], [], [], [], [], []
        for row, end in enumerate(ends):
            cuts = [t for t in marks[row] if t < end]
            begins = cuts if cuts and cuts[0] == 0 else [0, *cuts]
            if end == 0:
                continue
            for begin, stop in zip(begins, [*begins[1:], end], strict=True):
                is_fresh = begin in cuts[:1] or begin > 0
                rows.append(row)
                starts.append(begin)
                stops.append(stop)
                fresh.append(is_fresh)
                phase.append(0 if is_fresh else row_phases[row])
            last.append(len(rows) - 1)
        tensor = lambda values: torch.tensor(values, dtype=torch.long)  # noqa: E731
        self.rows, self.start, self.left = tensor(rows), tensor(starts), tensor(stops) - tensor(starts)
        self.phase, self.last = tensor(phase), tensor(last)
        self.fresh = torch.tensor(fresh, dtype=torch.bool)
        self.final = torch.zeros(len(rows), dtype=torch.bool).index_fill(0, self.last, True)
        self.most = max(1, STATES * self.batch // max(nbytes(state), 1))
        self.done = torch.zeros_like(self.left)
        # Wave and row in it of each piece's state; -1 = fresh, and not built before it is needed.
        self.where = torch.full((len(rows), 2), -1, dtype=torch.long)
        self.waves: list[_Wave] = []

    def run(self) -> tuple[Any, S]:
        memory = self.memory
        if len(self.rows) == 0:
            return self._no_output(), self.state
        self._seed()
        self.outputs: list[Any] = []
        self.places: list[Tensor] = []
        with regrouped(self.batch, self.time) as self.grouping:
            if memory.period is None and memory.native_length:
                self._tails(torch.arange(len(self.rows)), 0)
            elif memory.period is None:
                for bit in reversed(range(int(self.left.max()).bit_length())):
                    self._scan(((self.left >> bit) & 1).nonzero().flatten(), 1 << bit, 0)
            else:
                self._to_boundaries(memory.period)
                while len(whole := (self.left - self.done >= memory.period).nonzero().flatten()):
                    periods = int((self.left - self.done)[whole].min()) // memory.period
                    self._scan(whole, periods * memory.period, 0)
                self._tails((self.left > self.done).nonzero().flatten(), 0)
        return self._collect(), self._final_state()

    def _seed(self) -> None:
        """Wave 0: the state that was handed in."""
        if len(kept := (~self.fresh).nonzero().flatten()):
            rows = self.rows[kept]
            whole = len(kept) == self.batch and bool((rows == torch.arange(self.batch)).all())
            self._keep(self.state if whole else take(self.state, rows), kept)

    def _keep(self, state: S, pieces: Tensor) -> None:
        self.where[pieces, 0] = len(self.waves)
        self.where[pieces, 1] = torch.arange(len(pieces))
        self.waves.append(_Wave(state, pieces))

    def _states(self, pieces: Tensor) -> S:
        """The present states of some pieces, gathered from the waves that left them."""
        wave, row = self.where[pieces].unbind(1)
        order, parts = [], []
        for index in wave.unique().tolist():
            chosen = (wave == index).nonzero().flatten()
            order.append(chosen)
            if index < 0:
                parts.append(self.memory._fresh(len(chosen), self.x))
                continue
            wanted, source = row[chosen], self.waves[index]
            all_of_it = len(wanted) == len(source.pieces) and bool((wanted == torch.arange(len(wanted))).all())
            parts.append(source.state if all_of_it else take(source.state, wanted))
        if len(parts) == 1:
            return parts[0]
        gathered = concatenate(parts)
        back = torch.cat(order).argsort()
        return take(gathered, back)

    def _scan(self, pieces: Tensor, units: int, phase: int) -> None:
        for some in pieces.split(self.most) if len(pieces) else ():
            self._scan_at_once(some, units, phase)

    def _scan_at_once(self, pieces: Tensor, units: int, phase: int) -> None:
        first = self.rows[pieces] * self.time + self.start[pieces] + self.done[pieces]
        place = (first[:, None] + torch.arange(units)[None]).to(self.device)
        x = map_leaves(self.x, lambda leaf: leaf.flatten(0, 1)[place])
        self.grouping.next(place)
        y, state = self.memory.scan(x, self._states(pieces), phase)
        self.done[pieces] += units
        needed = self.final[pieces] | (self.done[pieces] < self.left[pieces])
        if needed.all():
            self._keep(state, pieces)
        elif needed.any():
            self._keep(take(state, needed.nonzero().flatten()), pieces[needed])
        self.outputs.append(map_leaves(y, lambda leaf: leaf.flatten(0, 1)))
        self.places.append(place.flatten())

    def _to_boundaries(self, period: int) -> None:
        for phase in self.phase[self.phase > 0].unique().tolist():
            pieces = (self.phase == phase).nonzero().flatten()
            reaching = self.left[pieces] >= period - phase
            self._scan(pieces[reaching], period - phase, phase)
            self._tails(pieces[~reaching], phase)

    def _tails(self, pieces: Tensor, phase: int) -> None:
        """Run pieces that end inside the present period."""
        if not self.memory.native_length:
            while len(rest := pieces[self.left[pieces] > self.done[pieces]]):
                units = int((self.left - self.done)[rest].min())
                self._scan(rest, units, phase)
                phase += units
            return
        last = self.final[pieces]
        fresh = self.where[pieces, 0] < 0
        size = torch.tensor([int(units - 1).bit_length() for units in (self.left - self.done)[pieces]])
        for bits, keep, new in torch.stack([size, last, fresh], 1).unique(dim=0).tolist():
            # padded to at most twice their length
            alike = (size == bits) & (last == bool(keep)) & (fresh == bool(new))
            self._ragged(pieces[alike], phase, keep=bool(keep), fresh=bool(new))

    def _ragged(self, pieces: Tensor, phase: int, *, keep: bool, fresh: bool) -> None:
        """One scan of pieces of different lengths; what stands beyond a piece's end repeats its last unit."""
        length = (self.left - self.done)[pieces]
        units = int(length.max())
        real = torch.arange(units)[None] < length[:, None]
        first = self.rows[pieces] * self.time + self.start[pieces] + self.done[pieces]
        place = first[:, None] + torch.arange(units)[None].clamp(max=length[:, None] - 1)
        x = map_leaves(self.x, lambda leaf: leaf.flatten(0, 1)[place.to(self.device)])
        self.grouping.next(torch.where(real, place, -1).to(self.device))
        options = {"length": length.to(self.device), "keep": keep}
        y, state = cast(Any, self.memory).scan(x, None if fresh else self._states(pieces), phase, **options)
        if keep:
            self._keep(state, pieces)
        self.done[pieces] += length
        real = real.to(self.device)
        self.outputs.append(map_leaves(y, lambda leaf: leaf[real]))
        self.places.append(place.to(self.device)[real])

    def _collect(self) -> Any:
        index = torch.cat(self.places)

        def assemble(*parts: Tensor) -> Tensor:
            flat = torch.cat(parts)
            # In the usual case every unit was read: a permutation, cheaper than filling zeros.
            if len(index) == self.batch * self.time:
                return flat[index.argsort()].unflatten(0, (self.batch, self.time))
            whole = flat.new_zeros(self.batch * self.time, *flat.shape[1:]).index_copy(0, index, flat)
            return whole.unflatten(0, (self.batch, self.time))

        first = self.outputs[0]
        if isinstance(first, Tensor):
            return assemble(*self.outputs)
        return type(first)(*(assemble(*parts) for parts in zip(*self.outputs, strict=True)))

    def _final_state(self) -> S:
        final = self._states(self.last)
        if len(self.last) == self.batch:
            return final
        return put(self.state, self.rows[self.last], final)

    def _no_output(self) -> Any:
        """All rows have length 0: run one unit of a zero input to learn the outputs' shapes."""
        x = map_leaves(self.x, lambda leaf: torch.zeros_like(leaf[:1, :1]))
        with torch.no_grad():
            y, _ = self.memory.scan(x, self.memory._fresh(1, x))
        return map_leaves(y, lambda leaf: leaf.new_zeros(self.batch, self.time, *leaf.shape[2:]))


def first_leaf(x: Any) -> Tensor:
    """The first tensor of an input or output: a tensor itself, or a NamedTuple of tensors."""
    return x if isinstance(x, Tensor) else first_leaf(x[0])


def map_leaves(x: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A function applied to every tensor of an input or output."""
    if isinstance(x, Tensor):
        return function(x)
    return type(x)(*(map_leaves(leaf, function) for leaf in x))
