"""sLSTM: an LSTM with exponential gates, a normaliser and a running maximum, whose heads do not see one another."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...core.record import record
from ...layers.short_convolution import ShortConvolution
from ...ops.exponential_gating import EMPTY
from ...ops.precision import without_autocast

EPSILON = 1e-5


class SLSTMState(NamedTuple):
    """What an sLSTM carries; all but the tail in float32 or wider."""

    hidden: Float[Tensor, "B H C"]
    cell: Float[Tensor, "B H C"]
    """c exp(-m)."""
    normaliser: Float[Tensor, "B H C"]
    """n exp(-m)."""
    maximum: Float[Tensor, "B H C"]
    """m."""
    tail: Float[Tensor, "B W-1 D"]
    """Of the short convolution; W = 1 without one."""


class SLSTM(Memory[SLSTMState]):
    """xLSTM's cell with scalar memories, in the layer around it (Beck et al. 2024, arXiv 2405.04517).

    c_t = f c_{t-1} + i tanh(z), n_t = f n_{t-1} + i and h_t = sigmoid(o) c_t / n_t, with i = exp and f = sigmoid, each
    a sum of a projection of the input and of a matrix times h_{t-1} (equations 8 to 17); both are block-diagonal, a
    block a head. i and f look at SiLU of a short convolution of the input. h is normalised head by head. As h feeds
    back through a nonlinearity there is one form only, unit by unit, which can track what linear recurrences cannot.
    State: 4 dim numbers a row in float32, and dim (convolution - 1) for the convolution. Observable: ``slstm/kept``
    (f exp(m_{t-1} - m_t), the share of old cells), [B T H C]. Starts as in the authors' first block, with recurrent
    matrices of 0 (``start_at`` has the forget biases of later blocks).

    Ours: the running maximum starts below any gate, so that a fresh row needs no case of its own. (The authors' code
    asks whether the whole batch is fresh.)

    Args:
        dim: width of inputs and outputs.
        heads: blocks.
        convolution: width of the causal depthwise convolution; None = without it and its SiLU.

    Raises:
        ValueError: dim does not split into heads of two channels or more, or a convolution that sees no earlier unit.
    """

    def __init__(self, dim: int, *, heads: int = 4, convolution: int | None = 4) -> None:
        super().__init__()
        if dim % heads or dim < 2 * heads:
            raise ValueError(
                f"dim={dim} does not split into {heads} heads of two channels or more; make it a multiple of heads"
            )
        self.dim, self.heads, width = dim, heads, dim // heads
        self.convolution = ShortConvolution(dim, convolution, plain=True) if convolution else None
        # i, f, z, o: gate, head, in, out. As the authors' blocks begin, by the width of all heads; their layer alone,
        # which no block has reset, is sqrt(heads) wider.
        self.input = nn.Parameter(torch.randn(4, heads, width, width) * (2 / (5 * dim)) ** 0.5)
        self.recurrent = nn.Parameter(torch.zeros(4, heads, width, width))
        self.bias = nn.Parameter(torch.zeros(4, heads, width))
        self.start_at(0.0)
        self.scale = nn.Parameter(torch.ones(heads, width))

    def start_at(self, height: float) -> None:
        """Set the forget biases as they start in a block, 0 = the first of a network and 1 = the last.

        From what is kept for long, 5, to what is replaced at once, -7, within every head; the higher a block, the more
        cells are kept.
        """
        with torch.no_grad():
            share = torch.linspace(0, 1, self.bias.shape[-1], device=self.bias.device, dtype=self.bias.dtype)
            self.bias[1] = 5 - 12 * share ** (0.3 + 1.3 * height)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> SLSTMState:
        wide, sizes = torch.promote_types(dtype, torch.float32), (batch, *self.scale.shape)
        hidden, cell, normaliser = (torch.zeros(sizes, device=device, dtype=wide) for _ in range(3))
        lags = self.convolution.width - 1 if self.convolution else 0
        tail = torch.zeros(batch, lags, self.scale.numel(), device=device, dtype=dtype)
        return SLSTMState(hidden, cell, normaliser, torch.full(sizes, EMPTY, device=device, dtype=wide), tail)

    def scan(self, x: Float[Tensor, "B T D"], state: SLSTMState, phase: int = 0) -> tuple[Tensor, SLSTMState]:
        wide, seen, tail = state.cell.dtype, x, state.tail
        if self.convolution is not None:
            seen, tail = self.convolution(x, tail)
            seen = F.silu(seen)
        heads = (part.unflatten(-1, (self.heads, -1)) for part in (seen, seen, x, x))
        parts = [
            torch.einsum("b t h c, h c e -> t h b e", part, weight.to(part.dtype))
            for part, weight in zip(heads, self.input.unbind(0), strict=True)
        ]
        with without_autocast(x.device):
            # Gates side by side, and heads before rows: a unit is then one product for all of them.
            gates = torch.cat([part.to(wide) for part in parts], -1) + self._side_by_side(self.bias[:, :, None], wide)
            recurrent = self._side_by_side(self.recurrent, wide)
            carried = [part.transpose(0, 1) for part in state[:4]]
            outputs, kept = [], []
            for unit in gates.unbind(0):
                share, *carried = _step(unit, recurrent, *carried)
                outputs.append(carried[0])
                kept.append(share)
        record("slstm/kept", torch.stack(kept, 0).permute(2, 0, 1, 3))
        h = torch.stack(outputs, 0).permute(2, 0, 1, 3)
        y = F.layer_norm(h, h.shape[-1:], eps=EPSILON) * self.scale.to(wide)
        hidden, cell, normaliser, maximum = (part.transpose(0, 1).contiguous() for part in carried)
        return y.flatten(2).to(x.dtype), SLSTMState(hidden, cell, normaliser, maximum, tail)

    def _side_by_side(self, parameter: Float[Tensor, "4 H N C"], dtype: torch.dtype) -> Float[Tensor, "H N gates"]:
        return parameter.permute(1, 2, 0, 3).flatten(2).to(dtype)


def _step(
    gates: Float[Tensor, "H B gates"],
    recurrent: Float[Tensor, "H C gates"],
    hidden: Float[Tensor, "H B C"],
    cell: Float[Tensor, "H B C"],
    normaliser: Float[Tensor, "H B C"],
    maximum: Float[Tensor, "H B C"],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One unit: the share of old cells, then hidden, cell, normaliser and maximum."""
    log_input, forget, z, o = torch.baddbmm(gates, hidden, recurrent).chunk(4, -1)
    found = F.logsigmoid(forget) + maximum
    maximum = torch.maximum(found, log_input).detach()  # (15); h does not depend on it
    written, kept = (log_input - maximum).exp(), (found - maximum).exp()  # (16), (17)
    cell = kept * cell + written * z.tanh()  # (8)
    normaliser = kept * normaliser + written  # (9)
    return kept, o.sigmoid() * cell / normaliser, cell, normaliser, maximum
