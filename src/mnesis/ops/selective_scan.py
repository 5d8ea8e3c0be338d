"""Mamba's selective scan (Gu and Dao 2023, arXiv 2312.00752): diagonal states whose pace the data choose.

    h_t = exp(d_t A) h_{t-1} + d_t x_t B_t      (equations 2 and 4, with the authors' Euler step for B)
    y_t = C_t . h_t

h has N numbers for each of D channels: too many to keep for every unit. A chunk keeps the h that it started from, and
its backward pass makes the others anew. Everything is computed in the dtype of h (float32 or wider, also under
autocast) and returned in it.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from .diagonal import diagonal_chunk
from .precision import without_autocast
from .recurrence import Passage, Recurrence, chunk_after_chunk


def selective_scan(rate: Float[Tensor, "D N"]) -> Recurrence:
    """The recurrence for these A, below 0: of x and d ``[B T D]``, B and C ``[B T N]``, from h ``[B D N]``."""
    return Recurrence(
        partial(selective_scan_step, rate),
        partial(selective_scan_chunk, rate),
        sequences=4,
        passage=Passage(lambda x, pace, write, read, h: (pace.to(h.dtype).sum(1)[..., None] * rate.to(h.dtype)).exp()),
    )


def selective_scan_step(
    rate: Float[Tensor, "D N"],
    x: Float[Tensor, "B D"],
    pace: Float[Tensor, "B D"],
    write: Float[Tensor, "B N"],
    read: Float[Tensor, "B N"],
    h: Float[Tensor, "B D N"],
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D N"]]:
    """One unit: output and h."""
    with without_autocast(h.device):
        rate, x, pace, write, read = (part.to(h.dtype) for part in (rate, x, pace, write, read))
        h = torch.addcmul((pace[..., None] * rate).exp() * h, (pace * x)[..., None], write[:, None])
        return (h @ read[..., None]).squeeze(-1), h


def selective_scan_chunk(
    rate: Float[Tensor, "D N"],
    x: Float[Tensor, "B T D"],
    pace: Float[Tensor, "B T D"],
    write: Float[Tensor, "B T N"],
    read: Float[Tensor, "B T N"],
    h: Float[Tensor, "B D N"],
    *,
    chunk: int = 32,
) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B D N"]]:
    """Chunk after chunk, each made anew in the backward pass."""
    with without_autocast(h.device):
        rate, x, pace, write, read = (part.to(h.dtype) for part in (rate, x, pace, write, read))
        return chunk_after_chunk(partial(_chunk, rate), (x, pace, write, read), h, chunk)


def _chunk(
    rate: Tensor, x: Tensor, pace: Tensor, write: Tensor, read: Tensor, h: Tensor
) -> tuple[Float[Tensor, "B C D"], Float[Tensor, "B D N"]]:
    decay = (pace[..., None] * rate).exp()
    held, h = diagonal_chunk(decay, (pace * x)[..., None] * write[:, :, None], h, chunk=x.shape[1])
    return (held @ read[..., None]).squeeze(-1), h
