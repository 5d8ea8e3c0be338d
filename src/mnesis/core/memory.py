"""The contract: a memory is a recurrence over a sequence, and splitting the sequence anywhere changes nothing."""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .record import regrouped
from .state import batch_size, concatenate, leaves, put, structure, take

S = TypeVar("S")
C = TypeVar("C")


class Memory(nn.Module, Generic[S]):
    """``x [B T ...], state -> y [B T ...], state``: the same outputs, state and gradients for any cut of the stream.

    An author writes ``initial_state`` and ``scan``; with a grid (segments, inner minibatches) also ``period`` and
    ``phase_of``. Callers use ``forward`` (any resets, ragged rows) and ``step`` (one unit). A fresh state stands at
    phase 0. Constructor arguments are kept: ``config`` is the signature as called.
    """

    period: int | None = None
    """Length of the grid, a constant of the mechanism; None where every unit is alike."""
    bounded: ClassVar[bool] = True
    """False where the state grows with the stream."""
    native_reset: ClassVar[bool] = False
    """True where ``scan`` takes ``reset=`` and handles it in its own arithmetic."""
    native_length: ClassVar[bool] = False
    """True where ``scan`` takes ``length=``, the units of each row that are real, as long as no row reaches the end of
    its period; and ``keep=False``, for rows whose state nobody wants (it may then be returned as None)."""
    dim: int | None = None
    """Width of the input vectors; None where the input is something else (token ids, a tree)."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Memory[S]:
        self = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:
            return self  # __init__ is about to say what is wrong; copying an object passes no arguments at all
        bound.apply_defaults()
        self.__dict__["_arguments"] = dict(list(bound.arguments.items())[1:])
        return self

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, defaults included."""
        return dict(self.__dict__["_arguments"])

    def describe(self) -> dict[str, str]:
        """Class and constructor arguments as text, to be kept beside a saved state (``save_state(about=...)``)."""
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        return {"memory": name, "arguments": json.dumps(self.config, sort_keys=True, default=_describe)}

    def parts(self) -> tuple[Memory[S], Callable[[Any], Any]]:
        """The recurrence, and the part of the output that needs no state (a head over the vocabulary).

        ``forward`` applies both; training applies the second only to the units that are asked about.
        """
        return self, lambda y: y

    @property
    def backend(self) -> str:
        """What runs the recurrence; mechanisms with kernels name them here."""
        return "torch"

    @abstractmethod
    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> S:
        """The state before the first unit; learned starts expand a Parameter. Leaves own their storage."""

    @abstractmethod
    def scan(self, x: Any, state: S, phase: int = 0) -> tuple[Any, S]:
        """Read T >= 1 units of rows that all stand at ``phase`` of the grid."""

    def phase_of(self, state: S) -> Int[Tensor, " B"] | None:
        """Where each row stands in the grid, 0..period-1; None without a grid."""
        return None

    def step(self, x: Any, state: S) -> tuple[Any, S]:
        """Read one unit of every row, ``x [B ...]``; rows may stand at different phases."""
        x = _map_input(x, lambda leaf: leaf.unsqueeze(1))
        if self.period is None:
            y, state = self.scan(x, state)
        else:
            y, state = _Pieces(self, x, state, None, None).run()
        return _map_input(y, lambda leaf: leaf.squeeze(1)), state

    @final
    def forward(
        self,
        x: Any,
        state: S | None = None,
        *,
        reset: Bool[Tensor, "B T"] | None = None,
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Any, S]:
        """Read a batch of sequences.

        Args:
            x: ``[B T ...]``, a tensor or a NamedTuple of tensors.
            state: where each row stands; None = fresh.
            reset: ``reset[b, t]`` makes the state of row b fresh before unit t.
            length: units of each row that are real, 0..T; what stands beyond them is never read, the outputs there
                are 0, and a row of length 0 keeps its state. (Align left-padded rows with ``align_left`` first.)

        Returns:
            Outputs ``[B T ...]`` and the state after the last real unit of each row.

        Raises:
            ValueError: shapes, batch sizes or a state that do not fit; the message names the value and the mend.
        """
        batch, time = self._check_input(x)
        if state is None:
            fresh = self._fresh(batch, x)
            state = fresh
        else:
            self._check_state(state, batch)
            fresh = None
        reset = _check_mask(reset, batch, time)
        length = _check_length(length, batch, time)
        if reset is None and length is None:
            if self.period is None or fresh is not None:
                return self.scan(x, state)
            phases = cast(Tensor, self.phase_of(state)).tolist()
            if min(phases) == max(phases):
                return self.scan(x, state, phases[0])
        if self.native_reset and length is None and reset is not None and self.period is None:
            return cast(Any, self).scan(x, state, reset=reset)
        return _Pieces(self, x, state, reset, length).run()

    def _fresh(self, batch: int, x: Any) -> S:
        leaf = _first(x)
        return self.initial_state(batch, device=leaf.device, dtype=self.compute_dtype(x))

    def compute_dtype(self, x: Any) -> torch.dtype:
        """The dtype of the arithmetic on this input: its own if floating (autocast's if on), else the parameters'."""
        leaf = _first(x)
        if torch.is_autocast_enabled(leaf.device.type):
            return torch.get_autocast_dtype(leaf.device.type)
        if leaf.is_floating_point():
            return leaf.dtype
        return next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.get_default_dtype())

    def _check_input(self, x: Any) -> tuple[int, int]:
        leaf, name = _first(x), type(self).__name__
        if self.dim is not None and (leaf.ndim != 3 or leaf.shape[-1] != self.dim):
            raise ValueError(
                f"{name} reads x of shape [batch, time, {self.dim}], not {list(leaf.shape)}"
                + ("; add the batch axis: x[None]" if leaf.ndim == 2 and leaf.shape[-1] == self.dim else "")
                + (f"; build it with dim={leaf.shape[-1]}" if leaf.ndim == 3 else "")
            )
        if leaf.ndim < 2:
            raise ValueError(
                f"{name} reads x of shape [batch, time, ...], not {list(leaf.shape)}; add the missing axes"
            )
        batch, time = leaf.shape[:2]
        if batch == 0 or time == 0:
            raise ValueError(
                f"{name} reads at least one row and one unit, not x of shape {list(leaf.shape)}; skip the call"
            )
        return batch, time

    def _check_state(self, state: S, batch: int) -> None:
        name = type(self).__name__
        expected = self.__dict__.get("_reference")
        if expected is None:
            like = next(self.parameters(), torch.empty(0))
            with torch.no_grad():
                reference = self.initial_state(1, device=like.device, dtype=like.dtype)
            expected = (structure(reference), [tuple(leaf.shape[1:]) for leaf in leaves(reference)])
            self.__dict__["_reference"] = expected
        try:
            found = structure(state)
        except AttributeError:
            found = type(state).__name__
        if found != expected[0]:
            raise ValueError(
                f"{name} was given the state of another memory ({_name(found)} instead of {_name(expected[0])}); "
                "pass the state that this memory returned, or None to start fresh"
            )
        rows = batch_size(state)
        if rows is not None and rows != batch:
            raise ValueError(
                f"{name} was given a state of {rows} rows for a batch of {batch}; "
                "choose rows with mnesis.take(state, rows)"
            )
        for leaf, shape in zip(leaves(state), expected[1], strict=True):
            if tuple(leaf.shape[1:]) != shape and self.bounded:
                raise ValueError(
                    f"{name} was given a state with a leaf of shape {list(leaf.shape)} where it keeps [{batch}, "
                    f"{', '.join(map(str, shape))}]; it comes from a memory of another size"
                )


class HostLayer(Protocol[C]):
    """One causal layer of a host (an nn.Module). Its cache holds what later units of a segment need of earlier ones."""

    def initial_cache(self, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype) -> C:
        """An empty cache of fixed size for segments of at most ``capacity`` units; a tree of [B ...] tensors."""
        ...

    def __call__(
        self,
        h: Float[Tensor, "B T D"],
        cache: C | None = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], C | None]:
        """Run T more units of the segment.

        Args:
            h: hidden states.
            cache: of the units before these; None = there are none, and none is wanted back.
            position: how many units the cache holds; a tensor where rows differ (then T = 1). Units beyond the cache's
                capacity are answered but not kept.
            both_ways: this many first and last units of the call see one another in both directions
                (blocks of memory tokens); the first only at position 0.
            length: units of each row that the cache shall keep; None = all. (The others only pad.)
        """
        ...


@runtime_checkable
class Host(Protocol):
    """What a segment memory wraps (an nn.Module): layers in order, an embedding in, a final norm and a head out.

    Memories reach between ``layers``; ``embed``, ``norm`` and ``head`` may be the identity.
    """

    dim: int
    layers: nn.ModuleList

    def embed(self, x: Tensor) -> Float[Tensor, "B T D"]: ...

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]: ...

    def head(self, h: Float[Tensor, "B T D"]) -> Tensor: ...


def align_left(x: Tensor, length: Int[Tensor, " B"]) -> Tensor:
    """Shift left-padded rows ``[B T ...]`` so that their ``length`` real units come first."""
    batch, time = x.shape[:2]
    shift = (time - length)[:, None]
    index = (torch.arange(time, device=x.device)[None] + shift) % time
    return x.gather(1, index.reshape(batch, time, *[1] * (x.ndim - 2)).expand_as(x))


@dataclass
class _Wave:
    """States of some pieces after a scan, and which pieces they are."""

    state: Any
    pieces: Int[Tensor, " n"]


class _Pieces(Generic[S]):
    """Resets, ragged rows and mixed phases, written once.

    Each row is cut at its own resets; pieces are independent, so they run as rows of one batch. A piece that starts off
    the grid first runs to its boundary, grouped by phase. Then lengths are cut by powers of two (no grid), or whole
    periods run first and tails after them: at most log2 T + 1 scans without a grid, 2 period + T / period with one, and
    far fewer where the memory takes tails of different lengths at once (``native_length``).
    """

    def __init__(self, memory: Memory[S], x: Any, state: S, reset: Tensor | None, length: Tensor | None) -> None:
        self.memory, self.x, self.state = memory, x, state
        self.device = _first(x).device
        self.batch, self.time = _first(x).shape[:2]
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
        self.done = torch.zeros_like(self.left)
        self.where = torch.full((len(rows), 2), -1, dtype=torch.long)  # wave and row in it of each piece's state
        self.waves: list[_Wave] = []

    def run(self) -> tuple[Any, S]:
        memory = self.memory
        if len(self.rows) == 0:
            return self._no_output(), self.state
        self._seed()
        self.outputs: list[Any] = []
        self.places: list[Tensor] = []
        with regrouped(self.batch, self.time) as self.grouping:
            if memory.period is None:
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
        """Wave 0 and 1: the states that pieces start from."""
        kept, fresh = (~self.fresh).nonzero().flatten(), self.fresh.nonzero().flatten()
        if len(kept):
            rows = self.rows[kept]
            whole = len(kept) == self.batch and bool((rows == torch.arange(self.batch)).all())
            self._keep(self.state if whole else take(self.state, rows), kept)
        if len(fresh):
            self._keep(self.memory._fresh(len(fresh), self.x), fresh)

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
            wanted = row[chosen]
            source = self.waves[index]
            all_of_it = len(wanted) == len(source.pieces) and bool((wanted == torch.arange(len(wanted))).all())
            parts.append(source.state if all_of_it else take(source.state, wanted))
            order.append(chosen)
        if len(parts) == 1:
            return parts[0]
        gathered = concatenate(parts)
        back = torch.cat(order).argsort()
        return take(gathered, back)

    def _scan(self, pieces: Tensor, units: int, phase: int) -> None:
        if not len(pieces):
            return
        first = self.rows[pieces] * self.time + self.start[pieces] + self.done[pieces]
        place = (first[:, None] + torch.arange(units)[None]).to(self.device)
        x = _map_input(self.x, lambda leaf: leaf.flatten(0, 1)[place])
        self.grouping.next(place)
        y, state = self.memory.scan(x, self._states(pieces), phase)
        self._keep(state, pieces)
        self.done[pieces] += units
        self.outputs.append(_map_input(y, lambda leaf: leaf.flatten(0, 1)))
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
        last = torch.zeros(len(self.left), dtype=torch.bool).index_fill(0, self.last, True)[pieces]
        size = torch.tensor([int(units - 1).bit_length() for units in (self.left - self.done)[pieces]])
        for bits in size.unique().tolist():  # padded to at most twice their length
            for keep in (False, True):
                self._ragged(pieces[(size == bits) & (last == keep)], phase, keep)

    def _ragged(self, pieces: Tensor, phase: int, keep: bool) -> None:
        """One scan of pieces of different lengths; what stands beyond a piece's end repeats its last unit."""
        if not len(pieces):
            return
        length = (self.left - self.done)[pieces]
        units = int(length.max())
        real = torch.arange(units)[None] < length[:, None]
        first = self.rows[pieces] * self.time + self.start[pieces] + self.done[pieces]
        place = first[:, None] + torch.arange(units)[None].clamp(max=length[:, None] - 1)
        x = _map_input(self.x, lambda leaf: leaf.flatten(0, 1)[place.to(self.device)])
        self.grouping.next(torch.where(real, place, -1).to(self.device))
        options = {"length": length.to(self.device), "keep": keep}
        y, state = cast(Any, self.memory).scan(x, self._states(pieces), phase, **options)
        if keep:
            self._keep(state, pieces)
        self.done[pieces] += length
        real = real.to(self.device)
        self.outputs.append(_map_input(y, lambda leaf: leaf[real]))
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
        x = _map_input(self.x, lambda leaf: torch.zeros_like(leaf[:1, :1]))
        with torch.no_grad():
            y, _ = self.memory.scan(x, self.memory._fresh(1, x))
        return _map_input(y, lambda leaf: leaf.new_zeros(self.batch, self.time, *leaf.shape[2:]))


def _first(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else _first(x[0])


def _map_input(x: Any, function: Any) -> Any:
    if isinstance(x, Tensor):
        return function(x)
    return type(x)(*(_map_input(leaf, function) for leaf in x))


def _check_mask(reset: Tensor | None, batch: int, time: int) -> Tensor | None:
    if reset is None:
        return None
    if tuple(reset.shape) != (batch, time):
        raise ValueError(
            f"reset has shape {list(reset.shape)} where x has [{batch}, {time}, ...]; give one flag a unit"
        )
    if reset.dtype != torch.bool:
        raise ValueError(f"reset is {reset.dtype}, not torch.bool; write reset.bool()")
    return reset if bool(reset.any()) else None


def _check_length(length: Tensor | None, batch: int, time: int) -> Tensor | None:
    if length is None:
        return None
    if tuple(length.shape) != (batch,) or length.is_floating_point():
        raise ValueError(
            f"length has shape {list(length.shape)} and {length.dtype}; give one whole number a row: [{batch}]"
        )
    if int(length.min()) < 0 or int(length.max()) > time:
        raise ValueError(f"length holds values {int(length.min())}..{int(length.max())}; they must lie in 0..{time}")
    return length if bool((length < time).any()) else None


def _name(tree: Any) -> str:
    if isinstance(tree, tuple):
        return tree[0].partition(":")[2] or "a tuple of " + ", ".join(_name(child) for child in tree[1:])
    return "a tensor" if tree is None else str(tree)


def _describe(value: Any) -> Any:
    return value.describe() if isinstance(value, Memory) else type(value).__qualname__
