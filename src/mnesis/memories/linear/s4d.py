"""S4D: each channel is filtered by a diagonal state space, at paces that start a hundredfold apart."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.complex_pairs import as_complex
from ...ops.state_space import LinearSystem, state_space
from ..in_forms import MemoryInForms


class S4DState(NamedTuple):
    """What S4D carries, in float32 or wider."""

    hidden: Float[Tensor, "B D N 2"]
    """h: real and imaginary part."""


class S4D(MemoryInForms[S4DState]):
    """The diagonal state space S4D (Gu et al. 2022, arXiv 2206.11893), with the layer around it.

    Every channel keeps h_t = exp(d A) h_{t-1} + (exp(d A) - 1) / A u_t (zero-order hold) and reads 2 Re(C h_t) + D u_t;
    then GELU, a map to twice the width and a GLU. A = -exp(log_rate) + i frequency is complex, one of each conjugate
    pair. State: dim states numbers a row in float32. Observable: ``s4d/pace`` (d), [D].

    B stays 1, as in the authors' code: C takes its part.

    Args:
        dim: width of inputs and outputs.
        states: of each channel, conjugates included.
        start: of A: "linear" (S4D-Lin: -1/2 + i pi n), "inverse" (S4D-Inv, which follows HiPPO-LegS closer) or "real"
            (S4D-Real: -(n + 1), without frequencies).
        least_pace: d starts log-uniform from here; the longer the memory should be, the smaller.
        most_pace: to here.
        bare: y = 2 Re(C h) + D u and nothing behind it.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks, "parallel" by one convolution (FFT).
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: an odd number of states or none, an unknown start, paces out of order, an unknown form, or a chunk
            without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        states: int = 64,
        start: str = "linear",
        least_pace: float = 0.001,
        most_pace: float = 0.1,
        bare: bool = False,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if states < 2 or states % 2:
            raise ValueError(
                f"states={states}: half of them are conjugates of the others; give an even number from 2 on"
            )
        if not 0 < least_pace <= most_pace:
            raise ValueError(f"least_pace={least_pace}, most_pace={most_pace}: paces need 0 < least <= most")
        pairs = states // 2
        rate, frequency = _start(start, pairs)
        self.channels, self.pairs = dim, pairs
        log_pace = torch.empty(dim).uniform_(math.log(least_pace), math.log(most_pace))
        self.log_pace = nn.Parameter(log_pace)
        self.log_rate = nn.Parameter(rate.log().expand(dim, pairs).clone())
        self.frequency = nn.Parameter(frequency.expand(dim, pairs).clone())
        self.read_out = nn.Parameter(torch.randn(dim, pairs, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(dim))
        self.output = None if bare else nn.Linear(dim, 2 * dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> S4DState:
        wide = torch.promote_types(dtype, torch.float32)
        return S4DState(torch.zeros(batch, self.channels, self.pairs, 2, device=device, dtype=wide))

    def system(self, dtype: torch.dtype) -> LinearSystem:
        """The discrete system of each channel, of that real dtype; the factor 2 is the conjugates' part."""
        pace = self.log_pace.to(dtype).exp()
        record("s4d/pace", pace)
        a = torch.complex(-self.log_rate.to(dtype).exp(), self.frequency.to(dtype))
        decay = (pace[:, None] * a).exp()
        c = as_complex(self.read_out.to(dtype))
        return LinearSystem(decay, (decay - 1) / a, 2 * c[:, None])

    def read(self, x: Float[Tensor, "B T D"], state: S4DState, form: str) -> tuple[Tensor, S4DState]:
        recurrence = state_space(self.system(state.hidden.dtype))
        y, h = self.run(recurrence, form, x, as_complex(state.hidden))
        y, state = y.squeeze(-1).to(x.dtype) + self.skip.to(x.dtype) * x, S4DState(torch.view_as_real(h).clone())
        return (y if self.output is None else F.glu(self.output(F.gelu(y)), -1)), state


def _start(name: str, pairs: int) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """-Re A and Im A (section 4 of the paper)."""
    n = torch.arange(pairs, dtype=torch.float32)
    if name == "linear":
        return torch.full((pairs,), 0.5), math.pi * n
    if name == "inverse":
        states = 2 * pairs
        return torch.full((pairs,), 0.5), states / math.pi * (states / (2 * n + 1) - 1)
    if name == "real":
        return n + 1, torch.zeros(pairs)
    raise ValueError(f"S4D has no start {name!r}; choose one of linear, inverse, real")
