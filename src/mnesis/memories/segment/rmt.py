"""Recurrent Memory Transformer: the last hidden states of memory tokens open the next segment."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Count
from ...core.host import Host, OffersHost
from .segments import SegmentMemory


class RMTCarried(NamedTuple):
    """What passes from segment to segment."""

    memory: Float[Tensor, "B M D"]


class RMT(SegmentMemory):
    """Recurrent Memory Transformer (Bulatov et al. 2022, arXiv 2207.06881).

    Every segment runs as [M; X; M]: the same m vectors stand in front, to be read, and behind, to be written; what the
    host's last layer and final norm make of the ones behind is the next segment's M (section 3). The state is m dim
    numbers, and the keys and values of the present segment.

    The paper's memory tokens see one another in both directions inside a block; the authors' code for pretrained hosts
    (``memory_mask="causal"``) keeps the plain causal mask.

    Args:
        dim: width.
        segment: units in a segment.
        memory_tokens: m; 0 = nothing is carried, a baseline: the host, cut at every segment.
        memory_mask: "bidirectional" as in the paper, "causal" as in the authors' code.
        layers, heads, hidden, convolution, rotary, output_norm: of the native Transformer; without effect on a host
            that is handed in.
        host: any causal stack of layers instead: a host of your own, a :class:`mnesis.nets.Stack` of recurrent blocks.
        checkpoint: recompute activations in the backward pass (see :class:`SegmentMemory`).

    Raises:
        ValueError: an unknown mask, a bidirectional one around layers without attention, or a host that does not fit
            (see :class:`SegmentMemory`).
    """

    def __init__(
        self,
        dim: int,
        *,
        segment: int = 512,
        memory_tokens: Count = 10,
        memory_mask: Literal["bidirectional", "causal"] = "bidirectional",
        layers: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        convolution: int | None = None,
        rotary: bool = True,
        output_norm: bool = False,
        host: Host | OffersHost | None = None,
        checkpoint: bool = False,
    ) -> None:
        if memory_mask not in ("bidirectional", "causal"):
            raise ValueError(f"memory_mask={memory_mask!r} is unknown; give 'bidirectional' or 'causal'")
        native = {"layers": layers, "heads": heads, "hidden": hidden, "convolution": convolution}
        native |= {"rotary": rotary, "output_norm": output_norm}
        super().__init__(
            dim,
            host,
            native,
            segment=segment,
            read_tokens=memory_tokens,
            write_tokens=memory_tokens,
            checkpoint=checkpoint,
        )
        self.memory_mask = memory_mask
        if self.both_ways and any(getattr(layer, "attention", True) is None for layer in self.host.layers):
            raise ValueError(
                "memory_mask='bidirectional': memory tokens see one another through attention, and layers of "
                f"{type(self.host).__name__} have none; give memory_mask='causal'"
            )
        self.memory = nn.Parameter(torch.randn(memory_tokens, dim) * self.spread)

    @property
    def both_ways(self) -> bool:
        return self.memory_mask == "bidirectional"

    def initial_carried(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> RMTCarried:
        return RMTCarried(self.memory.to(dtype).expand(batch, -1, -1).clone())

    def read(self, layer: int, h: Tensor, carried: RMTCarried) -> Tensor:
        return h

    def opening(self, carried: RMTCarried) -> Tensor | None:
        return carried.memory.to(self.memory.dtype) if self.read_tokens else None

    def closing(self, carried: RMTCarried) -> Tensor | None:
        return self.opening(carried)

    def write(self, outputs: list[Tensor], carried: RMTCarried) -> RMTCarried:
        if not outputs:
            return carried
        return RMTCarried(self.host.norm(outputs[-1]).to(carried.memory.dtype))
