"""A linear map of blocks of channels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BlockDiagonal(nn.Module):
    """A linear map of each block of channels to itself, from LeCun's initialisation.

    Args:
        width: channels.
        blocks: they are split into.
        bias: of every channel, zero at the start.

    Raises:
        ValueError: the channels do not split into blocks.
    """

    def __init__(self, width: int, blocks: int, *, bias: bool = True) -> None:
        super().__init__()
        if width % blocks:
            raise ValueError(f"width={width} does not split into {blocks} blocks; make it a multiple of blocks")
        size = width // blocks
        self.weight = nn.Parameter(torch.randn(blocks, size, size) * size**-0.5)  # block, in, out
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        y = torch.einsum("btni,nij->btnj", x.unflatten(-1, (self.weight.shape[0], -1)), self.weight).flatten(2)
        return y if self.bias is None else y + self.bias.to(y.dtype)
