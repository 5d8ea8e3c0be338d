"""Outer products that decay: linear attention with a gate (Yang et al. 2023, arXiv 2312.06635, and its relatives).

    S_t = diag(a_t) S_{t-1} + k_t v_t^T         (equation 3 there)
    y_t = S_t^T q_t

a is one number a head (retention, Mamba-2) or one for each key channel (GLA). Both come as logarithms, <= 0; -inf
forgets everything, as a reset inside a sequence does; None never forgets. q is not scaled. A normaliser is one more
column of values that are 1. Everything is computed in the dtype of S (float32 or wider, also under autocast) and
returned in it.
"""

from __future__ import annotations

from itertools import repeat

import torch
from jaxtyping import Float
from torch import Tensor

from .decay import decayed
from .kernels import gated_linear_attention_kernel
from .precision import without_autocast
from .recurrence import Passage, Recurrence, check_log_decay


def gated_linear_attention_step(
    query: Float[Tensor, "B H K"],
    key: Float[Tensor, "B H K"],
    value: Float[Tensor, "B H V"],
    log_decay: Float[Tensor, "B H"] | Float[Tensor, "B H K"] | None,
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B H V"], Float[Tensor, "B H K V"]]:
    """One unit: output and S."""
    with without_autocast(matrix.device):
        query, key, value = (x.to(matrix.dtype) for x in (query, key, value))
        if log_decay is not None:
            matrix = log_decay.to(matrix.dtype).exp().reshape(*key.shape[:2], -1, 1) * matrix
        matrix = torch.addcmul(matrix, key[..., None], value[..., None, :])
        return (query[..., None, :] @ matrix).squeeze(-2), matrix


def gated_linear_attention_chunk(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    log_decay: Float[Tensor, "B T H"] | Float[Tensor, "B T H K"] | None,
    matrix: Float[Tensor, "B H K V"],
    *,
    chunk: int = 64,
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """Chunk after chunk: inside one as masked attention, across them through S.

    With b_t the product of a chunk's decays up to t, c_s that after s, and P = tril(Q K^T) where every pair has decayed
    from s to t: Y = P V + (Q * b) S, then S = b_C * S + (K * c)^T V.
    """
    heads = matrix.shape[:2]
    with without_autocast(matrix.device):
        # One copy with a batch of B H streams here saves one for each product of a chunk below.
        q, k, v = (x.to(matrix.dtype).transpose(1, 2).flatten(0, 1) for x in (query, key, value))
        decays = repeat(None)
        if log_decay is not None:
            decays = decayed([q], k, log_decay.to(matrix.dtype).transpose(1, 2).flatten(0, 1), chunk)
        matrix, outputs = matrix.flatten(0, 1), []
        pieces = zip(*(x.split(chunk, 1) for x in (q, k, v)), strict=True)
        for (q, k, v), decay in zip(pieces, decays, strict=False):
            if decay is None:
                scores = (q @ k.mT).tril()
            else:
                (scores,), from_start, to_end = decay
                q, k = q * from_start, k * to_end
            outputs.append(torch.baddbmm(q @ matrix, scores, v))
            kept = matrix if decay is None else decay.from_start[:, -1, :, None] * matrix
            matrix = torch.baddbmm(kept, k.mT, v)
        return torch.cat(outputs, 1).unflatten(0, heads).transpose(1, 2), matrix.unflatten(0, heads)


def _decay(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor | None, matrix: Tensor) -> Tensor:
    if log_decay is None:
        return torch.ones_like(matrix[..., :1, :1])
    return log_decay.to(matrix.dtype).sum(1).exp().reshape(*matrix.shape[:2], -1, 1)


gated_linear_attention = Recurrence(
    gated_linear_attention_step,
    gated_linear_attention_chunk,
    sequences=4,
    passage=Passage(_decay),
    domain=lambda query, key, value, log_decay, matrix: check_log_decay(log_decay),
    kernel=gated_linear_attention_kernel,
)
