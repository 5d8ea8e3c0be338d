"""How far linear filters get off when all their parameters move a little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..memories.linear.stable_ssm import StableSSM, kept_of
from ..tasks.signals.polynomial_memory import PolynomialMemory
from .exams import TEST_SEED
from .trials import Exam

RADII = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
LARGEST = 1e6
"""Errors above are noted as this: unstable rates grow without bound."""


@dataclass(frozen=True)
class PerturbationExam(Exam):
    """The largest error when all parameters together move by so much; ``at`` counts states.

    Args:
        units: of the impulse response.
        directions: drawn at random; those of single parameters, both ways, come on top.
    """

    units: int
    directions: int

    @torch.no_grad()
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        assert isinstance(network, StableSSM)
        return {"errors": [perturbed(network, radius, self.units, self.directions) for radius in RADII]}


@torch.no_grad()
def perturbed(memory: StableSSM, radius: float, units: int, directions: int) -> float:
    """The largest error of the filter when its parameters move by ``radius`` in one of many directions."""
    rates = memory.decay.clamp(-1, 1) if memory.parameterization == "direct" else memory.decay
    own = [rates, memory.input.weight[:, 0], memory.input.bias, memory.output.weight[0]]
    parameters = torch.stack([part.double() for part in own])
    count = parameters.numel()
    random = torch.randn(directions, count, generator=torch.Generator().manual_seed(TEST_SEED), dtype=torch.float64)
    single = torch.eye(count, dtype=torch.float64)
    moves = torch.cat([torch.zeros(1, count), random / random.norm(dim=1, keepdim=True), single, -single])
    moved = parameters + radius * moves.unflatten(1, parameters.shape)
    return max(float(errors(part, memory.parameterization, units).max()) for part in moved.split(64))


def errors(parameters: Float[Tensor, "R 4 N"], parameterization: str, units: int) -> Float[Tensor, " R"]:
    """Of filters (w, U, b, C), as shares of the target's largest output."""
    w, read, bias, out = parameters.unbind(1)
    powers = kept_of(w, parameterization)[:, None] ** torch.arange(units, dtype=w.dtype)[:, None]  # [R, units, N]
    target = PolynomialMemory().response(units)
    response = (powers * (read * out)[:, None]).sum(-1)
    # Inputs of the worst signs reach the sum of the response's errors, and what biases add by the last unit.
    offset = (powers * (bias * out)[:, None]).sum((1, 2)).abs()
    found = ((response - target).abs().sum(1) + offset) / target.sum()
    return found.nan_to_num(LARGEST, LARGEST).clamp(max=LARGEST)
