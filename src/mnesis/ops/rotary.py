"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rotate(
    x: Float[Tensor, "... T H D"], position: Int[Tensor, "... T"], base: float = 10_000.0, turned: int | None = None
) -> Float[Tensor, "... T H D"]:
    """Turn pairs of channels by angles proportional to the position; products then depend on differences alone.

    Positions must be small (relative to a window or segment): float32 angles are wrong by 0.1 at ten million.

    Args:
        x: queries or keys.
        position: of every unit, int64.
        base: of the geometric series of wavelengths, which goes over the channels that turn.
        turned: how many of every head's channels turn, the first; the others stay as they are. Even; None = D.
    """
    if turned is not None and turned < x.shape[-1]:
        return torch.cat([rotate(x[..., :turned], position, base), x[..., turned:]], -1)
    half = x.shape[-1] // 2
    wide = torch.promote_types(x.dtype, torch.float32)
    rate = base ** -(torch.arange(half, device=x.device, dtype=wide) / half)
    return turn(x, position.to(wide)[..., None] * rate)


def turn(x: Float[Tensor, "... T H D"], angle: Float[Tensor, "... T D/2"]) -> Float[Tensor, "... T H D"]:
    """Turn channels i and i + D/2 of every head together, by the i-th angle of the unit."""
    half = x.shape[-1] // 2
    cosine, sine = angle[..., None, :].cos().to(x.dtype), angle[..., None, :].sin().to(x.dtype)
    # One roll instead of two halves put together: a third of the time, the same numbers.
    return x * torch.cat([cosine, cosine], -1) + x.roll(half, -1) * torch.cat([-sine, sine], -1)
