"""A causal convolution that looks back in strides, whose tail is carried."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.weight_norm import normalised


class DilatedConvolution(nn.Conv1d):
    """y_t = b + sum_j W_j x_{t - j dilation}, j = 0..width-1; ``weight`` [outputs inputs/groups width] ends with W_0.

    A stream needs the last (width - 1) dilation inputs: the tail, zero before the first unit. Starts as torch's
    convolutions. (For each channel alone, narrow and without gaps, ``ShortConvolution`` is faster.)

    Args:
        inputs: channels read.
        outputs: channels made.
        width: taps of one output.
        dilation: units between two taps.
        groups: of channels, each read alone.
        bias: whether b is added.

    Raises:
        ValueError: a width below 2, no dilation, or channels that do not split into groups.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, *, dilation: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        if width < 2 or dilation < 1:
            raise ValueError(
                f"width={width}, dilation={dilation}: a convolution sees no earlier unit then; give a width from 2 on "
                "and a dilation from 1 on"
            )
        if inputs % groups or outputs % groups:
            raise ValueError(
                f"{inputs} inputs and {outputs} outputs do not split into {groups} groups; make both multiples of it"
            )
        super().__init__(inputs, outputs, width, dilation=dilation, groups=groups, bias=bias)
        self.lags = (width - 1) * dilation

    def initial_tail(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B tail C"]:
        return torch.zeros(batch, self.lags, self.in_channels, device=device, dtype=dtype)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Tensor, "B T C"], tail: Float[Tensor, "B tail C"]
    ) -> tuple[Float[Tensor, "B T E"], Float[Tensor, "B tail C"]]:
        """Outputs and the new tail."""
        time, stride = x.shape[1], self.dilation[0]
        if time <= stride and self.groups == 1:
            # Every tap but the last falls on a piece of the tail, and what lies between the pieces is not read.
            pieces = (tail[:, start : start + time].to(x.dtype) for start in range(0, self.lags, stride))
            y = F.linear(torch.stack([*pieces, x], -1).flatten(2), self.taps().flatten(1), self.bias)
            return y, torch.cat([tail[:, time:], x.to(tail.dtype)], 1)
        padded = torch.cat([tail.to(x.dtype), x], 1)
        return self._conv_forward(padded.mT, self.taps(), self.bias).mT, padded[:, time:].to(tail.dtype).clone()

    def taps(self) -> Float[Tensor, "E C width"]:
        """W, the last first."""
        return self.weight


class NormalisedConvolution(DilatedConvolution):
    """The same whose weights are learned as lengths and directions, W = g V / |V| for each output.

    As torch's ``weight_norm`` has it, whose names and order the parameters keep, so that files fit; but an ordinary
    module, which can be pickled, and with a rule for every transform of torch.func.
    """

    def __init__(self, inputs: int, outputs: int, width: int, *, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, width, dilation=dilation)
        direction = self._parameters.pop("weight")
        assert direction is not None
        self.parametrizations = nn.Module()
        self.parametrizations.weight = LengthAndDirection(direction)

    def taps(self) -> Float[Tensor, "E C width"]:
        return cast(LengthAndDirection, self.parametrizations.weight)()

    @property
    def weight(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """W; while torch's own constructor runs, which finds no direction yet, the parameter that becomes it."""
        return self.taps()


class LengthAndDirection(nn.Module):
    """W = g V / |V| for each output: g is ``original0`` and V ``original1``, as torch's ``weight_norm`` calls them.

    Args:
        direction: V, whose lengths g starts with.
    """

    def __init__(self, direction: nn.Parameter) -> None:
        super().__init__()
        self.original0 = nn.Parameter(torch.norm_except_dim(direction.detach(), 2, 0))
        self.original1 = direction

    def forward(self) -> Float[Tensor, "E C width"]:
        return normalised(self.original1, self.original0)
