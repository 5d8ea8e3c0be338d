"""Causal attention to the last few units alone, with rotary positions that never exceed two windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
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

    Units are taken in blocks of W, which are rows of one batch: each block attends to the one before it and to itself.
    Positions are counted from the start of the block before.

    Args:
        query: of T units.
        key: of the W-1 units before them and of themselves, not rotated.
        value: likewise.
        filled: how many of the W-1 units before are real, the later ones first; the others weigh exactly nothing.
        window: W, at least 2.
    """
    first = min(query.shape[1], window)
    real = _real(filled, window, window - 1 + first)
    near = _near(first, window - 1 + first, window, query.device)
    start = _attend(
        query[:, :first], key[:, : window - 1 + first], value[:, : window - 1 + first], (near & real)[:, None]
    )
    if query.shape[1] <= window:
        return start
    queries, *earlier = (_blocks(t, window) for t in (query, key[:, window - 1 :], value[:, window - 1 :]))
    shape = "b n w h k -> (b n) w h k"
    both = (rearrange(torch.cat([t[:, :-1], t[:, 1:]], 2), shape) for t in earlier)
    near = _near(window, 2 * window, window, query.device)
    rest = _attend(rearrange(queries[:, 1:], shape), *both, near[None, None])
    rest = rearrange(rest, "(b n) w h k -> b (n w) h k", b=query.shape[0])
    return torch.cat([start, rest[:, : query.shape[1] - first]], 1)


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
    seen = _near(time, total, window, query.device) & _real(filled, window, total)
    weights = (scores * query.shape[-1] ** -0.5).masked_fill(~seen[:, None], float("-inf")).softmax(-1)
    return torch.einsum("bhtj,bjhk->bthk", weights.to(value.dtype), value)


def push(buffer: Float[Tensor, "B N ..."], new: Float[Tensor, "B T ..."]) -> Float[Tensor, "B N ..."]:
    """The last N units of a buffer followed by new ones, in storage of their own."""
    size, time = buffer.shape[1], new.shape[1]
    if time >= size:
        return new[:, time - size :].to(buffer.dtype, copy=True)
    return torch.cat([buffer[:, time:], new.to(buffer.dtype)], 1)


def _near(queries: int, keys: int, window: int, device: torch.device) -> Bool[Tensor, "T N"]:
    """Which keys each of the last queries sees by distance."""
    distance = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (distance >= 0) & (distance < window)


def _real(filled: Int[Tensor, " B"], window: int, keys: int) -> Bool[Tensor, "B 1 N"]:
    empty = window - 1 - filled.clamp(max=window - 1)
    return (torch.arange(keys, device=filled.device) >= empty[:, None])[:, None]


def _attend(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N H K"],
    value: Float[Tensor, "B N H K"],
    seen: Bool[Tensor, "B 1 T N"],
) -> Float[Tensor, "B T H K"]:
    position = torch.arange(key.shape[1], device=query.device)
    query, key = rotate(query, position[-query.shape[1] :]), rotate(key, position)
    heads_first = (t.transpose(1, 2) for t in (query, key, value))
    return F.scaled_dot_product_attention(*heads_first, attn_mask=seen).transpose(1, 2)


def _blocks(units: Float[Tensor, "B T H K"], window: int) -> Float[Tensor, "B N W H K"]:
    missing = -units.shape[1] % window
    return F.pad(units, (0, 0, 0, 0, 0, missing)).unflatten(1, (-1, window))
