"""The delta rule: a matrix that overwrites what it holds under a key (Schlag et al. 2021, arXiv 2102.11174).

    S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T
    y_t = S_t^T q_t / sqrt(K)

Keys should have length 1 (``unit_length``): for beta in [0, 2] no write then lengthens what is stored beside its own
value. The chunk form follows Yang et al. 2024 (arXiv 2406.06484). All functions compute in the dtype of S (float32 or
wider, also under autocast) and return outputs in it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def unit_length(x: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """x / |x|, smooth at 0."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


def delta_rule_step(
    query: Float[Tensor, "B H K"],
    key: Float[Tensor, "B H K"],
    value: Float[Tensor, "B H V"],
    strength: Float[Tensor, "B H"],
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B H V"], Float[Tensor, "B H K V"]]:
    """One unit: output and S."""
    with torch.autocast(matrix.device.type, enabled=False):
        query, key, value, strength = (x.to(matrix.dtype) for x in (query, key, value, strength))
        error = value[..., None, :] - key[..., None, :] @ matrix
        matrix = torch.addcmul(matrix, (strength[..., None] * key)[..., None], error)
        return (query[..., None, :] @ matrix).squeeze(-2) * query.shape[-1] ** -0.5, matrix


def delta_rule_naive(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    strength: Float[Tensor, "B T H"],
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """Unit after unit."""
    outputs = []
    for q, k, v, beta in zip(query.unbind(1), key.unbind(1), value.unbind(1), strength.unbind(1), strict=True):
        y, matrix = delta_rule_step(q, k, v, beta, matrix)
        outputs.append(y)
    return torch.stack(outputs, 1), matrix


def delta_rule_chunk(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    strength: Float[Tensor, "B T H"],
    matrix: Float[Tensor, "B H K V"],
    *,
    chunk: int = 32,
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """Chunk after chunk, each with one triangular solve.

    With Q, K, V the rows of a chunk and beta its write strengths, the corrected values E (row t: what unit t really
    writes, beta_t (v_t - S_{t-1}^T k_t)) solve (I + tril(diag(beta) K K^T, -1)) E = diag(beta) (V - K S).
    Then Y = (Q S + tril(Q K^T) E) / sqrt(K) and S += K^T E. The paper inverts the matrix first, for all chunks at once;
    forward substitution is as fast on a CPU and does not lose digits where keys are nearly equal.
    """
    heads = matrix.shape[:2]
    with torch.autocast(matrix.device.type, enabled=False):
        query, key, value, beta = (x.to(matrix.dtype) for x in (query, key, value, strength[..., None]))
        query = query * query.shape[-1] ** -0.5
        # One copy with a batch of B H streams here saves one for each product of a chunk below.
        streams = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, beta * key, beta * value))
        matrix, outputs = matrix.flatten(0, 1), []
        for q, k, beta_k, beta_v in zip(*(x.split(chunk, 1) for x in streams), strict=True):
            target = torch.baddbmm(beta_v, beta_k, matrix, alpha=-1)
            # The solver reads only what stands below the diagonal.
            written = torch.linalg.solve_triangular(beta_k @ k.mT, target, upper=False, unitriangular=True)
            outputs.append(torch.baddbmm(q @ matrix, (q @ k.mT).tril(), written))
            matrix = torch.baddbmm(matrix, k.mT, written)
        return torch.cat(outputs, 1).unflatten(0, heads).transpose(1, 2), matrix.unflatten(0, heads)
