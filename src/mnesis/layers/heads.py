"""What an attention layer tells of itself, and what it makes of its inputs: values that memories read from outside."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Attention(NamedTuple):
    """Facts about the attention of one layer."""

    heads: int
    """Of queries."""
    key_heads: int
    """Of keys and values; each is read by ``heads / key_heads`` neighbouring heads of queries."""
    key_width: int
    value_width: int
    scale: float
    """What products of queries and keys are multiplied by."""
    window: int | None = None
    """How many of the latest units a unit sees, itself included; None = all."""
    softcap: float | None = None
    """Scaled products s become softcap * tanh(s / softcap); None = they stay as they are."""


class Heads(NamedTuple):
    """Queries, keys and values of some units, before any position."""

    query: Float[Tensor, "B T H K"]
    key: Float[Tensor, "B T G K"]
    value: Float[Tensor, "B T G V"]
    inputs: Float[Tensor, "B T D"]
    """What the three are projections of: the normalised inputs, behind the convolution where there is one."""
