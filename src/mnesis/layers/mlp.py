"""The position-wise part of a block."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Two linear maps with a GELU between them.

    Args:
        dim: width of inputs and outputs.
        hidden: width between the maps; 4 dim if None.
    """

    def __init__(self, dim: int, *, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or 4 * dim
        self.rise, self.fall = nn.Linear(dim, hidden, bias=False), nn.Linear(hidden, dim, bias=False)
        nn.init.normal_(self.fall.weight, std=0.5 * hidden**-0.5)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        return self.fall(F.gelu(self.rise(x)))
