"""The position-wise part of a block."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

KINDS = ("gelu", "geglu", "swiglu")


class MLP(nn.Module):
    """Two linear maps with a nonlinearity between them.

    Args:
        dim: width of inputs and outputs.
        hidden: width between the maps; 4 dim if None.
        bias: whether the maps have one.
        nonlinearity: GELU or another.
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden: int | None = None,
        bias: bool = False,
        nonlinearity: Callable[[Tensor], Tensor] = F.gelu,
    ) -> None:
        super().__init__()
        self.nonlinearity = nonlinearity
        hidden = hidden or 4 * dim
        self.rise, self.fall = nn.Linear(dim, hidden, bias=bias), nn.Linear(hidden, dim, bias=bias)
        nn.init.normal_(self.fall.weight, std=0.5 * hidden**-0.5)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        return self.fall(self.nonlinearity(self.rise(x)))


class GatedMLP(MLP):
    """Between the linear maps stands the product of two, one through a nonlinearity (Shazeer 2020, arXiv 2002.05202).

    Args:
        dim: width of inputs and outputs.
        hidden: width between the maps; 4 dim if None.
        bias: whether the maps have one.
        nonlinearity: GELU (GeGLU), SiLU (SwiGLU) or another.
    """

    def __init__(
        self,
        dim: int,
        *,
        hidden: int | None = None,
        bias: bool = False,
        nonlinearity: Callable[[Tensor], Tensor] = F.gelu,
    ) -> None:
        super().__init__(dim, hidden=hidden, bias=bias, nonlinearity=nonlinearity)
        self.gate = nn.Linear(dim, self.rise.out_features, bias=bias)

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        return self.fall(self.nonlinearity(self.gate(x)) * self.rise(x))


def tanh_gelu(x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
    """GELU with tanh for the error function, as in JAX's default: 5e-4 from the exact one at most."""
    return F.gelu(x, approximate="tanh")


def mlp(kind: str, dim: int, *, hidden: int | None = None) -> MLP:
    """By name: "gelu", or gated, "geglu" or "swiglu".

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no MLP {kind!r}; choose one of {', '.join(KINDS)}")
    if kind == "gelu":
        return MLP(dim, hidden=hidden)
    return GatedMLP(dim, hidden=hidden, nonlinearity=F.silu if kind == "swiglu" else F.gelu)
