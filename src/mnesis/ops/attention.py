"""Softmax attention: torch's, on whatever kernel it chooses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from .transforms import transformed


def attend(
    query: Float[Tensor, "B H T K"],
    key: Float[Tensor, "B G N K"],
    value: Float[Tensor, "B G N V"],
    *,
    mask: Bool[Tensor, "*#B #T N"] | Float[Tensor, "*#B #T N"] | None = None,
    causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "B H T V"]:
    """y_t = sum_n softmax_n(scale q_t . k_n) v_n.

    Kernels have first derivatives alone, and none in forward mode. Under a transform of torch.func the products are
    therefore written out; for second derivatives by ``create_graph=True``, which the forward pass cannot foresee, read
    within ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``.

    Args:
        query, key, value: q, k and v of each head; G divides H, and H / G neighbouring heads read one of k and v.
        mask: which keys a query sees; at least one. Or what is added to scaled products, minus infinity where it does
            not.
        causal: query t sees keys 0..t; N = T.
        scale: 1 / sqrt(K) if None.
        softcap: scaled products s become softcap * tanh(s / softcap); None = they stay.
        dropout: share of the weights that are dropped, the others grow by as much.
    """
    if not transformed() and softcap is None:
        grouped = key.shape[1] != query.shape[1]
        if grouped and query.shape[2] == 1 and (mask is None or mask.ndim < 3 or mask.shape[-3] == 1):
            # Heads that read the same key are as many queries of one head, so that nothing is repeated.
            packed = query.reshape(query.shape[0], key.shape[1], -1, query.shape[-1])
            read = F.scaled_dot_product_attention(packed, key, value, attn_mask=mask, dropout_p=dropout, scale=scale)
            return read.reshape(*query.shape[:-1], value.shape[-1])
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale, enable_gqa=grouped
        )
    if key.shape[1] != query.shape[1]:
        key, value = (t.repeat_interleave(query.shape[1] // t.shape[1], 1) for t in (key, value))
    if causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.mT
    if softcap is not None:
        scores = softcap * (scores / softcap).tanh()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1).to(value.dtype)
    return (F.dropout(weights, dropout) if dropout else weights) @ value
