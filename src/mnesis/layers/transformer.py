"""The native host: a causal Transformer over one segment, with a cache for partial segments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.domain import Checked
from ..ops.rotary import rotate
from .heads import Attention, Heads
from .mlp import MLP
from .norm import RMSNorm
from .segment_attention import SegmentCache, attend_in_segment, empty_cache
from .short_convolution import ShortConvolution


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

    @property
    def attention(self) -> Attention:
        """Facts about the layer's attention."""
        width = self.dim // self.heads
        return Attention(self.heads, self.heads, width, width, 1 / math.sqrt(width))

    def initial_cache(self, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype) -> SegmentCache:
        tail = (self.convolution.width - 1 if self.convolution else 0, self.dim)
        return empty_cache(batch, capacity, self.attention, tail, device=device, dtype=dtype)

    def rotate(self, x: Float[Tensor, "B T H K"], position: Int[Tensor, "*B T"]) -> Float[Tensor, "B T H K"]:
        """Queries or keys turned by the positions of their units."""
        return rotate(x, position) if self.rotary else x

    def project(
        self, h: Float[Tensor, "B T D"], cache: SegmentCache | None = None, position: int | Int[Tensor, " B"] = 0
    ) -> Heads:
        """Queries, keys and values of units; ``cache`` and ``position`` for a convolution that looks back."""
        return self._project(h, cache, position, None)[0]

    attend = staticmethod(attend_in_segment)

    def forward(
        self,
        h: Float[Tensor, "B T D"],
        cache: SegmentCache | None = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
        attend: Callable[..., Any] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], SegmentCache | None]:
        """Run T more units of a segment; see :class:`mnesis.core.memory.AttendingLayer`."""
        heads, tail = self._project(h, cache, position, length)
        context, cache = (attend or self.attend)(self, heads, cache, position, both_ways, length)
        if cache is not None and tail is not None:
            cache = cache._replace(tail=tail.to(cache.tail.dtype))
        h = h + self.output(context.flatten(2))
        return self.output_norm(h + self.mlp(self.mlp_norm(h))), cache

    def _project(
        self,
        h: Float[Tensor, "B T D"],
        cache: SegmentCache | None,
        position: int | Int[Tensor, " B"],
        length: Int[Tensor, " B"] | None,
    ) -> tuple[Heads, Float[Tensor, "B tail D"] | None]:
        """What is made of units, and the convolution's tail behind them."""
        x, tail = self.attention_norm(h), None
        if self.convolution is not None:
            x, tail = self.convolution(x, _tail(cache, position), length)
        q, k, v = rearrange(self.query_key_value(x), "b t (three h k) -> three b t h k", three=3, h=self.heads)
        return Heads(q, k, v, x), tail


def _tail(cache: SegmentCache | None, position: int | Int[Tensor, " B"]) -> Tensor | None:
    """The convolution's tail; a segment starts without one, whatever stands in the cache."""
    if cache is None or (isinstance(position, int) and position == 0):
        return None
    if isinstance(position, Tensor):
        return torch.where((position > 0)[:, None, None], cache.tail, torch.zeros_like(cache.tail))
    return cache.tail


class Transformer(Checked, nn.Module):
    """A stack of Transformer layers with a final norm: the native host of segment memories.

    Args:
        dim: width.
        layers: how many.
        heads, hidden, convolution, rotary, output_norm: of each layer.
    """

    vocabulary: int | None = None
    """It reads vectors."""
    longest: int | None = None
    """Segments may have any length."""

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

    def place(self, h: Float[Tensor, "B T D"], position: int | Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        return h

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.final_norm(h)

    def head(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return h
