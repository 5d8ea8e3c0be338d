"""The position-wise part of a block."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

KINDS = ("gelu", "geglu", "swiglu")


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


class GatedMLP(MLP):
    """Between the linear maps stands the product of two, one through a nonlinearity (Shazeer 2020, arXiv 2002.05202).

    Args:
        dim: width of inputs and outputs.
        hidden: width between the maps; 4 dim if None.
        silu: of SiLU (SwiGLU) instead of GELU (GeGLU).
    """

    def __init__(self, dim: int, *, hidden: int | None = None, silu: bool = False) -> None:
        super().__init__(dim, hidden=hidden)
        self.gate, self.silu = nn.Linear(dim, self.rise.out_features, bias=False), silu

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        gate = self.gate(x)
        return self.fall((F.silu(gate) if self.silu else F.gelu(gate)) * self.rise(x))


def mlp(kind: str, dim: int, *, hidden: int | None = None) -> MLP:
    """By name: "gelu", or gated, "geglu" or "swiglu".

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no MLP {kind!r}; choose one of {', '.join(KINDS)}")
    return MLP(dim, hidden=hidden) if kind == "gelu" else GatedMLP(dim, hidden=hidden, silu=kind == "swiglu")
