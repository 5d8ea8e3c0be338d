"""What memories between segments share: an absolute grid, partial segments as legal state, recomputation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...core.host import Attend, AttendingHost, Host, OffersHost
from ...core.memory import Memory
from ...core.record import silent
from ...core.state import choose, detach, leaves, tree_map
from ...layers.transformer import Transformer
from ...ops.transforms import readable, transformed

ACTIVATIONS = 24
"""About so many vectors a unit and layer of a Transformer are kept for the backward pass."""

SPREAD = 0.7
"""Deviation of what our own networks embed."""


class SegmentState(NamedTuple):
    """Where a reader stands between and inside segments."""

    carried: Any
    """What passes from segment to segment."""
    caches: tuple[Any, ...]
    """Of each host layer, for the present segment; zero at its start."""
    position: Int[Tensor, " B"]
    """Units read of the present segment."""


class SegmentMemory(Memory[SegmentState]):
    """Runs a host segment by segment. A mechanism says what is carried and how a segment reads and writes it.

    Every unit is answered at once, also in a segment that is not full yet: its keys and values wait in the caches, and
    the writing tokens run when the segment closes.

    Args:
        dim: width.
        host: an ordered list of causal layers (:class:`mnesis.core.host.Host`), or what offers itself as one, such as a
            :class:`mnesis.nets.Stack`; None = the native Transformer.
        native: its arguments.
        segment: units in a segment.
        read_tokens: memory tokens that stand before the units of every segment.
        write_tokens: memory tokens that stand behind them.
        checkpoint: recompute activations in the backward pass, group by group of segments (Chen et al. 2016,
            arXiv 1604.06174): of n segments what is carried between groups is kept, and the activations of one group.
            Groups are as long as makes the sum least, so it grows with sqrt(n); inputs and outputs are kept anyway.

    Raises:
        ValueError: a host of another width, one that was trained on shorter segments, or one whose attention cannot be
            reached into by a mechanism that must.
    """

    native_length: ClassVar[bool] = True
    stores: ClassVar[bool] = False
    """Whether the caches of whole segments are handed on to :meth:`store`."""

    def __init__(
        self,
        dim: int,
        host: Host | OffersHost | None,
        native: Mapping[str, Any],
        *,
        segment: int,
        read_tokens: int = 0,
        write_tokens: int = 0,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        host = host.as_host() if isinstance(host, OffersHost) else host
        self._check_host(dim, host, segment, read_tokens + write_tokens)
        self.host = cast(Any, Transformer(dim, **native) if host is None else host)
        self.spread: float = getattr(self.host, "spread", SPREAD)
        """Deviation of memory tokens at the start: as that of what stands beside them."""
        self.vocabulary = getattr(self.host, "vocabulary", None)
        """Token ids of a host that embeds them."""
        reads_vectors = hasattr(self.host, "vocabulary") and self.vocabulary is None
        self.dim = dim if reads_vectors else None
        self.period = self.segment = segment
        self.checkpoint, self.read_tokens = checkpoint, read_tokens
        self.capacity = read_tokens + segment + (write_tokens if self.stores else 0)
        """Places in the caches of the present segment."""

    def _check_host(self, dim: int, host: Host | None, segment: int, tokens: int) -> None:
        name, of_host = type(self).__name__, type(host).__name__
        if host is None:
            return
        if host.dim != dim:
            raise ValueError(f"dim={dim} is not the width of {of_host}, {host.dim}; give {name} dim={host.dim}")
        longest = getattr(host, "longest", None)
        if longest is not None and segment + tokens > longest:
            fits = longest - tokens
            raise ValueError(
                f"a segment and its memory tokens are {segment + tokens} units, and {of_host} was trained on at most "
                f"{longest}; give {f'segment={fits} or less' if fits > 0 else 'fewer memory tokens'}"
            )
        reaches = type(self).attend is not SegmentMemory.attend
        if reaches and not (isinstance(host, AttendingHost) and all(layer.attention for layer in host.layers)):
            raise ValueError(
                f"{name} reaches into the attention of its host, and {of_host} does not let it; give a host whose "
                "layers take attend= (mnesis.core.host.AttendingHost)"
            )

    @abstractmethod
    def initial_carried(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        """What the first segment reads."""

    @abstractmethod
    def read(self, layer: int, h: Float[Tensor, "B T D"], carried: Any) -> Float[Tensor, "B T D"]:
        """What units see of the carried state before a layer runs."""

    def attend(self, layer: int, carried: Any) -> Attend | None:
        """How units of a layer read keys; None = as the host does. A mechanism with one needs an attending host."""
        return None

    def after(self, layer: int, h: Float[Tensor, "B T D"], carried: Any) -> Float[Tensor, "B T D"]:
        """What a layer hands on, with what units see of the carried state behind it: the twin of :meth:`read`."""
        return h

    @abstractmethod
    def opening(self, carried: Any) -> Float[Tensor, "B R D"] | None:
        """The memory tokens that stand before the units."""

    @abstractmethod
    def closing(self, carried: Any) -> Float[Tensor, "B M D"] | None:
        """The memory tokens that stand after the units."""

    @abstractmethod
    def write(self, outputs: list[Float[Tensor, "B M D"]], carried: Any) -> Any:
        """The new carried state, from what every layer made of the closing tokens; of none, from an empty list."""

    def store(self, caches: tuple[Any, ...], carried: Any) -> Any:
        """The carried state with what is kept of a segment's keys and values, those of its closing tokens included.

        Asked behind :meth:`write`, where the mechanism ``stores``.
        """
        return carried

    @property
    def both_ways(self) -> bool:
        """Whether the memory tokens of a block see one another in both directions."""
        return False

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> SegmentState:
        caches = self._empty(batch, device, dtype)
        carried = self.initial_carried(batch, device=device, dtype=dtype)
        return SegmentState(carried, caches, torch.zeros(batch, dtype=torch.long, device=device))

    def _empty(self, batch: int, device: torch.device, dtype: torch.dtype) -> tuple[Any, ...]:
        """Caches as behind a segment: zero, whatever a layer's own start may be."""
        each = (layer.initial_cache(batch, self.capacity, device=device, dtype=dtype) for layer in self.host.layers)
        return tree_map(torch.zeros_like, tuple(each))

    def phase_of(self, state: SegmentState) -> Int[Tensor, " B"]:
        return state.position % self.segment

    def scan(
        self,
        x: Tensor,
        state: SegmentState | None,
        phase: int = 0,
        *,
        length: Int[Tensor, " B"] | None = None,
        keep: bool = True,
    ) -> tuple[Tensor, Any]:
        h = self.host.embed(x)
        if state is None or length is not None:
            return self._ragged(h, state, phase, cast(Tensor, length), keep)
        carried, caches, position = state
        segment, time, outputs = self.segment, h.shape[1], []
        head = min(segment - phase, time) if phase else 0
        whole = (time - head) // segment * segment
        if phase == 0:
            caches = detach(caches)  # a segment starts without a past: nothing stands in them, nothing flows through
        first, middle, last = h.split([head, whole, time - head - whole], 1)
        if head:
            y, caches = self._part(first, carried, caches, phase)
            outputs.append(y)
            if phase + head == segment:
                carried, caches = self._close(carried, caches), tree_map(torch.zeros_like, caches)
        if whole:
            y, carried = self._segments(middle.split(segment, 1), carried)
            outputs.extend(y)
        if last.shape[1]:
            y, caches = self._part(last, carried, caches, 0)
            outputs.append(y)
        h = torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]
        return self.host.head(h), SegmentState(carried, caches, (position + time) % segment)

    def _ragged(
        self, h: Tensor, state: SegmentState | None, phase: int, length: Int[Tensor, " B"], keep: bool
    ) -> tuple[Tensor, SegmentState | None]:
        """Rows that end at different places inside one segment."""
        carried, caches, position = self._start(h, keep) if state is None else state
        if phase == 0 and not keep:
            caches = (None,) * len(caches)
        y, caches = self._part(h, carried, caches, phase, length)
        y = self.host.head(y)
        return y, SegmentState(carried, caches, (position + length) % self.segment) if keep else None

    def _start(self, h: Tensor, keep: bool) -> SegmentState:
        """Fresh rows; if nobody wants their state, all look at one."""
        dtype, rows = self.compute_dtype(h), h.shape[0]
        if keep:
            return self.initial_state(rows, device=h.device, dtype=dtype)
        alone = self.initial_carried(1, device=h.device, dtype=dtype)
        carried = tree_map(lambda leaf: leaf.expand(rows, *leaf.shape[1:]), alone)
        return SegmentState(carried, (None,) * len(self.host.layers), torch.zeros_like(h[:, 0, 0], dtype=torch.long))

    def step(self, x: Tensor, state: SegmentState) -> tuple[Tensor, SegmentState]:
        h = self.host.embed(x.unsqueeze(1))
        carried, caches, position = state
        position = position % self.segment
        opening = self._opening(carried)
        if opening is not None and _happens(opens := position == 0):
            _, opened = self._layers(opening, carried, caches, 0, opening=True)
            caches = choose(opens, opened, caches)
        h, caches = self._layers(h, carried, caches, _common(position + self.read_tokens))
        position = position + 1
        if _happens(closes := position == self.segment):
            carried = choose(closes, self._close(carried, caches), carried)
            caches = choose(closes, tree_map(torch.zeros_like, caches), caches)
        y = self.host.head(self.host.norm(h)).squeeze(1)
        return y, SegmentState(carried, caches, position % self.segment)

    def _layers(
        self,
        h: Tensor,
        carried: Any,
        caches: tuple[Any, ...],
        position: int | Tensor,
        *,
        opening: bool = False,
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        block, kept = (self.read_tokens if opening and self.both_ways else 0, 0), []
        h = self._placed(h, position)
        for index, cache in enumerate(caches):
            h, cache = self._layer(index, h, carried, cache, position, block, length)
            kept.append(cache)
        return h, tuple(kept)

    def _opening(self, carried: Any) -> Tensor | None:
        return self._among_units(self.opening(carried))

    def _closing(self, carried: Any) -> Tensor | None:
        return self._among_units(self.closing(carried))

    def _among_units(self, tokens: Tensor | None) -> Tensor | None:
        """As the host's weights are, where it says that these are of another dtype than ours."""
        return None if tokens is None else tokens.to(getattr(self.host, "dtype", None) or tokens.dtype)

    def _placed(self, h: Tensor, position: int | Tensor) -> Tensor:
        """With learned positions, if the host has such."""
        place = getattr(self.host, "place", None)
        return h if place is None else place(h, position)

    def _layer(
        self,
        index: int,
        h: Tensor,
        carried: Any,
        cache: Any,
        position: int | Tensor,
        both_ways: tuple[int, int],
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Tensor, Any]:
        """Units through one layer, with what the mechanism does before, inside and after it."""
        attend = self.attend(index, carried)
        how = {} if attend is None else {"attend": attend}
        h = self.read(index, h, carried)
        h, cache = self.host.layers[index](h, cache, position, both_ways, length, **how)
        return self.after(index, h, carried), cache

    def _part(
        self,
        h: Tensor,
        carried: Any,
        caches: tuple[Any, ...],
        phase: int,
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Some units of a segment, from its start (phase 0) or in the middle."""
        opening = self._opening(carried) if phase == 0 else None
        if opening is None:
            position = self.read_tokens + phase if phase else 0
            h, caches = self._layers(h, carried, caches, position, length=length)
        else:
            real = None if length is None else length + self.read_tokens
            h, caches = self._layers(torch.cat([opening, h], 1), carried, caches, 0, opening=True, length=real)
            h = h[:, self.read_tokens :]
        return self.host.norm(h), caches

    def _close(self, carried: Any, caches: tuple[Any, ...]) -> Any:
        """Run the closing tokens behind a full cache, write and store."""
        h, full, outputs, kept = self._closing(carried), self.read_tokens + self.segment, [], caches
        if h is not None:
            block, kept = (0, h.shape[1] if self.both_ways else 0), ()
            h = self._placed(h, full)
            for index, cache in enumerate(caches):
                h, cache = self._layer(index, h, carried, cache, full, block)
                outputs.append(h)
                kept += (cache,)
        return self._written(outputs, kept, carried)

    def _written(self, outputs: list[Tensor], caches: tuple[Any, ...], carried: Any) -> Any:
        carried = self.write(outputs, carried)
        return self.store(caches, carried) if self.stores else carried

    def _segment(self, h: Tensor, carried: Any) -> tuple[Tensor, Any]:
        """A whole segment in one pass."""
        opening, closing = self._opening(carried), self._closing(carried)
        units, tokens = h.shape[1], 0 if closing is None else closing.shape[1]
        empty = self._empty(h.shape[0], h.device, h.dtype) if self.stores else (None,) * len(self.host.layers)
        h = torch.cat([part for part in (opening, h, closing) if part is not None], 1)
        block, outputs, kept = (self.read_tokens, tokens) if self.both_ways else (0, 0), [], ()
        h = self._placed(h, 0)
        for index, cache in enumerate(empty):
            h, cache = self._layer(index, h, carried, cache, 0, block)
            kept += (cache,)
            if tokens:
                outputs.append(h[:, -tokens:])
        y = self.host.norm(h[:, self.read_tokens : self.read_tokens + units])
        return y, self._written(outputs, kept, carried)

    def _segments(self, pieces: tuple[Tensor, ...], carried: Any) -> tuple[list[Tensor], Any]:
        if transformed() or not (self.checkpoint and torch.is_grad_enabled()):
            return _in_turn(self._segment, pieces, carried)
        group = self._group(len(pieces), carried)
        outputs: list[Tensor] = []
        for start in range(0, len(pieces), group):
            y, carried = _recomputed(_in_turn, self._segment, pieces[start : start + group], carried)
            outputs.extend(y)
        return outputs, carried

    def _group(self, segments: int, carried: Any) -> int:
        """k for which n / k carried states and the activations of k segments are least: k^2 = n state / activations."""
        state = sum(leaf[0].numel() for leaf in leaves(carried))
        activations = ACTIVATIONS * len(self.host.layers) * self.host.dim * self.segment
        return min(segments, max(1, round(math.sqrt(segments * state / activations))))


def _in_turn(
    segment: Callable[[Tensor, Any], tuple[Tensor, Any]], pieces: tuple[Tensor, ...], carried: Any
) -> tuple[list[Tensor], Any]:
    outputs = []
    for piece in pieces:
        y, carried = segment(piece, carried)
        outputs.append(y)
    return outputs, carried


def _recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    # Recorded in the forward pass alone: the second pass repeats the same values.
    contexts: Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]
    contexts = lambda: (nullcontext(), silent())  # noqa: E731
    return checkpoint(function, *arguments, use_reentrant=False, context_fn=contexts)


def _happens(rows: Bool[Tensor, " B"]) -> bool:
    """Whether any row is concerned; where that cannot be known, a step computes both branches and chooses."""
    return not readable(rows) or bool(rows.any())


def _common(position: Int[Tensor, " B"]) -> int | Int[Tensor, " B"]:
    """Where all rows stand, if they stand at one place and that can be known: layers then look at no mask."""
    if not readable(position):
        return position
    places = position.tolist()
    return places[0] if len(set(places)) == 1 else position
