"""A causal depthwise convolution over the last few units, whose tail is carried."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..ops.sequence_split import from_processes, is_split, own


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
        time, ends = x.shape[1], None
        if is_split():
            tail, ends = self._of_processes(x, tail)
        padded = torch.cat([tail.to(x.dtype), x], 1)
        # Shifted products: at these widths twice as fast as a grouped convolution, and four times at one unit.
        y = x if self.bias is None else self.bias.to(x.dtype).expand_as(x)
        for lag, weight in enumerate(self.weight.to(x.dtype).unbind(0)):
            y = torch.addcmul(y, padded.narrow(1, self.width - 1 - lag, time), weight)
        if length is None:
            return y, (padded[:, time:].to(tail.dtype) if ends is None else ends[-1]).clone()
        index = length[:, None] + torch.arange(self.width - 1, device=x.device)
        return y, padded.gather(1, index[..., None].expand(-1, -1, self.dim)).to(tail.dtype)

    def _of_processes(self, x: Float[Tensor, "B T D"], tail: Float[Tensor, "B tail D"]) -> tuple[Tensor, Tensor]:
        """The end of the piece before this one, and the ends of all."""
        lags = self.width - 1
        if x.shape[1] < lags:
            raise ValueError(
                f"a piece of {x.shape[1]} units is shorter than the {lags} that a convolution looks back; split the "
                "sequence over fewer processes"
            )
        ends = from_processes(x[:, -lags:].to(tail.dtype))
        return own(torch.cat([from_processes(tail)[:1], ends[:-1]])), ends
