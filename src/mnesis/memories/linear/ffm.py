"""Fast and Forgetful Memory: gated inputs that fade at several rates and turn at several frequencies."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.complex_pairs import as_complex
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms

FASTEST = math.log(sys.float_info.max) / 1024 - 0.02
"""Rate at the start: the authors' batches of 1,024 units divide by powers of gamma, which float64 must hold."""
FORGOTTEN = 0.01
"""What is left of an input, at the slowest rate, after the longest period."""


class FFMState(NamedTuple):
    """What FFM carries, in float32 or wider."""

    trace: Float[Tensor, "B M C 2"]
    """S: real and imaginary part."""


class FFM(MemoryInForms[FFMState]):
    """Fast and Forgetful Memory (Morad et al. 2023, arXiv 2310.04128).

    M gated inputs u fade at M rates and turn at C frequencies, S_t = gamma S_{t-1} + u_t 1^T with
    gamma_jk = exp(-|alpha_j| + i omega_k), both learned; u = W_1 x sigmoid(W_2 x). The output is
    LayerNorm(mix(S)) g + W_3 x (1 - g) with the gate g = sigmoid(W_4 x). State: 2 memory context numbers a row in
    float32. Observables: ``ffm/input_gate`` [B T M] and ``ffm/output_gate`` [B T D].

    The authors' code multiplies by powers of gamma counted from the start of a batch, and back; so it clips alpha and
    loses digits. Here each unit follows from the one before in every form, and no clock is needed. Which way S turns is
    as in the code; ``mix`` cannot tell.

    Args:
        dim: width of inputs and outputs.
        memory: M.
        context: C, complex (what the authors' experiments call a context of 2 C).
        shortest_period: of the frequencies at the start; one of 1 does not turn at all until it is learned.
        longest_period: of the frequencies at the start, and when the slowest rate has forgotten all but 1 %.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: a memory or context of nothing, periods that are not positive or out of order, an unknown form, or a
            chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        memory: int = 32,
        context: int = 4,
        shortest_period: float = 1.0,
        longest_period: float = 1024.0,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if not 0 < shortest_period <= longest_period:
            raise ValueError(
                f"shortest_period={shortest_period}, longest_period={longest_period}: "
                "periods need 0 < shortest <= longest"
            )
        self.memory, self.context = memory, context
        self.input, self.input_gate = nn.Linear(dim, memory), nn.Linear(dim, memory)
        self.through, self.output_gate = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.mix = nn.Linear(2 * memory * context, dim)
        slowest = min(-math.log(FORGOTTEN) / longest_period, FASTEST)
        self.rate = nn.Parameter(torch.linspace(FASTEST, slowest, memory))
        self.frequency = nn.Parameter(2 * math.pi / torch.linspace(shortest_period, longest_period, context))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> FFMState:
        wide = torch.promote_types(dtype, torch.float32)
        return FFMState(torch.zeros(batch, self.memory, self.context, 2, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T D"], state: FFMState, form: str) -> tuple[Tensor, FFMState]:
        wide, through = state.trace.dtype, self.through(x)
        input_gate, output_gate = self.input_gate(x).sigmoid(), self.output_gate(x).sigmoid()
        record("ffm/input_gate", input_gate)
        record("ffm/output_gate", output_gate)
        written = (self.input(x) * input_gate).to(wide)[..., None].expand(-1, -1, -1, self.context)
        gamma = torch.polar((-self.rate.to(wide).abs()).exp()[:, None], self.frequency.to(wide))
        held, last = self.run(diagonal, form, gamma.expand_as(written), written, as_complex(state.trace))
        mixed = self.mix(torch.view_as_real(held).flatten(2).to(through.dtype))
        y = F.layer_norm(mixed, mixed.shape[-1:]) * output_gate + through * (1 - output_gate)
        return y, FFMState(torch.view_as_real(last).clone())
