"""Gated RNN: channels that fade at fixed rates, with a product of two projections before them and one behind."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms

KEPT, DROPPED = -60.0, 7.0
"""log(-log lambda) of channels that keep everything and nothing, to the last digit of float64."""


class GatedRNNState(NamedTuple):
    """What a gated RNN carries, in float32 or wider."""

    hidden: Float[Tensor, "B N"]


class GatedRNN(MemoryInForms[GatedRNNState]):
    """A diagonal recurrence between two multiplications (Zucchet et al. 2023, arXiv 2309.01775, section 2).

    h_t = lambda h_{t-1} + (M x_t + m) (X x_t + c), o_t = (M' h_t) (X' h_t) and y_t = D o_t, with N constant real
    lambda = exp(-exp(nu)) between 0 and 1, which start uniform. It is the smallest network that can be linear attention
    exactly: :meth:`of_linear_attention` sets the weights. State: neurons numbers a row in float32. Observable:
    ``gated_rnn/kept`` (lambda), [N].

    Args:
        dim: width of inputs and outputs.
        neurons: N; dim^2 + dim are enough for linear attention. 2 dim if None.
        output_gate: False = o = X' h, which leaves the paper's negative control.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no neurons, an unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        neurons: int | None = None,
        output_gate: bool = True,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        neurons = 2 * dim if neurons is None else neurons
        self.nu = nn.Parameter((-torch.rand(neurons).clamp(1e-3, 1 - 1e-3).log()).log())
        self.input, self.input_gate = nn.Linear(dim, neurons), nn.Linear(dim, neurons)
        self.read_out = nn.Linear(neurons, neurons, bias=False)
        self.output_gate = nn.Linear(neurons, neurons, bias=False) if output_gate else None
        self.output = nn.Linear(neurons, dim, bias=False)

    @classmethod
    def of_linear_attention(
        cls, query: Float[Tensor, "D D"], key: Float[Tensor, "D D"], value: Float[Tensor, "D D"]
    ) -> GatedRNN:
        """The network whose outputs are y_t = sum over s <= t of (V x_s) (K x_s . Q x_t) (section 3.1).

        dim^2 neurons with lambda = 1 add up V x_s (K x_s)^T, dim more with lambda = 0 hold Q x_t, and the output gate
        multiplies them.
        """
        dim = len(query)
        memory = cls(dim, neurons=dim * dim + dim).to(query.dtype)
        one, gate = torch.eye(dim, dtype=query.dtype), memory.output_gate
        assert gate is not None, "built with one above"
        with torch.no_grad():
            for parameter in memory.parameters():
                parameter.zero_()
            memory.nu[: dim * dim], memory.nu[dim * dim :] = KEPT, DROPPED
            # Neuron (i, j) adds up row i of V times row j of K; the last ones take Q x times one.
            memory.input.weight.copy_(torch.cat([value.repeat_interleave(dim, 0), query]))
            memory.input_gate.weight[: dim * dim] = key.repeat(dim, 1)
            memory.input_gate.bias[dim * dim :] = 1
            # Output (i, j) is neuron (i, j) times query j, and D sums over j.
            memory.read_out.weight[: dim * dim, : dim * dim] = torch.eye(dim * dim, dtype=query.dtype)
            gate.weight[: dim * dim, dim * dim :] = one.repeat(dim, 1)
            memory.output.weight[:, : dim * dim] = one.repeat_interleave(dim, 1)
        return memory

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GatedRNNState:
        wide = torch.promote_types(dtype, torch.float32)
        return GatedRNNState(torch.zeros(batch, len(self.nu), device=device, dtype=wide))

    def kept(self, dtype: torch.dtype) -> Float[Tensor, " N"]:
        """lambda, of that dtype."""
        return (-self.nu.to(dtype).exp()).exp()

    def read(self, x: Float[Tensor, "B T D"], state: GatedRNNState, form: str) -> tuple[Tensor, GatedRNNState]:
        kept, written = self.kept(state.hidden.dtype), self.input(x) * self.input_gate(x)
        record("gated_rnn/kept", kept)
        h, last = self.run(diagonal, form, kept.expand_as(written), written.to(kept.dtype), state.hidden)
        h = h.to(written.dtype)
        read = self.read_out(h)
        return self.output(read if self.output_gate is None else read * self.output_gate(h)), GatedRNNState(last)
