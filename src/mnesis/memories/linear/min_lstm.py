"""minLSTM: an LSTM whose gates and candidate do not see the past."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms
from .min_gru import activation, expanded


class MinLSTMState(NamedTuple):
    """What minLSTM carries, in float32 or wider."""

    hidden: Float[Tensor, "B E"]


class MinLSTM(MemoryInForms[MinLSTMState]):
    """minLSTM (Feng et al. 2024, arXiv 2410.01201): each channel a moving average behind two gates.

    h_t = f'_t h_{t-1} + i'_t c_t with f' = f / (f + i) and i' = i / (f + i), f = sigmoid(W_f x + b_f),
    i = sigmoid(W_i x + b_i) and the candidate c = g(W_c x + b_c); no cell beside h and no output gate. The output is a
    projection of h, as in the authors' code (BorealisAI/minRNNs). The paper computes it in logarithms, where a common
    implementation takes a carried h for a candidate; here all stays in linear space, as its steps are written. The
    state starts from 0; the authors' option of a learned start g(h_0) (``use_init_hidden_state``) is left out. State:
    expansion dim numbers a row in float32. Observables: ``min_lstm/kept`` (f') and ``min_lstm/write_strength`` (i'),
    [B T E].

    Args:
        dim: width of inputs and outputs.
        expansion: E / dim.
        candidate: g, "positive" as the authors train it (appendix B.3) or "linear" as the paper's section 3 defines it.
        normalised: whether the gates add up to 1; without, f' = f and i' = i, and h may grow with the length.
        forget_bias: added to b_f at the start; a higher one remembers for longer and trains faster.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no channels, an unknown candidate or form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        expansion: float = 1.0,
        candidate: str = "positive",
        normalised: bool = True,
        forget_bias: float = 0.0,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.hidden, self.activation, self.normalised = expanded(dim, expansion), activation(candidate), normalised
        self.forget_gate, self.input_gate = nn.Linear(dim, self.hidden), nn.Linear(dim, self.hidden)
        self.candidate, self.output = nn.Linear(dim, self.hidden), nn.Linear(self.hidden, dim)
        with torch.no_grad():
            self.forget_gate.bias.add_(forget_bias)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MinLSTMState:
        wide = torch.promote_types(dtype, torch.float32)
        return MinLSTMState(torch.zeros(batch, self.hidden, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T D"], state: MinLSTMState, form: str) -> tuple[Tensor, MinLSTMState]:
        wide, candidate = state.hidden.dtype, self.candidate(x)
        forget, write = self.forget_gate(x).to(wide), self.input_gate(x).to(wide)
        if self.normalised:
            # f / (f + i) as a sigmoid of log f - log i: both gates may be too small for a quotient.
            forget = F.logsigmoid(forget) - F.logsigmoid(write)
            write = -forget
        kept, strength = forget.sigmoid(), write.sigmoid()
        record("min_lstm/kept", kept)
        record("min_lstm/write_strength", strength)
        written = strength * self.activation(candidate.to(wide))
        y, hidden = self.run(diagonal, form, kept, written, state.hidden)
        return self.output(y.to(candidate.dtype)), MinLSTMState(hidden)
