"""Complex channels, each of which turns and fades at a constant rate of its own: what LRU and S5 are."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from ...ops.complex_pairs import as_complex
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms


class ComplexDiagonalState(NamedTuple):
    """What complex channels carry, in float32 or wider."""

    hidden: Float[Tensor, "B N 2"]
    """h: real and imaginary part."""


class ComplexDiagonal(MemoryInForms[ComplexDiagonalState]):
    """h_t = a h_{t-1} + b (B x_t) and y_t = Re(C h_t) + D x_t: an author writes ``transition``, which is a and b.

    Rows of ``input`` are real and imaginary parts of B in turn, columns of ``output`` those of C's conjugate. Real and
    imaginary parts start normal, in B of variance 1 / (2 dim), in C as said; D starts normal.

    Args:
        dim: width of inputs and outputs.
        channels: N.
        deviation: of C's parts at the start.
        form: how a sequence is computed, one of ``forms``; changes speed, not results.
        chunk: units in a chunk of that form; None = the recurrence's own default.

    Raises:
        ValueError: an unknown form, or a chunk without units.
    """

    def __init__(self, dim: int, channels: int, deviation: float, form: str, chunk: int | None) -> None:
        super().__init__(dim, form, chunk)
        self.channels = channels
        self.input = nn.Linear(dim, 2 * channels, bias=False)
        self.output = nn.Linear(2 * channels, dim, bias=False)
        nn.init.normal_(self.input.weight, std=(2 * dim) ** -0.5)
        nn.init.normal_(self.output.weight, std=deviation)
        self.skip = nn.Parameter(torch.randn(dim))

    @abstractmethod
    def transition(
        self, dtype: torch.dtype
    ) -> tuple[Complex[Tensor, " N"], Float[Tensor, " N"] | Complex[Tensor, " N"]]:
        """a and b, of that real dtype."""

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> ComplexDiagonalState:
        wide = torch.promote_types(dtype, torch.float32)
        return ComplexDiagonalState(torch.zeros(batch, self.channels, 2, device=device, dtype=wide))

    def read(
        self, x: Float[Tensor, "B T D"], state: ComplexDiagonalState, form: str
    ) -> tuple[Tensor, ComplexDiagonalState]:
        wide, projected = state.hidden.dtype, self.input(x)
        decay, scale = self.transition(wide)
        written = scale * as_complex(projected.to(wide).unflatten(-1, (-1, 2)))
        held, last = self.run(diagonal, form, decay.expand_as(written), written, as_complex(state.hidden))
        y = self.output(torch.view_as_real(held).flatten(2).to(projected.dtype))
        return y + self.skip.to(y.dtype) * x, ComplexDiagonalState(torch.view_as_real(last).clone())
