"""The contract: a memory is a recurrence over a sequence, and splitting the sequence anywhere changes nothing."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from .domain import bound_arguments
from .host import Host, HostLayer  # noqa: F401  programs import them from here
from .pieces import Pieces, first_leaf, map_leaves
from .state import batch_size, leaves, nbytes, structure
from .state_classes import live, note, note_declared

S = TypeVar("S")
M = TypeVar("M")


class Memory(nn.Module, Generic[S]):
    """``x [B T ...], state -> y [B T ...], state``: the same outputs, state and gradients for any cut of the stream.

    An author writes ``initial_state`` and ``scan``; with a grid (segments, inner minibatches) also ``period`` and
    ``phase_of``. Callers use ``forward`` (any resets, ragged rows) and ``step`` (one unit). A fresh state stands at
    phase 0. Constructor arguments are kept: ``config`` is the signature as called; their numbers are checked against
    the signature's annotations (:func:`~mnesis.core.domain.check_arguments`).

    A memory around another one calls it as a module, so that hooks fire: ``inner(x, state, phase=phase, ...)`` for its
    own ``scan`` and ``inner(x, state, step=True)`` for its own ``step``.
    """

    period: int | None = None
    """Length of the grid, a constant of the mechanism; None where every unit is alike."""
    bounded: ClassVar[bool] = True
    """False where the state grows with the stream; its class then says which leaves do (:mod:`mnesis.core.state`)."""
    growth: float = 0.0
    """Numbers that a row's state gains by a unit, at most; 0 where it is bounded."""
    native_reset: ClassVar[bool] = False
    """True where ``scan`` takes ``reset=`` and handles it in its own arithmetic."""
    native_length: ClassVar[bool] = False
    """True where ``scan`` takes ``length=``, the units of each row that are real, as long as no row reaches the end of
    its period. Then ``state`` may be None, for rows that all start fresh, and ``keep=False`` says that nobody wants
    their new state (None may be returned for it)."""
    starts_inside: ClassVar[bool] = False
    """True where ``scan`` and ``step`` take None for rows that start fresh, and hand it on to the memories inside: each
    makes its own start, when it is called and what hangs on its call has its parameters at hand."""
    splits: ClassVar[bool] = False
    """True where the pieces of one sequence may be read by several processes at once."""
    added: ClassVar[Mapping[str, Any]] = {}
    """Arguments that earlier versions did not have, and what these computed: ``config`` names them where they are
    another, so that what those versions wrote is the same."""
    dim: int | None = None
    """Width of the input vectors; None where the input is something else (token ids, a tree)."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        note_declared(cls)

    def __new__(cls: type[M], *args: Any, **kwargs: Any) -> M:
        self = object.__new__(cls)
        live(self)
        if bound := bound_arguments(cls, args, kwargs):
            bound.apply_defaults()
            self.__dict__["_arguments"] = dict(list(bound.arguments.items())[1:])
        return self

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, defaults included but for those of :attr:`added`."""
        given, added = self.__dict__["_arguments"], self.added
        return {name: value for name, value in given.items() if name not in added or value != added[name]}

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
        """What runs the recurrence, or those of the memories inside; mechanisms with kernels name them here."""
        inside = {part.backend for part in self.modules() if isinstance(part, Memory) and part is not self}
        return ", ".join(sorted(inside)) or "torch"

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
        x = map_leaves(x, lambda leaf: leaf.unsqueeze(1))
        if self.period is None:
            y, state = self.scan(x, state)
        else:
            y, state = Pieces(self, x, state, None, None).run()
        return map_leaves(y, lambda leaf: leaf.squeeze(1)), state

    @final
    def forward(
        self,
        x: Any,
        state: S | None = None,
        *,
        reset: Bool[Tensor, "B T"] | None = None,
        length: Int[Tensor, " B"] | None = None,
        phase: int | None = None,
        keep: bool = True,
        step: bool = False,
    ) -> tuple[Any, S]:
        """Read a batch of sequences.

        Args:
            x: ``[B T ...]``, a tensor or a NamedTuple of tensors.
            state: where each row stands; None = fresh.
            reset: ``reset[b, t]`` makes the state of row b fresh before unit t.
            length: units of each row that are real, 0..T; what stands beyond them is never read, the outputs there
                are 0, and a row of length 0 keeps its state. (Align left-padded rows with ``align_left`` first.)
            phase: where all rows stand in the grid, 0 without one: nothing is checked and nothing waits for the
                device; ``scan`` reads, of ``length`` and ``reset`` what it takes natively. For memories around this
                one, for export, and for the meta device.
            keep: with ``phase`` and ``length``: False = nobody wants the new state.
            step: x is one unit of every row, ``[B ...]``, and so are the outputs: :meth:`step`, called as a module.

        Returns:
            Outputs ``[B T ...]`` and the state after the last real unit of each row.

        Raises:
            ValueError: shapes, batch sizes or a state that do not fit; the message names the value and the mend.
        """
        if step:
            return self.step(x, self._for_fresh(first_leaf(x).shape[0], x) if state is None else state)
        if phase is None:
            try:
                read = self._read_checked(x, state, reset, length)
            except IndexError:
                self._check_range(x)
                raise
        elif state is not None and length is None and reset is None:  # what every unit of a stream passes
            read = self.scan(x, state, phase)
        else:
            read = self._read_on(x, state, reset, length, phase, keep)
        if not isinstance(read, tuple) or len(read) != 2:
            raise ValueError(f"{type(self).__name__}.scan returns a {type(read).__name__}; return (y, state)")
        return read

    def _read_checked(self, x: Any, state: S | None, reset: Tensor | None, length: Tensor | None) -> Any:
        """What an outermost call does: all but what ``scan`` returns is checked, and rows go their own ways."""
        batch, time = self._check_input(x)
        if state is not None:
            self._check_state(state, batch)
        reset = check_mask(reset, batch, time)
        length = check_length(length, batch, time)
        if reset is None and length is None:
            if state is None:
                return self.scan(x, self._for_fresh(batch, x))
            if self.period is None:
                return self.scan(x, state)
            phases = self._phases(state)
            if min(phases) == max(phases):
                return self.scan(x, state, phases[0])
        state = self._fresh(batch, x) if state is None else state
        if self.native_reset and length is None and reset is not None and self.period is None:
            return cast(Any, self).scan(x, state, reset=reset)
        return Pieces(self, x, state, reset, length).run()

    def _read_on(
        self, x: Any, state: S | None, reset: Tensor | None, length: Tensor | None, phase: int, keep: bool
    ) -> Any:
        """``scan``, for a caller who has checked everything but what it returns."""
        scan = cast(Any, self).scan
        if length is not None:
            return scan(x, state, phase, length=length, keep=keep)
        state = self._for_fresh(first_leaf(x).shape[0], x) if state is None else state
        return scan(x, state, phase) if reset is None else scan(x, state, phase, reset=reset)

    def _phases(self, state: S) -> list[int]:
        phases = cast(Tensor, self.phase_of(state))
        if phases.is_meta:
            raise ValueError(
                f"{type(self).__name__} cannot tell where a state without numbers stands in its grid of {self.period}; "
                "give phase=..., units read of the present period"
            )
        return phases.tolist()

    def _for_fresh(self, batch: int, x: Any) -> Any:
        """What ``scan`` and ``step`` take for fresh rows."""
        return None if self.starts_inside else self._fresh(batch, x)

    def _fresh(self, batch: int, x: Any) -> S:
        leaf = first_leaf(x)
        state = self.initial_state(batch, device=leaf.device, dtype=self.compute_dtype(x))
        if not torch.compiler.is_compiling():
            note(state)
        return state

    def compute_dtype(self, x: Any) -> torch.dtype:
        """The dtype of the arithmetic on this input: its own if floating (autocast's if on), else the parameters'."""
        leaf = first_leaf(x)
        device = leaf.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        if leaf.is_floating_point():
            return leaf.dtype
        return next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.get_default_dtype())

    def example(self, batch: int, time: int, generator: torch.Generator, scale: float = 1.0) -> Any:
        """Random inputs that it may read, for laws and benchmarks: vectors in float64, or token ids.

        Memories that read something else draw their own.

        Args:
            batch: rows.
            time: units.
            generator: of the numbers.
            scale: deviation of vectors.

        Raises:
            ValueError: it says neither ``dim`` nor ``vocabulary``.
        """
        if self.dim is not None:
            return scale * torch.randn(batch, time, self.dim, generator=generator, dtype=torch.float64)
        if (vocabulary := getattr(self, "vocabulary", None)) is None:
            raise ValueError(
                f"{type(self).__name__} has neither dim nor vocabulary, so no inputs can be drawn; set self.dim, the "
                "width of the vectors that it reads, or self.vocabulary, the number of token ids, or define example"
            )
        return torch.randint(vocabulary, (batch, time), generator=generator)

    def extra_repr(self) -> str:
        """Constructor arguments, weights, and what a row's state weighs, for ``print(memory)``."""
        plain = {key: value for key, value in self.config.items() if not isinstance(value, nn.Module)}
        weights = sum(parameter.numel() for parameter in self.parameters())
        parts = [*(f"{key}={value!r}" for key, value in plain.items()), f"parameters={weights:,}"]
        like = next(self.parameters(), torch.empty(0))
        with torch.no_grad():
            state = self.initial_state(1, device=like.device, dtype=like.dtype)
        return ", ".join([*parts, f"state={nbytes(state):,} bytes a row{'' if self.bounded else ', and growing'}"])

    def _check_input(self, x: Any) -> tuple[int, int]:
        name = type(self).__name__
        try:
            leaf = first_leaf(x)
        except (TypeError, IndexError):
            leaf = None
        if not isinstance(leaf, Tensor):
            raise ValueError(f"{name} reads a tensor, not a {type(x).__name__}; write torch.as_tensor(x)")
        if leaf.layout != torch.strided:
            raise ValueError(f"{name} reads a dense tensor, not {leaf.layout}; write x.to_dense()")
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
        if self.dim is not None and not (leaf.is_floating_point() or leaf.is_complex()):
            raise ValueError(f"{name} reads vectors of floating point, not {leaf.dtype}; write x.float()")
        if self.dim is None and getattr(self, "vocabulary", None) is not None:
            _check_ids(leaf, name)
        return batch, time

    def _check_range(self, x: Any) -> None:
        """Say which token id has no embedding; asked only when one was missed, since a look at all ids takes time."""
        if (vocabulary := getattr(self, "vocabulary", None)) is None or self.dim is not None:
            return
        least, most = (int(end) for end in first_leaf(x).aminmax())
        if least < 0 or most >= vocabulary:
            raise ValueError(
                f"{type(self).__name__} reads token ids of 0..{vocabulary - 1}, and x holds "
                f"{least if least < 0 else most}; tokenize with the vocabulary of {vocabulary} that it was built for"
            ) from None

    def _check_state(self, state: S, batch: int) -> None:
        name = type(self).__name__
        try:
            found = structure(state) if isinstance(state, (Tensor, tuple)) else type(state).__name__
        except (AttributeError, TypeError, RecursionError):  # text consists of text
            found = type(state).__name__
        expected = self.__dict__.get("_reference")
        fits = expected is not None and found == expected[0] and self._fits(state, expected[1])
        if expected is None or not fits:
            # The first call, or what is inside has been replaced, or the state does not fit indeed.
            like = next(self.parameters(), torch.empty(0))
            with torch.no_grad():
                reference = self.initial_state(1, device=like.device, dtype=like.dtype)
            expected = (structure(reference), [tuple(leaf.shape[1:]) for leaf in leaves(reference)])
            self.__dict__["_reference"] = expected
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
        if not fits and not self._fits(state, expected[1]):
            leaf, shape = next(
                (leaf, shape)
                for leaf, shape in zip(leaves(state), expected[1], strict=True)
                if tuple(leaf.shape[1:]) != shape
            )
            raise ValueError(
                f"{name} was given a state with a leaf of shape {list(leaf.shape)} where it keeps [{batch}, "
                f"{', '.join(map(str, shape))}]; it comes from a memory of another size"
            )

    def _fits(self, state: S, shapes: list[tuple[int, ...]]) -> bool:
        """Whether a state of the right structure has leaves of these shapes."""
        return [tuple(leaf.shape[1:]) for leaf in leaves(state)] == shapes or not self.bounded


def align_left(x: Tensor, length: Int[Tensor, " B"]) -> Tensor:
    """Shift left-padded rows ``[B T ...]`` so that their ``length`` real units come first."""
    batch, time = x.shape[:2]
    shift = (time - length)[:, None]
    index = (torch.arange(time, device=x.device)[None] + shift) % time
    return x.gather(1, index.reshape(batch, time, *[1] * (x.ndim - 2)).expand_as(x))


def _check_ids(ids: Tensor, name: str) -> None:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} reads token ids, whole numbers, not {ids.dtype}; write x.long()")
    if ids.ndim != 2:
        raise ValueError(f"{name} reads token ids [batch, time], not x of shape {list(ids.shape)}; drop the other axes")


def check_mask(reset: Tensor | None, batch: int, time: int) -> Tensor | None:
    """The resets of a call, or None if there are none.

    Raises:
        ValueError: no flag for each unit.
    """
    if reset is None:
        return None
    if not isinstance(reset, Tensor):
        raise ValueError(f"reset is a {type(reset).__name__}, not a tensor; write torch.tensor(reset)")
    if tuple(reset.shape) != (batch, time):
        raise ValueError(
            f"reset has shape {list(reset.shape)} where x has [{batch}, {time}, ...]; give one flag a unit"
        )
    if reset.dtype != torch.bool:
        raise ValueError(f"reset is {reset.dtype}, not torch.bool; write reset.bool()")
    return reset if bool(reset.any()) else None


def check_length(length: Tensor | None, batch: int, time: int) -> Tensor | None:
    """The units of each row that are real, or None if all are.

    Raises:
        ValueError: no whole number of 0 to ``time`` for each row.
    """
    if length is None:
        return None
    if not isinstance(length, Tensor):
        raise ValueError(f"length is a {type(length).__name__}, not a tensor; write torch.tensor(length)")
    if tuple(length.shape) != (batch,) or length.is_floating_point() or length.dtype == torch.bool:
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
    return value.describe() if hasattr(value, "describe") else type(value).__qualname__
