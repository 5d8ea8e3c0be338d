"""The delta rule: a matrix that overwrites what it holds under a key (Schlag et al. 2021, arXiv 2102.11174).

    S_t = S + beta_t k_t (v_t - S^T k_t)^T,  S = diag(a_t) S_{t-1}
    y_t = S_t^T q_t / sqrt(K)

Without a decay a = 1. With one number a head it is the gated delta rule (Yang et al. 2024, arXiv 2412.06464, equation
10), with one for each key channel that of Kimi Linear (arXiv 2510.26692): first S decays, then it is corrected. Decays
come as logarithms, <= 0; -inf is a reset. Keys should have length 1 (``unit_length``): for beta in [0, 2] no write then
lengthens what is stored beside its own value. The chunk form follows Yang et al. 2024 (arXiv 2406.06484). Everything is
computed in the dtype of S (float32 or wider, also under autocast) and returned in it.
"""

from __future__ import annotations

from itertools import repeat

import torch
from jaxtyping import Float
from torch import Tensor

from .decay import decayed
from .kernels import delta_rule_kernel
from .precision import without_autocast
from .recurrence import Passage, Recurrence, Summary, check_log_decay


def unit_length(x: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    """x / |x|, smooth at 0."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


def delta_rule_step(
    query: Float[Tensor, "B H K"],
    key: Float[Tensor, "B H K"],
    value: Float[Tensor, "B H V"],
    strength: Float[Tensor, "B H"],
    log_decay: Float[Tensor, "B H"] | Float[Tensor, "B H K"] | None,
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B H V"], Float[Tensor, "B H K V"]]:
    """One unit: output and S."""
    with without_autocast(matrix.device):
        query, key, value, strength = (x.to(matrix.dtype) for x in (query, key, value, strength))
        if log_decay is not None:
            matrix = log_decay.to(matrix.dtype).exp().reshape(*key.shape[:2], -1, 1) * matrix
        error = value[..., None, :] - key[..., None, :] @ matrix
        matrix = torch.addcmul(matrix, (strength[..., None] * key)[..., None], error)
        return (query[..., None, :] @ matrix).squeeze(-2) * query.shape[-1] ** -0.5, matrix


def delta_rule_chunk(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    strength: Float[Tensor, "B T H"],
    log_decay: Float[Tensor, "B T H"] | Float[Tensor, "B T H K"] | None,
    matrix: Float[Tensor, "B H K V"],
    *,
    chunk: int = 32,
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """Chunk after chunk, each with one triangular solve.

    With Q, K, V the rows of a chunk and beta its write strengths, the corrected values E (row t: what unit t really
    writes, beta_t (v_t - S^T k_t)) solve (I + tril(diag(beta) K K^T, -1)) E = diag(beta) (V - K S).
    Then Y = (Q S + tril(Q K^T) E) / sqrt(K) and S += K^T E. With a decay every pair has decayed from one unit to the
    other, and what meets S from the chunk's start. The papers invert the matrix first, for all chunks at once; forward
    substitution is as fast on a CPU and does not lose digits where keys are nearly equal.
    """
    heads = matrix.shape[:2]
    with without_autocast(matrix.device):
        query, key, value, beta = (x.to(matrix.dtype) for x in (query, key, value, strength[..., None]))
        query = query * query.shape[-1] ** -0.5
        # One copy with a batch of B H streams here saves one for each product of a chunk below.
        q, k, beta_k, beta_v = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, beta * key, beta * value))
        decays = repeat(None)
        if log_decay is not None:
            decays = decayed([beta_k, q], k, log_decay.to(q.dtype).transpose(1, 2).flatten(0, 1), chunk)
        matrix, outputs = matrix.flatten(0, 1), []
        pieces = zip(*(x.split(chunk, 1) for x in (q, k, beta_k, beta_v)), strict=True)
        for (q, k, beta_k, beta_v), decay in zip(pieces, decays, strict=False):
            if decay is None:
                writes, reads = beta_k @ k.mT, (q @ k.mT).tril()
            else:
                (writes, reads), from_start, to_end = decay
                q, k, beta_k = q * from_start, k * to_end, beta_k * from_start
            target = torch.baddbmm(beta_v, beta_k, matrix, alpha=-1)
            # The solver reads only what stands below the diagonal.
            written = torch.linalg.solve_triangular(writes, target, upper=False, unitriangular=True)
            outputs.append(torch.baddbmm(q @ matrix, reads, written))
            kept = matrix if decay is None else decay.from_start[:, -1, :, None] * matrix
            matrix = torch.baddbmm(kept, k.mT, written)
        return torch.cat(outputs, 1).unflatten(0, heads).transpose(1, 2), matrix.unflatten(0, heads)


def _transition(
    query: Tensor, key: Tensor, value: Tensor, strength: Tensor, log_decay: Tensor | None, matrix: Tensor
) -> Float[Tensor, "B H K K"]:
    """Columns of S do not know of one another: what the piece makes of the identity, it makes of any S."""
    identity = torch.eye(key.shape[-1], device=matrix.device, dtype=matrix.dtype)
    identity = identity.expand(*matrix.shape[:2], -1, -1)
    return delta_rule_chunk(query, key, torch.zeros_like(key), strength, log_decay, identity)[1]


def _moved(summary: Summary, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (summary.decay @ carried[0] + summary.update[0],)


delta_rule = Recurrence(
    delta_rule_step,
    delta_rule_chunk,
    sequences=5,
    passage=Passage(_transition, _moved),
    domain=lambda query, key, value, strength, log_decay, matrix: check_log_decay(log_decay),
    kernel=delta_rule_kernel,
)
