"""Attention with the relative positions of Transformer-XL (Dai et al. 2019, arXiv 1901.02860, 3.3 and appendix B)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def sinusoids(distance: Int[Tensor, " N"], dim: int, dtype: torch.dtype) -> Float[Tensor, "N D"]:
    """The matrix R: sines, then cosines, of every distance at wavelengths from 2 pi to 20,000 pi."""
    wide = torch.promote_types(dtype, torch.float32)
    rate = 10_000.0 ** -(torch.arange(0, dim, 2, device=distance.device, dtype=wide) / dim)
    angle = distance.to(wide)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1).to(dtype)


def relative_attention(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N H K"],
    value: Float[Tensor, "B N H V"],
    position: Float[Tensor, "N+1 H K"],
    content_bias: Float[Tensor, "H K"],
    position_bias: Float[Tensor, "H K"],
    seen: Bool[Tensor, "B T N"],
) -> Float[Tensor, "B T H V"]:
    """y_i = sum_j softmax_j(((q_i + u) . k_j + (q_i + v) . r_{i-j}) / sqrt(K)) v_j, the T units being the last of N.

    Args:
        query, key, value: q, k and v of each head.
        position: r = W_kR R for the distances N, N-1, ..., 0.
        content_bias: u.
        position_bias: v.
        seen: which units each one may attend to; at least one, and none behind it.
    """
    scale = query.shape[-1] ** -0.5
    content = torch.einsum("bthk,bjhk->bhtj", (query + content_bias) * scale, key)  # terms (a) and (c)
    places = torch.einsum("bthk,jhk->bhtj", (query + position_bias) * scale, position)  # terms (b) and (d)
    return _blend(content + _shift_left(places), seen, value)


def relative_attention_naive(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N H K"],
    value: Float[Tensor, "B N H V"],
    position: Float[Tensor, "N+1 H K"],
    content_bias: Float[Tensor, "H K"],
    position_bias: Float[Tensor, "H K"],
    seen: Bool[Tensor, "B T N"],
) -> Float[Tensor, "B T H V"]:
    """The same as :func:`relative_attention`, with r looked up for every pair."""
    time, total = query.shape[1], key.shape[1]
    units = torch.arange(total, device=query.device)
    distance = (units[total - time :, None] - units).clamp(min=0)
    content = torch.einsum("bthk,bjhk->bhtj", query + content_bias, key)
    places = torch.einsum("bthk,tjhk->bhtj", query + position_bias, position[total - distance])
    return _blend((content + places) * query.shape[-1] ** -0.5, seen, value)


def relative_attention_step(
    content: Float[Tensor, "B H D"],
    places: Float[Tensor, "B H D"],
    units: Float[Tensor, "B N D"],
    sinusoid: Float[Tensor, "N D"],
    distance: Int[Tensor, "B N"],
    seen: Bool[Tensor, "B N"],
) -> Float[Tensor, "B H D"]:
    """:func:`relative_attention` of one unit a row, each at a distance of its own from the stored ones.

    The projections of keys, values and positions are left to the caller, at the query's side, q . W h = W^T q . h, so
    that a unit costs H products with the N stored vectors and not N projections.

    Args:
        content: W_kE^T (q + u) / sqrt(K) of each head.
        places: W_kR^T (q + v) / sqrt(K).
        units: the stored vectors h, not projected.
        sinusoid: R for the distances 0..N-1.
        distance: of every stored unit from the row's own, 0..N-1.
        seen: which of them the row may attend to; at least one.

    Returns:
        Of each head the blend of units whose projection by W_v is y.
    """
    by_distance = places @ sinusoid.mT
    scores = content @ units.mT + by_distance.gather(-1, distance[:, None].expand_as(by_distance))
    weights = scores.masked_fill(~seen[:, None], float("-inf")).softmax(-1).to(units.dtype)
    return weights @ units


def _blend(
    scores: Float[Tensor, "B H T N"], seen: Bool[Tensor, "B T N"], value: Float[Tensor, "B N H V"]
) -> Float[Tensor, "B T H V"]:
    """Values weighted by the softmax of the scores, which are the caller's no longer."""
    # Added in place, not filled: addition keeps nothing for the backward pass.
    hidden = torch.zeros_like(seen, dtype=scores.dtype).masked_fill(~seen, float("-inf"))
    return torch.einsum("bhtj,bjhk->bthk", scores.add_(hidden[:, None]).softmax(-1).to(value.dtype), value)


def _shift_left(scores: Float[Tensor, "B H T N"]) -> Float[Tensor, "B H T N-1"]:
    """Row i moves left by T - i, so that columns for the distances N-1..0 come to stand at the units (appendix B).

    What lies behind a row's own unit belongs to the next row and must be masked.
    """
    time, columns = scores.shape[-2:]
    return scores.flatten(-2)[..., time:].unflatten(-1, (time, columns - 1))
