"""TCN: stacked dilated convolutions, which see a window that doubles with every level."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...layers.dilated_convolution import DilatedConvolution, NormalisedConvolution


class TCNState(NamedTuple):
    """The signals that a TCN's convolutions still see."""

    tails: tuple[Float[Tensor, "B lags C"], ...]
    """Two of every level, in order."""


class TCN(Memory[TCNState]):
    """The temporal convolutional network (Bai, Kolter and Koltun 2018, arXiv 1803.01271).

    Level i of L is a residual block, relu(f(f(h)) + h) with f = relu of a causal convolution of dilation 2^i, whose
    weights are normalised (length and direction apart); where widths differ, a 1x1 convolution stands for h. Behind the
    last level comes a linear map, as in all of the paper's networks. What is remembered is a window, exactly and no
    longer: ``receptive_field`` = 1 + 2 (kernel - 1) (2^L - 1) units, itself included.
    State: (kernel - 1) (dim - channels + 2 channels (2^L - 1)) numbers a row.

    The authors' code draws weights of deviation 0.01 where normalisation at once replaces them, so that they start as
    torch's convolutions, here too; the 1x1 convolution does start so. Its dropout is left to the block.

    Args:
        dim: width of inputs and outputs.
        channels: width of every level; None = dim.
        levels: L (8: sequential MNIST in the paper).
        kernel: taps of a convolution (7: sequential MNIST in the paper).

    Raises:
        ValueError: no channels or levels, or a kernel that sees no earlier unit.
    """

    def __init__(self, dim: int, *, channels: int | None = None, levels: int = 8, kernel: int = 7) -> None:
        super().__init__()
        channels = dim if channels is None else channels
        self.dim, self.levels, self.kernel = dim, levels, kernel
        self.blocks = nn.ModuleList(
            ResidualBlock(channels if i else dim, channels, kernel, 2**i) for i in range(levels)
        )
        self.output = nn.Linear(channels, dim)

    @property
    def receptive_field(self) -> int:
        """Units that an output sees, its own included."""
        return 1 + 2 * (self.kernel - 1) * (2**self.levels - 1)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> TCNState:
        convolutions = [layer for layer in self.modules() if isinstance(layer, DilatedConvolution)]
        return TCNState(tuple(layer.initial_tail(batch, device=device, dtype=dtype) for layer in convolutions))

    def scan(self, x: Float[Tensor, "B T D"], state: TCNState, phase: int = 0) -> tuple[Tensor, TCNState]:
        tails = []
        for block, first, second in zip(self.blocks, state.tails[::2], state.tails[1::2], strict=True):
            x, *after = block(x, first, second)
            tails += after
        return self.output(x), TCNState(tuple(tails))


class ResidualBlock(nn.Module):
    """A level of a TCN (figure 1b of the paper).

    Args:
        inputs: channels read.
        outputs: channels made.
        kernel: taps of both convolutions.
        dilation: units between two of them.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first = NormalisedConvolution(inputs, outputs, kernel, dilation=dilation)
        self.second = NormalisedConvolution(outputs, outputs, kernel, dilation=dilation)
        self.skip = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)
        if isinstance(self.skip, nn.Linear):
            nn.init.normal_(self.skip.weight, std=0.01)

    def forward(
        self, x: Float[Tensor, "B T C"], first: Float[Tensor, "B lags C"], second: Float[Tensor, "B lags E"]
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B lags C"], Float[Tensor, "B lags E"]]:
        """Outputs and the new tails."""
        y, first = self.first(x, first)
        y, second = self.second(F.relu(y), second)
        return F.relu(F.relu(y) + self.skip(x)), first, second  # (3)
