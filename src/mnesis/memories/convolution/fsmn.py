"""FSMN: a hidden layer whose past is filtered channel by channel, without recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...core.record import record
from ...layers.dilated_convolution import DilatedConvolution
from ...layers.short_convolution import ShortConvolution


class FSMNState(NamedTuple):
    """The signals that a gated FSMN's convolutions still see; C is its width."""

    memory: Float[Tensor, "B W-1 C"]
    """Of the short convolution before the memory."""
    gate: Float[Tensor, "B W-1 C"]
    """Of the one before the gate."""
    dense: tuple[Float[Tensor, "B lags i*C"], ...]
    """Of the memory's layers, in order; layer i reads all i before it."""


class FSMN(Memory[FSMNState]):
    """MossFormer2's recurrent module, a gated dilated FSMN (Zhao et al. 2023, arXiv 2312.11825), made causal.

    A feedforward sequential memory network (Zhang et al. 2015, arXiv 1512.08301) has no recurrence: each channel of a
    hidden layer p is filtered, sum_j c_j p_{t - j}, by as many taps as its order. Here p = W relu(W' u + b), and layers
    of filters with dilations 1, 2, 4, ... each read p and all layers before them. With the last of them, f, a gated
    convolutional unit is h + v (u + f); u and v are convolutions of projections of h, a bottleneck of x.
    State: width (2 (convolution - 1) + (order - 1) ((layers - 1) 2^layers + 1)) numbers a row.
    Observable: ``fsmn/gate`` (v), [B T width].

    Where it departs from the paper, which separates whole recordings: of symmetric filters only the taps that look back
    are kept, 20 of 39 and 9 of 17. Layers of filters are normalised over the channels of a unit, as the module is
    elsewhere, because an instance norm over time would see the future. Every filter reads its own channel of all
    sources, where the authors' code pairs neighbours. The outer residual and dropout are left to the block.

    Args:
        dim: width of inputs and outputs.
        width: of the bottleneck; None = dim / 2, as in the paper.
        order: taps of a filter.
        layers: of filters.
        convolution: width of the two short convolutions.

    Raises:
        ValueError: no width or layers, or filters and convolutions that see no earlier unit.
    """

    def __init__(
        self, dim: int, *, width: int | None = None, order: int = 20, layers: int = 2, convolution: int = 9
    ) -> None:
        super().__init__()
        width = dim // 2 if width is None else width
        if width < 1 or layers < 1:
            raise ValueError(f"width={width}, layers={layers}: an FSMN keeps nothing then; give 1 or more of both")
        self.dim = dim
        self.bottleneck, self.slope = nn.Linear(dim, width), nn.Parameter(torch.tensor([0.25]))
        self.norm, self.last_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.memory, self.gate = ConvolvedProjection(width, convolution), ConvolvedProjection(width, convolution)
        self.hidden, self.project = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.dense = nn.ModuleList(DenseFilter(width, order, layer) for layer in range(layers))
        self.output = nn.Linear(width, dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> FSMNState:
        short, gate, *dense = (
            layer.initial_tail(batch, device=device, dtype=dtype)
            for layer in self.modules()
            if isinstance(layer, ShortConvolution | DilatedConvolution)
        )
        return FSMNState(short, gate, tuple(dense))

    def scan(self, x: Float[Tensor, "B T D"], state: FSMNState, phase: int = 0) -> tuple[Tensor, FSMNState]:
        h = self.norm(_prelu(self.bottleneck(x), self.slope))
        u, memory = self.memory(h, state.memory)
        v, gate = self.gate(h, state.gate)
        record("fsmn/gate", v)
        sources, tails = [self.project(F.relu(self.hidden(u)))], []
        for layer, tail in zip(self.dense, state.dense, strict=True):
            filtered, tail = layer(sources, tail)
            sources = [filtered, *sources]
            tails.append(tail)
        y = self.output(self.last_norm(h + v * (u + sources[0])))
        return y, FSMNState(memory, gate, tuple(tails))


class ConvolvedProjection(nn.Module):
    """SiLU of a normalised projection, and a causal convolution beside it.

    Args:
        width: channels.
        convolution: units that an output sees, its own included.
    """

    def __init__(self, width: int, convolution: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, width)
        self.convolution = ShortConvolution(width, convolution)
        nn.init.uniform_(self.convolution.weight, -(convolution**-0.5), convolution**-0.5)

    def forward(
        self, x: Float[Tensor, "B T C"], tail: Float[Tensor, "B tail C"]
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B tail C"]]:
        """Outputs and the new tail."""
        return self.convolution(F.silu(self.linear(self.norm(x))), tail)


class DenseFilter(nn.Module):
    """PReLU of a normalised filter, of each channel alone, over everything that was made of it before.

    Args:
        width: channels.
        order: taps.
        layer: how many were before; doubles the dilation.
    """

    def __init__(self, width: int, order: int, layer: int) -> None:
        super().__init__()
        inputs = (layer + 1) * width
        self.filter = DilatedConvolution(inputs, width, order, dilation=2**layer, groups=width, bias=False)
        self.norm, self.slope = nn.LayerNorm(width), nn.Parameter(torch.full((width,), 0.25))

    def forward(
        self, sources: Sequence[Float[Tensor, "B T C"]], tail: Float[Tensor, "B lags E"]
    ) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B lags E"]]:
        """Outputs and the new tail."""
        y, tail = self.filter(torch.stack(list(sources), -1).flatten(2), tail)
        return _prelu(self.norm(y), self.slope), tail


def _prelu(x: Float[Tensor, "B T C"], slope: Tensor) -> Float[Tensor, "B T C"]:
    return torch.where(x > 0, x, slope.to(x.dtype) * x)
