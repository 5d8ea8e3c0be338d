"""Causal attention inside one segment, whole or in pieces, with a cache for what has been read of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..ops.attention import attend
from .heads import Attention, Heads


class SegmentCache(NamedTuple):
    """What later units of a segment need of earlier ones; sized for a whole segment, zero beyond the units seen."""

    key: Float[Tensor, "B C G K"]
    """Rotated: positions restart with each segment, so angles stay small."""
    value: Float[Tensor, "B C G V"]
    tail: Float[Tensor, "B tail D"]
    """Of the short convolution; W = 1 without one."""


def empty_cache(
    batch: int, capacity: int, attention: Attention, tail: tuple[int, int], *, device: torch.device, dtype: torch.dtype
) -> SegmentCache:
    """A cache for segments of at most ``capacity`` units; ``tail`` is the shape of the convolution's."""
    empty = {"device": device, "dtype": dtype}
    return SegmentCache(
        torch.zeros(batch, capacity, attention.key_heads, attention.key_width, **empty),
        torch.zeros(batch, capacity, attention.key_heads, attention.value_width, **empty),
        torch.zeros(batch, *tail, **empty),
    )


def positions(position: int | Int[Tensor, " B"], units: int, device: torch.device) -> Int[Tensor, "*B T"]:
    """Where each of some units in a row stands, from where the first does."""
    steps = torch.arange(units, device=device)
    return steps + (position[:, None] if isinstance(position, Tensor) else position)


def attend_in_segment(
    layer: Any,
    heads: Heads,
    cache: SegmentCache | None,
    position: int | Int[Tensor, " B"],
    both_ways: tuple[int, int],
    length: Int[Tensor, " B"] | None,
) -> tuple[Float[Tensor, "B T H V"], SegmentCache | None]:
    """What units see of their segment: queries and keys turned by the layer's own positions, keys kept turned.

    Args:
        layer: with ``rotate`` and ``attention``, facts of :class:`~mnesis.layers.heads.Attention`.
        heads: of T more units.
        cache, position, both_ways, length: as :class:`mnesis.core.memory.HostLayer` is called.

    Returns:
        What each head of queries read, and the cache with these units.
    """
    at = positions(position, heads.query.shape[1], heads.query.device)
    return attend_turned(
        layer.rotate(heads.query, at),
        layer.rotate(heads.key, at),
        heads.value,
        cache,
        position,
        both_ways,
        length,
        facts=layer.attention,
        dropout=getattr(layer, "attention_dropout", 0.0),
    )


def attend_turned(
    q: Float[Tensor, "B T H K"],
    k: Float[Tensor, "B T G K"],
    v: Float[Tensor, "B T G V"],
    cache: SegmentCache | None,
    position: int | Int[Tensor, " B"],
    both_ways: tuple[int, int],
    length: Int[Tensor, " B"] | None,
    *,
    facts: Attention,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "B T H V"], SegmentCache | None]:
    """:func:`attend_in_segment` of queries and keys that have been turned by their positions."""
    sight = _Sight(facts, dropout)
    keys, values, kept = appended(k, v, cache, position, length)
    if isinstance(position, Tensor):
        seen = sight.sees_from(position, keys.shape[1])
        return sight.read(q, keys.to(q.dtype), values.to(q.dtype), mask=seen[:, None, None]), kept
    return sight.causal(q, keys, values, both_ways), kept


def appended(
    key: Float[Tensor, "B T G K"],
    value: Float[Tensor, "B T G V"],
    cache: SegmentCache | None,
    position: int | Int[Tensor, " B"],
    length: Int[Tensor, " B"] | None = None,
) -> tuple[Float[Tensor, "B N G K"], Float[Tensor, "B N G V"], SegmentCache | None]:
    """Keys and values of a segment so far, and the cache with more units in it.

    Args:
        key, value: of T more units.
        cache, position, length: as :class:`mnesis.core.memory.HostLayer` is called.

    Returns:
        All up to the new ones, N = position + T; where rows stand at places of their own, the whole cache, zero beyond
        each row's units. And the cache.
    """
    if cache is None:
        return key, value, None
    if isinstance(position, Tensor):
        cache = _with_one(key, value, cache, position)
        return cache.key, cache.value, cache
    (keys, kept_keys), (values, kept_values) = (
        _grown(units, before, position) for units, before in ((key, cache.key), (value, cache.value))
    )
    cache = cache._replace(key=kept_keys, value=kept_values)
    return keys, values, cache if length is None else _shortened(cache, position + length)


class _Sight(NamedTuple):
    """How queries read keys, and which ones a unit may see."""

    facts: Attention
    dropout: float

    def read(self, q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        heads_first = (t.transpose(1, 2) for t in (q, k, v))
        options = {"scale": self.facts.scale, "softcap": self.facts.softcap, "dropout": self.dropout}
        return attend(*heads_first, mask=mask, causal=causal, **options).transpose(1, 2)

    def causal(
        self,
        q: Float[Tensor, "B T H K"],
        k: Float[Tensor, "B C G K"],
        v: Float[Tensor, "B C G V"],
        both_ways: tuple[int, int],
    ) -> Float[Tensor, "B T H V"]:
        """The last T of C units look back; the blocks at both ends also look at all of themselves."""
        units, total = q.shape[1], k.shape[1]
        first, last = both_ways
        near = self.facts.window is not None and self.facts.window < total
        if units == total and not near:
            context = self.read(q, k, v, causal=units > 1)
        elif units in (1, last) and not near:
            context = self.read(q, k, v)
        else:
            context = self.read(q, k, v, mask=self._sees(units, total, q.device))
        if first > 1:
            start = self.read(q[:, :first], k[:, :first], v[:, :first])
            context = torch.cat([start, context[:, first:]], 1)
        if last > 1 and (near or last < units):
            inside = self._sees(last, total, q.device, ahead=True) if near else None
            end = self.read(q[:, -last:], k, v, mask=inside)
            context = torch.cat([context[:, :-last], end], 1)
        return context

    def sees_from(self, position: Int[Tensor, " B"], capacity: int) -> Bool[Tensor, "B C"]:
        """What the one unit of each row sees of a cache, from where it stands."""
        slots, at = torch.arange(capacity, device=position.device)[None], position[:, None]
        seen = slots <= at
        return seen if self.facts.window is None else seen & (slots > at - self.facts.window)

    def _sees(self, units: int, total: int, device: torch.device, *, ahead: bool = False) -> Bool[Tensor, "T C"]:
        """Which of the units so far the last ones see; ``ahead``: those behind them, too."""
        sees = torch.ones(units, total, dtype=torch.bool, device=device)
        offset = total - units
        near = sees if self.facts.window is None else sees.triu(offset - self.facts.window + 1)
        return near if ahead else near.tril(offset)


def _with_one(key: Tensor, value: Tensor, cache: SegmentCache, position: Int[Tensor, " B"]) -> SegmentCache:
    """One unit a row, rows at positions of their own; zero behind it."""
    slots, at = torch.arange(cache.key.shape[1], device=key.device)[None], position[:, None]
    here, before = (slots == at)[..., None, None], (slots < at)[..., None, None]
    return cache._replace(
        key=torch.where(here, key.to(cache.key.dtype), torch.where(before, cache.key, 0.0)),
        value=torch.where(here, value.to(cache.value.dtype), torch.where(before, cache.value, 0.0)),
    )


def _shortened(cache: SegmentCache, units: Int[Tensor, " B"]) -> SegmentCache:
    """Zero beyond the units that are real."""
    real = (torch.arange(cache.key.shape[1], device=units.device)[None] < units[:, None])[..., None, None]
    return cache._replace(key=torch.where(real, cache.key, 0.0), value=torch.where(real, cache.value, 0.0))


def _grown(
    units: Float[Tensor, "B T G K"], kept: Float[Tensor, "B C G K"], position: int
) -> tuple[Float[Tensor, "B N G K"], Float[Tensor, "B C G K"]]:
    """All units up to the new ones, and the cache with them, zero beyond.

    A closing block of memory tokens may run past the cache and is not kept.
    """
    end, capacity = position + units.shape[1], kept.shape[1]
    rest = kept.new_zeros(1, 1, 1, 1).expand(kept.shape[0], max(0, capacity - end), *kept.shape[2:])
    if end <= capacity and kept.dtype == units.dtype:  # one tensor is both
        kept = torch.cat([kept[:, :position], units, rest], 1)
        return kept[:, :end], kept
    read = torch.cat([kept[:, :position].to(units.dtype), units], 1)
    return read, torch.cat([read[:, :capacity].to(kept.dtype), rest], 1)
