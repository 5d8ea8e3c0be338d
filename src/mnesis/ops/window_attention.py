"""Causal attention to the last few units alone, with rotary positions that never exceed two windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .attention import attend
from .rotary import rotate
from .transforms import readable


def window_attention_block(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N G K"],
    value: Float[Tensor, "B N G K"],
    filled: Int[Tensor, " B"],
    window: int,
    turned: int | None = None,
) -> Float[Tensor, "B T H K"]:
    """y_t = sum_j softmax_j(R q_t . R k_j / sqrt(K)) v_j over the units j = t-W+1..t; time and memory are linear in T.

    Units are taken in blocks of W, which are rows of one batch: each block attends to the one before it and to itself.
    Rotary positions R are counted from the start of the block before.

    Args:
        query: of T units.
        key: of N - T units before them (W-1 or none) and of themselves, not rotated; a head each, or fewer, of which
            each serves as many heads of queries in a row.
        value: likewise.
        filled: how many of the units before are real, the later ones first (more than there are counts as all); the
            others weigh exactly nothing.
        window: W, at least 2.
        turned: how many of every head's channels turn with their position, the first; None = K.
    """
    first, before = min(query.shape[1], window), key.shape[1] - query.shape[1]
    reach = before + first
    # Only the first block reaches units from before the call, of which rows may have fewer.
    seen = _near(first, reach, window, query.device) & _real(filled, before, reach)
    start = _attend(query[:, :first], key[:, :reach], value[:, :reach], seen, turned)
    if query.shape[1] <= window:
        return start
    queries, keys, values = (_blocks(units, window) for units in (query, key[:, before:], value[:, before:]))
    keys, values = (torch.cat([units[:, :-1], units[:, 1:]], 2) for units in (keys, values))
    rest = _attend(queries[:, 1:], keys, values, _near(window, 2 * window, window, query.device)[None], turned)
    return torch.cat([start, rest.flatten(1, 2)[:, : query.shape[1] - first]], 1)


def window_attention_naive(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N G K"],
    value: Float[Tensor, "B N G K"],
    filled: Int[Tensor, " B"],
    window: int,
    turned: int | None = None,
) -> Float[Tensor, "B T H K"]:
    """The same as :func:`window_attention_block`, from one dense mask over all units."""
    time, total = query.shape[1], key.shape[1]
    before = total - time
    position = torch.arange(total, device=query.device)
    key, value = (_for_each_query_head(units, query) for units in (key, value))
    scores = torch.einsum("bthk,bjhk->bhtj", _turned(query, position[before:], turned), _turned(key, position, turned))
    seen = _near(time, total, window, query.device) & _real(filled, before, total)
    weights = (scores * query.shape[-1] ** -0.5).masked_fill(~seen[:, None], float("-inf")).softmax(-1)
    return torch.einsum("bhtj,bjhk->bthk", weights.to(value.dtype), value)


def push(
    buffer: Float[Tensor, "B N *D"], new: Float[Tensor, "B T *D"], length: Int[Tensor, " B"] | None = None
) -> Float[Tensor, "B N *D"]:
    """The last N units of a buffer followed by new ones, of which only ``length`` are real, in storage of their own."""
    size, time = buffer.shape[1], new.shape[1]
    if length is not None:
        place = length[:, None] + torch.arange(size, device=new.device)
        units = torch.cat([buffer, new.to(buffer.dtype)], 1)
        return units.gather(1, place.reshape(*place.shape, *[1] * (new.ndim - 2)).expand_as(buffer))
    if time >= size:
        return new[:, time - size :].to(buffer.dtype, copy=True)
    return torch.cat([buffer[:, time:], new.to(buffer.dtype)], 1)


def unfilled(filled: Int[Tensor, " B"], places: int) -> int:
    """How many of the first of so many places are empty in all rows, where the last ones are filled first.

    They can be left out, which makes short sequences cheap. 0 where values cannot be had, and on an accelerator, which
    would have to be waited for: there they are masked.
    """
    if filled.device.type != "cpu" or not readable(filled):
        return 0
    return max(places - int(filled.max()), 0)


def _near(queries: int, keys: int, window: int, device: torch.device) -> Bool[Tensor, "T N"]:
    """Which keys the last units of N see by distance."""
    distance = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (distance >= 0) & (distance < window)


def _real(filled: Int[Tensor, " B"], before: int, keys: int) -> Bool[Tensor, "B 1 N"]:
    """Which keys there are, the first ones being from before the call."""
    empty = before - filled.clamp(max=before)
    return (torch.arange(keys, device=filled.device) >= empty[:, None])[:, None]


def _turned(
    units: Float[Tensor, "*B N H K"], position: Int[Tensor, " N"], turned: int | None
) -> Float[Tensor, "*B N H K"]:
    """Rotated in float32 or wider and rounded once."""
    wide = units.to(torch.promote_types(units.dtype, torch.float32))
    return rotate(wide, position, turned=turned).to(units.dtype)


def _blocks(units: Float[Tensor, "B T H K"], window: int) -> Float[Tensor, "B N W H K"]:
    return F.pad(units, (0, 0, 0, 0, 0, -units.shape[1] % window)).unflatten(1, (-1, window))


def _for_each_query_head(units: Float[Tensor, "*B N G K"], query: Float[Tensor, "*B T H K"]) -> Tensor:
    each = query.shape[-2] // units.shape[-2]
    return units if each == 1 else units.repeat_interleave(each, -2)


def _attend(
    query: Float[Tensor, "*B T H K"],
    key: Float[Tensor, "*B N G K"],
    value: Float[Tensor, "*B N G K"],
    seen: Bool[Tensor, "*#B T N"],
    turned: int | None,
) -> Float[Tensor, "*B T H K"]:
    position = torch.arange(key.shape[-3], device=query.device)
    query, key = _turned(query, position[-query.shape[-3] :], turned), _turned(key, position, turned)
    key, value = (_for_each_query_head(units, query) for units in (key, value))
    q, k, v = (t.flatten(0, -4).transpose(1, 2) for t in (query, key, value))
    y = attend(q, k, v, mask=seen.flatten(0, -3)[:, None])
    return y.transpose(1, 2).unflatten(0, query.shape[:-3])
