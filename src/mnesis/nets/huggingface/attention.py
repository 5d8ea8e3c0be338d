"""A door into the attention of models of transformers: calls that travel through a layer's own code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ...layers.heads import Attention, Heads
from ...layers.segment_attention import SegmentCache, attend_turned

PREFIX = "mnesis_"
"""What the attention of a model is called once calls can travel through it, before the name of what it was."""
ARGUMENT = "mnesis_call"
"""The keyword under which a call travels."""


class Projected(Exception):  # noqa: N818 - it is no error, only the shortest way out of a layer
    """A call that wanted queries, keys and values alone has them."""


class Facts(NamedTuple):
    """What a layer tells its attention in every call."""

    attention: Attention
    dropout: float


class Call:
    """One call of one layer. The layer's attention hands it queries, keys and values, and gets what they read.

    Args:
        read: what is done with them: ``read(call, module, query, key, value, facts)`` returns what each head of queries
            read, ``[B T H V]``, and leaves in ``call.cache`` the cache with these units.
        cache: of the units before.
    """

    def __init__(self, read: Callable[..., Tensor], cache: SegmentCache | None = None) -> None:
        self.read, self.cache = read, cache
        self.met, self.learns = False, torch.is_grad_enabled()
        """Whether an attention took the call, and whether gradients were wanted when it was made."""
        self.inputs: Tensor | None = None
        """What the attention was given."""
        self.heads: Heads | None = None
        self.seen: tuple[nn.Module, Facts] | None = None
        """The attention that was met, and what it was told."""


def open_door(config: Any) -> None:
    """Let calls travel through the attention of a model; whatever comes without one is read as before.

    A model may be told another attention at any time, or come from another process: then this is called again.
    """
    own = config._attn_implementation or "eager"
    name = own if own.startswith(PREFIX) else PREFIX + own
    if name == own and name in ALL_ATTENTION_FUNCTIONS:
        return
    own = name.removeprefix(PREFIX)
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _attention(own))
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[own])
    config._attn_implementation_internal = name


def _attention(own: str) -> Callable[..., Any]:
    """The attention function that looks for a call, and without one is the model's own."""

    def attention(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, *args: Any, **told: Any
    ) -> Any:
        call = told.pop(ARGUMENT, None)
        if call is None:
            eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
            return ALL_ATTENTION_FUNCTIONS.get_interface(own, cast(Any, eager))(
                module, query, key, value, attention_mask, *args, **told
            )
        if call.learns and not torch.is_grad_enabled():
            raise ValueError(
                "reentrant gradient checkpointing loses the gradients of what a segment's cache keeps; switch it on "
                "with use_reentrant=False"
            )
        call.met = True
        q, k, v = (t.transpose(1, 2) for t in (query, key, value))
        return call.read(call, module, q, k, v, _facts(q, k, v, told)), None

    return attention


def _facts(q: Tensor, k: Tensor, v: Tensor, told: dict[str, Any]) -> Facts:
    scale = told.get("scaling")
    attention = Attention(
        heads=q.shape[2],
        key_heads=k.shape[2],
        key_width=k.shape[3],
        value_width=v.shape[3],
        scale=q.shape[3] ** -0.5 if scale is None else scale,
        window=told.get("sliding_window"),
        softcap=told.get("softcap"),
    )
    return Facts(attention, told.get("dropout") or 0.0)


def note_inputs(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A hook before an attention: what it is given belongs to the call that travels through it."""
    if (call := kwargs.get(ARGUMENT)) is not None:
        call.inputs = args[0] if args else kwargs["hidden_states"]


def look(call: Call, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, facts: Facts) -> Tensor:
    """Read nothing; leave what was handed over, the module and its facts."""
    call.heads = Heads(q, k, v, q.new_empty(0) if call.inputs is None else call.inputs)
    call.seen = (module, facts)
    return q.new_zeros(*q.shape[:3], v.shape[3])


def leave(call: Call, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, facts: Facts) -> Tensor:
    """Queries, keys and values are all that was wanted."""
    call.heads = Heads(q, k, v, call.inputs)  # type: ignore[arg-type]
    raise Projected


def reader(
    position: int | Int[Tensor, " B"], both_ways: tuple[int, int], length: Int[Tensor, " B"] | None
) -> Callable[..., Tensor]:
    """Units read their segment; the model's own code has turned queries and keys."""

    def read(call: Call, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, facts: Facts) -> Tensor:
        context, call.cache = attend_turned(
            q, k, v, call.cache, position, both_ways, length, facts=facts.attention, dropout=facts.dropout
        )
        return context

    return read


def told_how(
    layer: Any,
    attend: Callable[..., Any],
    position: int | Int[Tensor, " B"],
    both_ways: tuple[int, int],
    length: Int[Tensor, " B"] | None,
) -> Callable[..., Tensor]:
    """Units read as somebody else says, of queries and keys that nobody has turned yet."""

    def read(call: Call, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, facts: Facts) -> Tensor:
        heads = Heads(q, k, v, call.inputs)  # type: ignore[arg-type]
        layer.attention_dropout = facts.dropout
        context, call.cache = attend(layer, heads, call.cache, position, both_ways, length)
        return context

    return read


def identity(angles: Any) -> Any:
    """Angles of a rotation that turns nothing, of the same form as a model's own."""
    if isinstance(angles, tuple):
        cosine, sine = angles
        return torch.ones_like(cosine), torch.zeros_like(sine)
    return torch.ones_like(angles)
