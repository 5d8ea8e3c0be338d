"""What memories between segments wrap: a stack of layers that may stop anywhere in a segment, and reach inside."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

C = TypeVar("C")


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
            position: how many units the cache holds; a tensor where rows differ (then T = 1). At 0 the cache holds
                nothing, whatever stands in it. Units beyond its capacity are answered but not kept.
            both_ways: this many first and last units of the call see one another in both directions
                (blocks of memory tokens); the first only at position 0.
            length: units of each row that the cache shall keep; None = all. (The others only pad.)
        """
        ...


@runtime_checkable
class Host(Protocol):
    """What a segment memory wraps (an nn.Module): layers in order, an embedding in, a final norm and a head out.

    Memories reach between ``layers``; ``embed``, ``norm`` and ``head`` may be the identity. What it reads a host may
    say in ``vocabulary``: so many token ids, or None for vectors of width ``dim``.
    """

    dim: int
    layers: nn.ModuleList

    def embed(self, x: Tensor) -> Float[Tensor, "B T D"]: ...

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]: ...

    def head(self, h: Float[Tensor, "B T D"]) -> Tensor: ...


@runtime_checkable
class OffersHost(Protocol):
    """What is no host itself, but whose layers can be one; a segment memory takes it for a host and asks for that."""

    def as_host(self) -> Host:
        """Its layers as a host, weights shared."""
        ...


@runtime_checkable
class Attention(Protocol):
    """Facts about the attention of a layer (:class:`mnesis.layers.heads.Attention`)."""

    @property
    def heads(self) -> int: ...

    @property
    def key_heads(self) -> int: ...

    @property
    def key_width(self) -> int: ...

    @property
    def value_width(self) -> int: ...

    @property
    def scale(self) -> float: ...

    @property
    def window(self) -> int | None: ...

    @property
    def softcap(self) -> float | None: ...


@runtime_checkable
class Heads(Protocol):
    """What an attention layer makes of its inputs, before any position (:class:`mnesis.layers.heads.Heads`)."""

    @property
    def query(self) -> Float[Tensor, "B T H K"]: ...

    @property
    def key(self) -> Float[Tensor, "B T G K"]: ...

    @property
    def value(self) -> Float[Tensor, "B T G V"]: ...

    @property
    def inputs(self) -> Float[Tensor, "B T D"]:
        """What the three are projections of."""
        ...


@runtime_checkable
class Attend(Protocol[C]):
    """How a layer's units read keys: handed into a layer by a memory that reads more than its segment, or otherwise.

    The cache is of the layer's own kind, from ``initial_cache``; what stands in its keys and values is for the function
    to say (the layer's own keeps keys turned by their positions). The layer's output projection, residual and MLP
    follow what it returns, and the tail of a convolution the layer keeps itself.
    """

    def __call__(
        self,
        layer: Any,
        heads: Any,
        cache: C | None,
        position: int | Int[Tensor, " B"],
        both_ways: tuple[int, int],
        length: Int[Tensor, " B"] | None,
    ) -> tuple[Float[Tensor, "B T H V"], C | None]: ...


@runtime_checkable
class AttendingLayer(HostLayer[C], Protocol[C]):
    """A :class:`HostLayer` whose attention can be reached into."""

    attend: Attend[C]
    """What it does where nothing else is handed in; of the same signature, the layer first."""

    @property
    def attention(self) -> Attention | None:
        """None for a recurrence, which then refuses ``attend``."""
        ...

    def rotate(self, x: Float[Tensor, "B T H K"], position: Int[Tensor, "*B T"]) -> Float[Tensor, "B T H K"]:
        """Queries or keys turned by the positions of their units; the identity without rotary positions."""
        ...

    def project(
        self, h: Float[Tensor, "B T D"], cache: C | None = None, position: int | Int[Tensor, " B"] = 0
    ) -> Heads:
        """Queries, keys and values of units, read by nobody; the cache is for a convolution that looks back."""
        ...

    def __call__(
        self,
        h: Float[Tensor, "B T D"],
        cache: C | None = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
        attend: Attend[C] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], C | None]:
        """Run T more units, as :class:`HostLayer` says, which read keys as ``attend`` says; None = as they do."""
        ...


@runtime_checkable
class AttendingHost(Host, Protocol):
    """A host whose layers are :class:`AttendingLayer`."""

    longest: int | None
    """Units that a segment may have, its memory tokens among them: what the host was trained on; None = any."""

    def place(self, h: Float[Tensor, "B T D"], position: int | Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        """Units with their learned positions, once memory tokens stand among them; the identity without such."""
        ...
