"""Parallel Legendre memory unit: polynomials that follow a window of signals drawn from the input alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Positive
from ...layers.constants import Constants
from ...ops.state_space import LinearSystem, state_space
from ..in_forms import MemoryInForms
from ..recurrent.lmu import window_of_signals


class ParallelLMUState(NamedTuple):
    """What a parallel LMU carries, in float32 or wider."""

    memory: Float[Tensor, "B M N"]
    """m, the coefficients of M signals."""


class Polynomials(MemoryInForms[ParallelLMUState]):
    """What a parallel LMU remembers, without weights: m_t = A m_{t-1} + B u_t of M signals u, read as it is.

    Args:
        signals: M.
        order: N, coefficients of each.
        window: theta, units that a memory spans.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks, "parallel" by one convolution (FFT).
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no coefficients, no signals, a window without units, an unknown form, or a chunk without units.
    """

    def __init__(self, signals: int, *, order: int, window: float, form: str, chunk: int | None) -> None:
        super().__init__(signals, form, chunk)
        self.signals, self.order = signals, order
        self.fixed = Constants(lambda: window_of_signals(order, window))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> ParallelLMUState:
        wide = torch.promote_types(dtype, torch.float32)
        return ParallelLMUState(torch.zeros(batch, self.signals, self.order, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T M"], state: ParallelLMUState, form: str) -> tuple[Tensor, ParallelLMUState]:
        # One system reads every signal of every row: signals become rows, and all coefficients are read.
        one = torch.eye(self.order, device=x.device, dtype=state.memory.dtype)
        a, b = self.fixed.on(one.device, one.dtype)
        recurrence = state_space(LinearSystem(a[None], b[None], one[None]))
        m, last = self.run(recurrence, form, x.mT.flatten(0, 1)[..., None], state.memory.flatten(0, 1)[:, None])
        m = m.squeeze(2).unflatten(0, (-1, self.signals)).transpose(1, 2).flatten(2)
        return m, ParallelLMUState(last.unflatten(0, (-1, self.signals)).squeeze(2).clone())


class ParallelLMU(Polynomials):
    """The Legendre memory unit without feedback (Chilkuri and Eliasmith 2021, arXiv 2102.11417; the cell of LMUFormer).

    u_t = ReLU(W_u x_t + b) is written to m_t = A m_{t-1} + B u_t (zero-order hold), the Legendre coefficients of the
    last ``window`` units of u, and y_t = ReLU(W [m_t, x_t] + b). A and B are fixed, so that all m are one convolution
    of u. State: signals order numbers a row in float32.

    Args:
        dim: width of inputs and outputs.
        signals: M; 1 in both papers, all that a layer then hears of its input.
        order: N, coefficients of each; ``dim`` if None.
        window: theta, units that a memory spans; 128 in LMUFormer.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks, "parallel" by one convolution (FFT).
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no coefficients, no signals, a window without units, an unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        signals: int = 1,
        order: int | None = None,
        window: Positive = 128.0,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(signals, order=dim if order is None else order, window=window, form=form, chunk=chunk)
        self.dim = dim
        self.input = nn.Linear(dim, signals)
        self.output = nn.Linear(signals * self.order + dim, dim)

    def read(self, x: Float[Tensor, "B T D"], state: ParallelLMUState, form: str) -> tuple[Tensor, ParallelLMUState]:
        u = F.relu(self.input(x))
        m, state = super().read(u, state, form)
        return F.relu(self.output(torch.cat([m.to(u.dtype), x], -1))), state
