"""Causal attention to the last few units alone, with rotary positions that never exceed two windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .rotary import rotate


def window_attention(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B W-1+T H K"],
    value: Float[Tensor, "B W-1+T H K"],
    filled: Int[Tensor, " B"],
    window: int,
) -> Float[Tensor, "B T H K"]:
    """y_t = sum_j softmax_j(R q_t . R k_j / sqrt(K)) v_j over the units j = t-W+1..t; time and memory are linear in T.

    Units are taken in blocks of half a window, which are rows of one batch: each attends to the two before it and to
    itself. Rotary positions R are counted from the first of the three.

    Args:
        query: of T units.
        key: of the W-1 units before them and of themselves, not rotated.
        value: likewise.
        filled: how many of the W-1 units before are real, the later ones first (more than W-1 counts as W-1); the
            others weigh exactly nothing.
        window: W, at least 2.
    """
    time, half = query.shape[1], (window + 1) // 2
    if time <= half:
        seen = _near(time, key.shape[1], window, query.device) & _real(filled, window, window - 1, key.shape[1])
        return _attend(query, key, value, seen)
    before, beyond = 2 * half - (window - 1), -time % half
    queries = F.pad(query, (0, 0, 0, 0, 0, beyond)).unflatten(1, (-1, half))
    keys, values = (_triples(F.pad(units, (0, 0, 0, 0, before, beyond)), half) for units in (key, value))
    near = _near(half, 3 * half, window, query.device)
    # Only the first two blocks reach units from before the call, of which rows may have fewer.
    real = _real(filled, window, 2 * half, 4 * half).unfold(2, 3 * half, half).transpose(1, 2)
    first = _attend(queries[:, :2], keys[:, :2], values[:, :2], near & real)
    if time <= 2 * half:
        return first.flatten(1, 2)[:, :time]
    rest = _attend(queries[:, 2:], keys[:, 2:], values[:, 2:], near[None])
    return torch.cat([first, rest], 1).flatten(1, 2)[:, :time]


def naive_window_attention(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B W-1+T H K"],
    value: Float[Tensor, "B W-1+T H K"],
    filled: Int[Tensor, " B"],
    window: int,
) -> Float[Tensor, "B T H K"]:
    """The same as :func:`window_attention`, from one dense mask over all units."""
    time, total = query.shape[1], key.shape[1]
    position = torch.arange(total, device=query.device)
    scores = torch.einsum("bthk,bjhk->bhtj", rotate(query, position[window - 1 :]), rotate(key, position))
    seen = _near(time, total, window, query.device) & _real(filled, window, window - 1, total)
    weights = (scores * query.shape[-1] ** -0.5).masked_fill(~seen[:, None], float("-inf")).softmax(-1)
    return torch.einsum("bhtj,bjhk->bthk", weights.to(value.dtype), value)


def push(buffer: Float[Tensor, "B N ..."], new: Float[Tensor, "B T ..."]) -> Float[Tensor, "B N ..."]:
    """The last N units of a buffer followed by new ones, in storage of their own."""
    size, time = buffer.shape[1], new.shape[1]
    if time >= size:
        return new[:, time - size :].to(buffer.dtype, copy=True)
    return torch.cat([buffer[:, time:], new.to(buffer.dtype)], 1)


def _near(queries: int, keys: int, window: int, device: torch.device) -> Bool[Tensor, "T N"]:
    """Which keys the last units of N see by distance."""
    distance = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (distance >= 0) & (distance < window)


def _real(filled: Int[Tensor, " B"], window: int, slots: int, keys: int) -> Bool[Tensor, "B 1 N"]:
    """Which of the first N keys there are, when so many slots stand before the call's own units."""
    empty = slots - filled.clamp(max=window - 1)
    return (torch.arange(keys, device=filled.device) >= empty[:, None])[:, None]


def _triples(units: Float[Tensor, "B M*C H K"], block: int) -> Float[Tensor, "B M-2 3*C H K"]:
    """Every block behind the two before it."""
    blocks = units.unflatten(1, (-1, block))
    return torch.cat([blocks[:, :-2], blocks[:, 1:-1], blocks[:, 2:]], 2)


def _attend(
    query: Float[Tensor, "... T H K"],
    key: Float[Tensor, "... N H K"],
    value: Float[Tensor, "... N H K"],
    seen: Bool[Tensor, "... T N"],
) -> Float[Tensor, "... T H K"]:
    position = torch.arange(key.shape[-3], device=query.device)
    query, key = rotate(query, position[-query.shape[-3] :]), rotate(key, position)
    q, k, v = (t.flatten(0, -4).transpose(1, 2) for t in (query, key, value))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen.flatten(0, -3)[:, None])
    return y.transpose(1, 2).unflatten(0, query.shape[:-3])
