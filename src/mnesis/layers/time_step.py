"""Time steps as softplus of a learned number: where they start."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST, LONGEST, LEAST = 1e-3, 1e-1, 1e-4


def initial_time_step(count: int) -> Float[Tensor, " count"]:
    """Numbers whose softplus is spread evenly in the logarithm from 1e-3 to 0.1 (Gu and Dao 2023, section 3.6)."""
    step = torch.empty(count).uniform_(math.log(SHORTEST), math.log(LONGEST)).exp().clamp_min(LEAST)
    return step + torch.log(-torch.expm1(-step))
