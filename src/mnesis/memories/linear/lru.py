"""LRU: complex channels that turn and fade at learned rates, which start on a ring."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from .complex_diagonal import ComplexDiagonal


class LRU(ComplexDiagonal):
    """The linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349).

    h_t = lambda h_{t-1} + exp(gamma) (B x_t) and y_t = Re(C h_t) + D x_t, each of N channels with a constant
    lambda = exp(-exp(nu) + i exp(theta)), which never leaves the unit circle. nu, theta and gamma are learned; gamma
    starts at log sqrt(1 - |lambda|^2), so that all channels are of one size. State: 2 states numbers a row in float32.

    Nothing here is nonlinear: the paper's blocks have a GLU behind the unit.

    Args:
        dim: width of inputs and outputs.
        states: N, complex; None = dim.
        inner: radius of the ring over which lambda is spread evenly at the start.
        outer: its other radius; the nearer both are to 1, the further back a unit sees.
        largest_phase: of lambda at the start; below 2 pi a slice of the ring, for slow signals of long sequences.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no states, a ring outside the unit circle, a phase that is not positive, an unknown form, or a
            chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        states: int | None = None,
        inner: float = 0.0,
        outer: float = 1.0,
        largest_phase: float = 2 * math.pi,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        states = dim if states is None else states
        if not 0 <= inner < outer <= 1 or largest_phase <= 0:
            raise ValueError(
                f"inner={inner}, outer={outer}, largest_phase={largest_phase}: a ring needs 0 <= inner < outer <= 1 "
                "and a phase above 0"
            )
        super().__init__(dim, states, states**-0.5, form, chunk)
        area, turn = torch.rand(2, states, dtype=torch.float64)
        rate = -0.5 * (inner**2 + (outer**2 - inner**2) * area).log()  # even over the ring's area
        self.log_rate = nn.Parameter(rate.log().float())
        self.log_phase = nn.Parameter((largest_phase * turn).log().float())
        self.log_scale = nn.Parameter((0.5 * (-torch.expm1(-2 * rate)).log()).float())

    def transition(self, dtype: torch.dtype) -> tuple[Complex[Tensor, " N"], Float[Tensor, " N"]]:
        rate, phase, scale = (part.to(dtype).exp() for part in (self.log_rate, self.log_phase, self.log_scale))
        return torch.polar((-rate).exp(), phase), scale
