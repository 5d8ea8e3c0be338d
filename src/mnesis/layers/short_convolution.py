"""A causal depthwise convolution over the last few units, whose tail is carried."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class ShortConvolution(nn.Module):
    """y_t = x_t + sum_j w_j * x_{t-j}, j = 0..width-1, each channel alone.

    A stream needs the last ``width - 1`` inputs: the tail ``[B width-1 D]``, zero before the first unit.

    Args:
        dim: channels.
        width: units that one output sees, itself included.
        plain: as state space models have it: without x_t by itself, with a bias, and starting as torch's convolutions.

    Raises:
        ValueError: a width below 2.
    """

    def __init__(self, dim: int, width: int, *, plain: bool = False) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(
                f"a short convolution of width {width} sees no earlier unit; give width >= 2 or leave it out"
            )
        self.dim, self.width = dim, width
        if plain:
            bound = width**-0.5
            self.weight = nn.Parameter(torch.empty(width, dim).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))
        else:
            self.weight, self.bias = nn.Parameter(torch.randn(width, dim) * width**-0.5), None

    def initial_tail(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B tail D"]:
        return torch.zeros(batch, self.width - 1, self.dim, device=device, dtype=dtype)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        tail: Float[Tensor, "B tail D"] | None = None,
        length: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B tail D"]]:
        """Outputs and the new tail, which ends after ``length`` units of each row; no tail = a sequence's start."""
        if tail is None:
            tail = x.new_zeros(x.shape[0], self.width - 1, self.dim)
        time = x.shape[1]
        padded = torch.cat([tail.to(x.dtype), x], 1)
        # Shifted products: at these widths twice as fast as a grouped convolution, and four times at one unit.
        y = x if self.bias is None else self.bias.to(x.dtype).expand_as(x)
        for lag, weight in enumerate(self.weight.to(x.dtype).unbind(0)):
            y = torch.addcmul(y, padded.narrow(1, self.width - 1 - lag, time), weight)
        if length is None:
            return y, padded[:, time:].to(tail.dtype).clone()
        index = length[:, None] + torch.arange(self.width - 1, device=x.device)
        return y, padded.gather(1, index[..., None].expand(-1, -1, self.dim)).to(tail.dtype)
