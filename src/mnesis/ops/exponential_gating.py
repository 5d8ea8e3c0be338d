"""Outer products with exponential weights, kept in range by a running maximum (Beck et al. 2024, arXiv 2405.04517).

    m_t = max(f_t + m_{t-1}, i_t)
    S_t = exp(f_t + m_{t-1} - m_t) S_{t-1} + exp(i_t - m_t) k_t [v_t, 1]^T
    y_t = S_t^T q_t

f <= 0 is the logarithm of what is kept (-inf: a reset), i that of a write's weight, of any size. S stands for S exp(m);
its last column is the normaliser. The ratio of two outputs does not depend on m, which therefore gets no gradient. With
K = 1 and q = k = 1 the ratio is a softmax over all units so far. Everything is computed in the dtype of S (float32 or
wider, also under autocast) and returned in it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .decay import side_by_side
from .precision import without_autocast
from .recurrence import Passage, Recurrence, Summary, check_log_decay

EMPTY = -1e30
"""m before the first unit: below any weight, and finite, so that states can be compared."""


def exponential_gating_step(
    query: Float[Tensor, "B H K"],
    key: Float[Tensor, "B H K"],
    value: Float[Tensor, "B H V"],
    log_weight: Float[Tensor, "B H"],
    log_decay: Float[Tensor, "B H"],
    matrix: Float[Tensor, "B H K V+1"],
    maximum: Float[Tensor, "B H"],
) -> tuple[Float[Tensor, "B H V+1"], Float[Tensor, "B H"], Float[Tensor, "B H K V+1"], Float[Tensor, "B H"]]:
    """One unit: output and m, which are of the unit, then S and m, which are carried."""
    with without_autocast(matrix.device):
        parts = (x.to(matrix.dtype) for x in (query, key, value, log_weight, log_decay))
        query, key, value, log_weight, log_decay = parts
        kept = log_decay + maximum
        maximum = torch.maximum(kept, log_weight).detach()
        key = key * (log_weight - maximum).exp()[..., None]
        kept = (kept - maximum).exp()[..., None, None]
        matrix = torch.addcmul(kept * matrix, key[..., None], F.pad(value, (0, 1), value=1.0)[..., None, :])
        return (query[..., None, :] @ matrix).squeeze(-2), maximum, matrix, maximum


def exponential_gating_chunk(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    log_weight: Float[Tensor, "B T H"],
    log_decay: Float[Tensor, "B T H"],
    matrix: Float[Tensor, "B H K V+1"],
    maximum: Float[Tensor, "B H"],
    *,
    chunk: int = 64,
) -> tuple[Float[Tensor, "B T H V+1"], Float[Tensor, "B T H"], Float[Tensor, "B H K V+1"], Float[Tensor, "B H"]]:
    """Chunk after chunk: inside one as masked attention, across them through S and m.

    A pair of units has the log-weight i_s + sum_{s < r <= t} f_r; m_t is the largest of its row, or what has become of
    the m that the chunk found.
    """
    heads = matrix.shape[:2]
    with without_autocast(matrix.device):
        parts = [query, key, F.pad(value, (0, 1), value=1.0), log_weight, log_decay]
        # One copy with a batch of B H streams here saves one for each product of a chunk below.
        q, k, v, i, f = (x.to(matrix.dtype).transpose(1, 2).flatten(0, 1) for x in parts)
        matrix, maximum, outputs, maxima = matrix.flatten(0, 1), maximum.flatten(), [], []
        pieces = zip(*(x.split(chunk, 1) for x in (q, k, v)), side_by_side(_log_weights, [i, f], chunk), strict=True)
        for q, k, v, (pair, found, row) in pieces:
            found = found + maximum[:, None]
            m = torch.maximum(row, found).detach()
            weights = (pair - m[..., None]).exp()
            scores, kept = (q @ k.mT) * weights, (found - m).exp()[..., None]
            outputs.append(torch.baddbmm((q * kept) @ matrix, scores, v))
            # What the last unit sees of each write is what the chunk leaves.
            matrix = torch.baddbmm(kept[:, -1:] * matrix, (k * weights[:, -1, :, None]).mT, v)
            maximum = m[:, -1]
            maxima.append(m)
        y, m = (torch.cat(x, 1).unflatten(0, heads).transpose(1, 2) for x in (outputs, maxima))
        return y, m, matrix.unflatten(0, heads), maximum.unflatten(0, heads).clone()


def _log_weights(log_weight: Float[Tensor, "N C"], log_decay: Float[Tensor, "N C"]) -> tuple[Tensor, Tensor, Tensor]:
    """Of every pair (-inf before its time), of what the chunk found, and the largest of each row."""
    size = log_decay.shape[1]
    # Each sum of its own terms alone: differences of running sums lose digits, and -inf - (-inf) has none.
    between = log_decay[..., None].expand(-1, -1, size).tril(-1).cumsum(1)
    future = torch.ones(size, size, dtype=torch.bool, device=log_decay.device).triu(1)
    pair = (between + log_weight[:, None]).masked_fill(future, -torch.inf)
    return pair, log_decay.cumsum(1), pair.detach().amax(-1)


def _log_decay(
    query: Tensor, key: Tensor, value: Tensor, log_weight: Tensor, log_decay: Tensor, matrix: Tensor, maximum: Tensor
) -> Float[Tensor, "B H"]:
    return log_decay.to(matrix.dtype).sum(1)


def _moved(summary: Summary, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The sum of both in the larger one's units."""
    found, own = carried[1] + summary.decay, summary.update[1]
    maximum = torch.maximum(found, own).detach()
    kept, added = ((m - maximum).exp()[..., None, None] for m in (found, own))
    return kept * carried[0] + added * summary.update[0], maximum


def _empty(matrix: Tensor, maximum: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(matrix), torch.full_like(maximum, EMPTY)


exponential_gating = Recurrence(
    exponential_gating_step,
    exponential_gating_chunk,
    sequences=5,
    outputs=2,
    passage=Passage(_log_decay, _moved, _empty),
    domain=lambda query, key, value, log_weight, log_decay, *carried: check_log_decay(log_decay),
)
