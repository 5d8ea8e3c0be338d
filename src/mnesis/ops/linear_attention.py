"""Linear attention: a sum of outer products and its normaliser (Katharopoulos et al. 2020, arXiv 2006.16236).

    S_t = S_{t-1} + phi(k_t) v_t^T         (equation 18)
    z_t = z_{t-1} + phi(k_t)               (equation 19)
    y_t = S_t^T phi(q_t) / (phi(q_t) . z_t + epsilon)     (equation 20)

All functions take features, phi already applied, compute in the dtype of S (float32 or wider, also under autocast), and
return outputs in it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-6


def elu_features(x: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """phi(x) = elu(x) + 1 (equation 7): positive features."""
    return F.elu(x) + 1


def linear_attention_step(
    query: Float[Tensor, "B H K"],
    key: Float[Tensor, "B H K"],
    value: Float[Tensor, "B H V"],
    matrix: Float[Tensor, "B H K V"],
    normaliser: Float[Tensor, "B H K"],
    *,
    epsilon: float = EPSILON,
) -> tuple[Float[Tensor, "B H V"], Float[Tensor, "B H K V"], Float[Tensor, "B H K"]]:
    """One unit: output, S and z."""
    with torch.autocast(matrix.device.type, enabled=False):
        query, key, value = (x.to(matrix.dtype) for x in (query, key, value))
        matrix = torch.addcmul(matrix, key[..., None], value[..., None, :])  # (18)
        normaliser = normaliser + key  # (19)
        read = (query[..., None, :] @ matrix).squeeze(-2)
        return read / ((query * normaliser).sum(-1, keepdim=True) + epsilon), matrix, normaliser  # (20)


def linear_attention_naive(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    matrix: Float[Tensor, "B H K V"],
    normaliser: Float[Tensor, "B H K"],
    *,
    epsilon: float = EPSILON,
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"], Float[Tensor, "B H K"]]:
    """Unit after unit."""
    outputs = []
    for q, k, v in zip(query.unbind(1), key.unbind(1), value.unbind(1), strict=True):
        y, matrix, normaliser = linear_attention_step(q, k, v, matrix, normaliser, epsilon=epsilon)
        outputs.append(y)
    return torch.stack(outputs, 1), matrix, normaliser


def linear_attention_chunk(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    matrix: Float[Tensor, "B H K V"],
    normaliser: Float[Tensor, "B H K"],
    *,
    chunk: int = 64,
    epsilon: float = EPSILON,
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"], Float[Tensor, "B H K"]]:
    """Chunk after chunk: inside one as masked attention, across them through S and z.

    With Q, K, V the rows of a chunk and P = tril(Q K^T): Y = (P V + Q S) / (P 1 + Q z + epsilon), then S += K^T V and
    z += K^T 1.
    """
    heads = matrix.shape[:2]
    with torch.autocast(matrix.device.type, enabled=False):
        # One copy with a batch of B H streams here saves one for each product of a chunk below.
        streams = (x.to(matrix.dtype).transpose(1, 2).flatten(0, 1) for x in (query, key, value))
        matrix, normaliser = matrix.flatten(0, 1), normaliser.flatten(0, 1)
        numerators, denominators = [], []
        for q, k, v in zip(*(x.split(chunk, 1) for x in streams), strict=True):
            scores = (q @ k.mT).tril()
            numerators.append(torch.baddbmm(q @ matrix, scores, v))
            denominators.append(scores.sum(-1) + (q @ normaliser[..., None]).squeeze(-1))
            matrix, normaliser = torch.baddbmm(matrix, k.mT, v), normaliser + k.sum(1)
        y = torch.cat(numerators, 1) / (torch.cat(denominators, 1)[..., None] + epsilon)
        return y.unflatten(0, heads).transpose(1, 2), matrix.unflatten(0, heads), normaliser.unflatten(0, heads)
