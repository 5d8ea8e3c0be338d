"""S5: one diagonal state space for all channels of the input together."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor, nn

from .complex_diagonal import ComplexDiagonal, ComplexDiagonalState

SLOWEST = 1e-4
"""Rate at which a state fades at least."""


class S5(ComplexDiagonal):
    """The simplified state space layer (Smith et al. 2022, arXiv 2208.04933).

    h_t = exp(Lambda d) h_{t-1} + (exp(Lambda d) - 1) / Lambda (B x_t) and y_t = 2 Re(C h_t) + D x_t, each state with an
    eigenvalue Lambda and a time step d of its own, both learned; the output is g sigmoid(W g + b), g = gelu(y), the
    "half_glu1" of the authors' code without its skip and norm. Of two conjugate states one is kept. Lambda starts as
    the eigenvalues of HiPPO-LegS' normal part. State: ``states`` numbers a row in float32.

    Real parts of Lambda stay below -1e-4, as the authors' code offers for streams without end (``clip_eigs``).
    ``output`` holds 2 C. The authors draw B and C and turn them into the basis of eigenvectors; as that is unitary, the
    results are drawn here directly. B starts by LeCun's rule, which counts its inputs; their code counts the states.

    Args:
        dim: width of inputs and outputs.
        states: P of the paper, conjugates included; None = dim.
        blocks: on the diagonal of the HiPPO matrix at the start.
        shortest: time step at the start, spread evenly in logarithms.
        longest: the other end.
        fan: B starts with variance 1 / dim ("inputs") or, as in the authors' code, 1 / states ("states").
        approximate: GELU's form as torch names it: "tanh" as in the authors' code, or "none", the exact one (they are
            up to 5e-4 apart).
        bare: the state space alone: y is the output.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: states that do not split into blocks of pairs, time steps that are not positive or out of order, an
            unknown fan, GELU or form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        states: int | None = None,
        blocks: int = 8,
        shortest: float = 1e-3,
        longest: float = 1e-1,
        fan: Literal["inputs", "states"] = "inputs",
        approximate: Literal["tanh", "none"] = "tanh",
        bare: bool = False,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        states = dim if states is None else states
        if states % (2 * blocks):
            raise ValueError(
                f"states={states} do not split into blocks={blocks} of conjugate pairs; "
                "make them a multiple of twice the blocks"
            )
        if not 0 < shortest <= longest:
            raise ValueError(f"shortest={shortest}, longest={longest}: time steps need 0 < shortest <= longest")
        pairs = states // 2
        super().__init__(dim, pairs, (2 / pairs) ** 0.5, form, chunk)
        if fan == "states":
            with torch.no_grad():
                self.input.weight.mul_((dim / states) ** 0.5)
        self.real = nn.Parameter(torch.full((pairs,), -0.5))
        self.imaginary = nn.Parameter(hippo_frequencies(states // blocks).float().repeat(blocks))
        self.log_step = nn.Parameter(torch.empty(pairs).uniform_(math.log(shortest), math.log(longest)))
        self.approximate = approximate
        self.gate = None if bare else nn.Linear(dim, dim)

    def transition(self, dtype: torch.dtype) -> tuple[Complex[Tensor, " N"], Complex[Tensor, " N"]]:
        eigenvalue = torch.complex(self.real.to(dtype).clamp_max(-SLOWEST), self.imaginary.to(dtype))
        turned = eigenvalue * self.log_step.to(dtype).exp()
        return turned.exp(), torch.expm1(turned) / eigenvalue  # zero-order hold

    def read(
        self, x: Float[Tensor, "B T D"], state: ComplexDiagonalState, form: str
    ) -> tuple[Tensor, ComplexDiagonalState]:
        y, state = super().read(x, state, form)
        if self.gate is None:
            return y, state
        y = F.gelu(y, approximate=self.approximate)
        return y * self.gate(y).sigmoid(), state


def hippo_frequencies(size: int) -> Float[Tensor, " N"]:
    """Imaginary parts, those above 0, of the eigenvalues of HiPPO-LegS without its part of rank 1; N = size / 2.

    What is left is -1/2 and a skew-symmetric matrix, so that all real parts are -1/2.
    """
    root = (torch.arange(size, dtype=torch.float64) + 0.5).sqrt()
    lower = torch.outer(root, root).tril(-1)
    return torch.linalg.eigvalsh(1j * (lower - lower.T))[size // 2 :]
