"""A matrix of associations with a normaliser, read and written as ARMT does (arXiv 2407.04841)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-5


def dpfp(x: Float[Tensor, "... D"], nu: int = 3) -> Float[Tensor, "... F"]:
    """Deterministic parameter-free projection (Schlag et al. 2021, arXiv 2102.11174): sparse non-negative features.

    r = [relu(x); relu(-x)], then r * roll(r, j) for j = 1..nu, side by side. 2 nu D features.
    """
    r = torch.cat([x, -x], -1).relu()
    return torch.cat([r * r.roll(j, -1) for j in range(1, nu + 1)], -1)


def associative_read(
    query: Float[Tensor, "B T K"], matrix: Float[Tensor, "B K D"], normaliser: Float[Tensor, "B K"]
) -> Float[Tensor, "B T D"]:
    """A^T q / (z . q): equation 4 of ARMT, with the code's 1e-5 in the denominator."""
    return query @ matrix / (query @ normaliser[..., None] + EPSILON)


def associative_write(
    key: Float[Tensor, "B M K"],
    value: Float[Tensor, "B M D"],
    strength: Float[Tensor, "B M"],
    matrix: Float[Tensor, "B K D"],
    normaliser: Float[Tensor, "B K"],
    *,
    correction: bool = True,
) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K"]]:
    """Store M associations at once, all against the old matrix (equations 5-8 of ARMT).

    A += sum b k (v - vbar)^T with vbar what k reads now; z += sum g k with g the share of k that z does not hold yet,
    so that rewriting a key does not inflate the denominator. As in the authors' code g is clipped to 0..1 and detached,
    has 1e-5 in both halves, and is 1 while z is empty.

    Args:
        key: features, non-negative.
        value: what to store.
        strength: b, 0..1.
        matrix: A.
        normaliser: z.
        correction: False sets g = 1, the plain delta rule.
    """
    present = (key @ normaliser[..., None]).squeeze(-1) + EPSILON  # z . k
    error = value - key @ matrix / present[..., None]
    if correction:
        missing = 1 - present / (key.square().sum(-1) + EPSILON)
        empty = (normaliser == 0).all(-1, keepdim=True)
        new = torch.where(empty, 1.0, missing.clamp(0, 1)).detach()
        normaliser = normaliser + (new[..., None] * key).sum(1)
    else:
        normaliser = normaliser + key.sum(1)
    return matrix + key.mT @ (strength[..., None] * error), normaliser
