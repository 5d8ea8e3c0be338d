"""Fixed diagonal recurrences: the rates of their channels, and what can be read back from their last state."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex
from torch import Tensor

from ..ops.diagonal import diagonal
from ..tasks.signals.running_maximum import cosines, smooth

RING, DISC, REAL = "ring", "disc", "real"
RADII = {RING: (0.99, 1.0), DISC: (0.0, 1.0)}
WHOLE, SMOOTH = "all inputs", "smooth inputs"
WAVES = 16
"""Cosines of a smooth input."""


def rates(kind: str, channels: int) -> Complex[Tensor, " channels"]:
    """Complex rates, none of which is another's conjugate; real ones count as one number each."""
    index = torch.arange(channels, dtype=torch.float64)
    if kind == REAL:
        return torch.complex((index + 0.5) / channels, torch.zeros(channels, dtype=torch.float64))
    low, high = RADII[kind]
    # By radii in golden steps, so that neighbours on the circle do not share theirs.
    share = (index * (5**0.5 - 1) / 2) % 1
    radius = (low**2 + (high**2 - low**2) * share).sqrt()
    return torch.polar(radius, math.pi * (index + 0.5) / channels)


def read_back(kind: str, rate: str, numbers: int, length: int) -> float:
    """The relative error of inputs that least squares finds in the last state."""
    generator = torch.Generator().manual_seed(2)
    if kind == WHOLE:
        basis, x = torch.eye(length, dtype=torch.float64), torch.randn(1, length, generator=generator).double()
    else:
        basis, x = cosines(length, WAVES), smooth(generator, 1, length, WAVES, torch.float64)
    own = rates(rate, numbers if rate == REAL else numbers // 2)
    read = torch.cat([x, basis])[..., None]  # the input, and what the reader knows of inputs
    fresh = torch.zeros(len(read), len(own), dtype=torch.complex128)
    _, state = diagonal("chunk", own.expand(*read.shape[:2], -1), read.to(own).expand(-1, -1, len(own)), fresh)
    state = state.real if rate == REAL else torch.view_as_real(state).flatten(1)
    found = torch.linalg.lstsq(state[1:].mT, state[:1].mT, driver="gelsd").solution.mT @ basis
    return float((found - x).norm() / x.norm())
