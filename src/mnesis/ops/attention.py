"""Softmax attention: torch's, on whatever kernel it chooses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from .transforms import transformed


def attend(
    query: Float[Tensor, "B H T K"],
    key: Float[Tensor, "B H N K"],
    value: Float[Tensor, "B H N V"],
    *,
    mask: Bool[Tensor, "*#B T N"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "B H T V"]:
    """y_t = sum_n softmax_n(q_t . k_n / sqrt(K)) v_n.

    Kernels have first derivatives alone, and none in forward mode. Under a transform of torch.func the products are
    therefore written out; for second derivatives by ``create_graph=True``, which the forward pass cannot foresee, read
    within ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``.

    Args:
        query, key, value: q, k and v of each head.
        mask: which keys a query sees; at least one.
        causal: query t sees keys 0..t; N = T.
    """
    if not transformed():
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    if causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1).to(value.dtype) @ value
