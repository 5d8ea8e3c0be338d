"""Echo state network: a random recurrence that stays as it was drawn; what reads it is trained alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.memory import Memory

TOPOLOGIES = ("random", "cycle")
ACTIVATIONS = ("tanh", "linear")


class EchoStateState(NamedTuple):
    """What an echo state network carries."""

    units: Float[Tensor, "B D"]


class EchoState(Memory[EchoStateState]):
    """Reservoir of Jaeger 2001 (GMD Report 148), with leaky units (Jaeger et al. 2007, Neural Networks 20(3)).

    s_t = (1 - a) s_{t-1} + a f(W s_{t-1} + V x_t + b), y_t = s_t. W, V and b are drawn once and are buffers, which
    training leaves alone; gradients reach the inputs. A spectral radius of W below 1 makes what was read fade (exactly
    so where f is linear, as a rule where it is tanh). "cycle" makes W the radius times a cyclic permutation (Rodan and
    Tino 2011, IEEE Transactions on Neural Networks 22(1)). State: ``dim`` numbers a row.

    Args:
        dim: width of inputs, and number of units.
        spectral_radius: of W.
        leak: a, above 0 and at most 1, which is a unit without a leak.
        input_scale: V is uniform between -input_scale and input_scale.
        bias_scale: so is b.
        density: share of W that is not 0, where it is random.
        topology: "random" or "cycle".
        activation: f, "tanh" or "linear".

    Raises:
        ValueError: an unknown topology or activation, or a number outside its range.
    """

    recurrent: Tensor
    input: Tensor
    bias: Tensor

    def __init__(
        self,
        dim: int,
        *,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scale: float = 0.1,
        bias_scale: float = 0.0,
        density: float = 1.0,
        topology: str = "random",
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        if topology not in TOPOLOGIES or activation not in ACTIVATIONS:
            raise ValueError(
                f"topology={topology!r}, activation={activation!r}: choose {' or '.join(map(repr, TOPOLOGIES))}, and "
                f"{' or '.join(map(repr, ACTIVATIONS))}"
            )
        if not (spectral_radius >= 0 and 0 < leak <= 1 and 0 < density <= 1):
            raise ValueError(
                f"spectral_radius={spectral_radius}, leak={leak}, density={density}: give a radius of 0 or more, and "
                "shares above 0 and at most 1"
            )
        self.dim, self.leak, self.activation = dim, leak, activation
        if topology == "cycle":
            recurrent = torch.eye(dim).roll(1, 0) * spectral_radius
        else:
            recurrent = torch.randn(dim, dim) * (torch.rand(dim, dim) < density)
            radius = torch.linalg.eigvals(recurrent.double()).abs().max()
            recurrent *= spectral_radius / radius.clamp_min(torch.finfo(torch.float32).tiny)
        self.register_buffer("recurrent", recurrent)
        self.register_buffer("input", input_scale * (2 * torch.rand(dim, dim) - 1))
        self.register_buffer("bias", bias_scale * (2 * torch.rand(dim) - 1))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> EchoStateState:
        return EchoStateState(torch.zeros(batch, self.dim or 0, device=device, dtype=dtype))

    def scan(
        self, x: Float[Tensor, "B T D"], state: EchoStateState, phase: int = 0
    ) -> tuple[Float[Tensor, "B T D"], EchoStateState]:
        driven, units, read = x @ self.input.to(x.dtype).T + self.bias.to(x.dtype), state.units.to(x.dtype), []
        recurrent = self.recurrent.to(x.dtype).T
        for drive in driven.unbind(1):
            units = self._next(units, torch.addmm(drive, units, recurrent))
            read.append(units)
        return torch.stack(read, 1), EchoStateState(units.to(state.units.dtype).clone())

    def step(self, x: Float[Tensor, "B D"], state: EchoStateState) -> tuple[Float[Tensor, "B D"], EchoStateState]:
        y, state = self.scan(x[:, None], state)
        return y[:, 0], state

    def _next(self, units: Tensor, drive: Tensor) -> Tensor:
        new = drive.tanh() if self.activation == "tanh" else drive
        return new if self.leak == 1 else torch.lerp(units, new, self.leak)
