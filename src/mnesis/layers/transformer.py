"""The native host: a causal Transformer over one segment, with a cache for partial segments."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..core.domain import Checked
from ..ops.attention import attend
from ..ops.rotary import rotate
from .mlp import MLP
from .norm import RMSNorm
from .short_convolution import ShortConvolution


class SegmentCache(NamedTuple):
    """What later units of a segment need of earlier ones; sized for a whole segment, zero beyond the units seen."""

    key: Float[Tensor, "B C H K"]
    """Rotated: positions restart with each segment, so angles stay small."""
    value: Float[Tensor, "B C H K"]
    tail: Float[Tensor, "B tail D"]
    """Of the short convolution; W = 1 without one."""


class TransformerLayer(Checked, nn.Module):
    """Pre-norm causal attention with rotary positions, then an MLP; optionally a short convolution first.

    Args:
        dim: width.
        heads: attention heads; dim / heads must be even.
        hidden: width of the MLP; 4 dim if None.
        convolution: width of the causal convolution before the projections; None = without.
        rotary: whether queries and keys are turned by their position in the segment.
        output_norm: normalise what the layer hands on, so that a memory which feeds on it cannot blow up.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        hidden: int | None = None,
        convolution: int | None = None,
        rotary: bool = True,
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        if dim % heads or dim // heads % 2:
            raise ValueError(
                f"dim={dim} does not split into {heads} heads of even width; make dim a multiple of {2 * heads}"
            )
        self.dim, self.heads, self.rotary = dim, heads, rotary
        self.attention_norm, self.mlp_norm = RMSNorm(dim), RMSNorm(dim)
        self.convolution = ShortConvolution(dim, convolution) if convolution else None
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        nn.init.normal_(self.output.weight, std=0.5 * dim**-0.5)
        self.mlp = MLP(dim, hidden=hidden)
        self.output_norm = RMSNorm(dim) if output_norm else nn.Identity()

    def initial_cache(self, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype) -> SegmentCache:
        shape = (batch, capacity, self.heads, self.dim // self.heads)
        width = self.convolution.width if self.convolution else 1
        return SegmentCache(
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(batch, width - 1, self.dim, device=device, dtype=dtype),
        )

    def forward(
        self,
        h: Float[Tensor, "B T D"],
        cache: SegmentCache | None = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], SegmentCache | None]:
        """Run T more units of a segment; see :class:`mnesis.core.memory.HostLayer`."""
        x, tail = self.attention_norm(h), None
        if self.convolution is not None:
            before = _tail(cache, position)
            x, tail = self.convolution(x, before, length)
        q, k, v = rearrange(self.query_key_value(x), "b t (three h k) -> three b t h k", three=3, h=self.heads)
        if self.rotary:
            units = torch.arange(h.shape[1], device=h.device)
            at = units + (position[:, None] if isinstance(position, Tensor) else position)
            q, k = rotate(q, at), rotate(k, at)
        if cache is None:
            context = _causal(q, k, v, both_ways)
        elif isinstance(position, Tensor):
            cache, context = self._one(q, k, v, cache, position)
        else:
            cache, context = self._more(q, k, v, cache, position, both_ways)
            if length is not None:
                cache = _shortened(cache, position + length)
        if cache is not None and tail is not None:
            cache = cache._replace(tail=tail.to(cache.tail.dtype))
        h = h + self.output(context.flatten(2))
        return self.output_norm(h + self.mlp(self.mlp_norm(h))), cache

    def _more(
        self, q: Tensor, k: Tensor, v: Tensor, cache: SegmentCache, position: int, both_ways: tuple[int, int]
    ) -> tuple[SegmentCache, Tensor]:
        """All rows stand at one position: the cache's used part is a slice."""
        keys = torch.cat([cache.key[:, :position].to(k.dtype), k], 1)
        values = torch.cat([cache.value[:, :position].to(v.dtype), v], 1)
        context = _causal(q, keys, values, both_ways)
        return cache._replace(key=_sized(keys, cache.key), value=_sized(values, cache.value)), context

    def _one(
        self, q: Tensor, k: Tensor, v: Tensor, cache: SegmentCache, position: Int[Tensor, " B"]
    ) -> tuple[SegmentCache, Tensor]:
        """One unit a row, rows at positions of their own: written and read under a mask."""
        slots = torch.arange(cache.key.shape[1], device=q.device)
        here = (slots[None] == position[:, None])[..., None, None]
        before = (slots[None] < position[:, None])[..., None, None]
        cache = cache._replace(
            key=torch.where(here, k.to(cache.key.dtype), torch.where(before, cache.key, 0.0)),
            value=torch.where(here, v.to(cache.value.dtype), torch.where(before, cache.value, 0.0)),
        )
        seen: Bool[Tensor, "B 1 1 C"] = (slots[None] <= position[:, None])[:, None, None]
        context = _attend(q, cache.key.to(q.dtype), cache.value.to(q.dtype), mask=seen)
        return cache, context


def _shortened(cache: SegmentCache, units: Int[Tensor, " B"]) -> SegmentCache:
    """Zero beyond the units that are real."""
    real = (torch.arange(cache.key.shape[1], device=units.device)[None] < units[:, None])[..., None, None]
    return cache._replace(key=torch.where(real, cache.key, 0.0), value=torch.where(real, cache.value, 0.0))


def _tail(cache: SegmentCache | None, position: int | Int[Tensor, " B"]) -> Tensor | None:
    """The convolution's tail; a segment starts without one, whatever stands in the cache."""
    if cache is None or (isinstance(position, int) and position == 0):
        return None
    if isinstance(position, Tensor):
        return torch.where((position > 0)[:, None, None], cache.tail, torch.zeros_like(cache.tail))
    return cache.tail


def _sized(units: Float[Tensor, "B T H K"], like: Float[Tensor, "B C H K"]) -> Float[Tensor, "B C H K"]:
    """Zero-padded to the cache's size; a closing block of memory tokens may run past it and is not kept."""
    rest = like.new_zeros(like.shape[0], max(0, like.shape[1] - units.shape[1]), *like.shape[2:])
    return torch.cat([units[:, : like.shape[1]].to(like.dtype), rest], 1)


def _attend(
    q: Float[Tensor, "B T H K"],
    k: Float[Tensor, "B C H K"],
    v: Float[Tensor, "B C H K"],
    *,
    mask: Tensor | None = None,
    causal: bool = False,
) -> Float[Tensor, "B T H K"]:
    heads_first = (t.transpose(1, 2) for t in (q, k, v))
    return attend(*heads_first, mask=mask, causal=causal).transpose(1, 2)


def _causal(
    q: Float[Tensor, "B T H K"], k: Float[Tensor, "B C H K"], v: Float[Tensor, "B C H K"], both_ways: tuple[int, int]
) -> Float[Tensor, "B T H K"]:
    """The last T of C units look back; the blocks at both ends also look at all of themselves."""
    units, total = q.shape[1], k.shape[1]
    first, last = both_ways
    if units == total:
        context = _attend(q, k, v, causal=units > 1)
    elif units in (1, last):
        context = _attend(q, k, v)
    else:
        offset = total - units
        sees = torch.ones(units, total, dtype=torch.bool, device=q.device).tril(offset)
        context = _attend(q, k, v, mask=sees)
    if first > 1:
        start = _attend(q[:, :first], k[:, :first], v[:, :first])
        context = torch.cat([start, context[:, first:]], 1)
    if last > 1 and last < units:
        end = _attend(q[:, -last:], k, v)
        context = torch.cat([context[:, :-last], end], 1)
    return context


class Transformer(Checked, nn.Module):
    """A stack of Transformer layers with a final norm: the native host of segment memories.

    Args:
        dim: width.
        layers: how many.
        heads, hidden, convolution, rotary, output_norm: of each layer.
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        convolution: int | None = None,
        rotary: bool = True,
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        each = {"hidden": hidden, "convolution": convolution, "rotary": rotary, "output_norm": output_norm}
        self.layers = nn.ModuleList(TransformerLayer(dim, heads=heads, **each) for _ in range(layers))
        self.final_norm = RMSNorm(dim)

    def embed(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return x

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.final_norm(h)

    def head(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return h
