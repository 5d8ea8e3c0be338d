"""Decays exp(-A step), A = exp(a) and step = softplus(b) with learned a and b: where both start."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST, LONGEST, LEAST = 1e-3, 1e-1, 1e-4
FASTEST, SLOWEST = 16.0, 1e-6
"""Of rates; float32 draws between 0 and 16 are multiples of 9.5e-7, so that only a draw of 0 is slower."""


def initial_time_step(count: int) -> Float[Tensor, " count"]:
    """Numbers whose softplus is spread evenly in the logarithm from 1e-3 to 0.1 (Gu and Dao 2023, section 3.6)."""
    step = torch.empty(count).uniform_(math.log(SHORTEST), math.log(LONGEST)).exp().clamp_min(LEAST)
    return step + torch.log(-torch.expm1(-step))


def initial_log_rate(count: int, slowest: float) -> Float[Tensor, " count"]:
    """Logarithms of rates A that are spread evenly from ``slowest`` to 16: 1 in Mamba-2, 0 in Gated DeltaNet.

    Their code takes the logarithm of 0 as it falls, once in 16 million draws, which nothing could train away again.
    """
    return torch.empty(count).uniform_(slowest, FASTEST).clamp_min(SLOWEST).log()
