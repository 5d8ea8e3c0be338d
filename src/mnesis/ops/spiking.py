"""Neurons that add up what they hear, leak, and spike."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .transforms import apply

Surrogate = Literal["arctangent", "sigmoid"]
"""What a spike is backwards: arctan(pi v) / pi + 1/2 (Fang et al. 2021, 2007.05785), or a sigmoid of 4 v."""


class Spike(torch.autograd.Function):
    """1 where v >= 0, else 0; backwards as if it were the surrogate."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, surrogate: Surrogate) -> Tensor:
        return (v >= 0).to(v.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, ctx.surrogate = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        if ctx.surrogate == "sigmoid":
            return gradients[0] * 4 * (4 * v).sigmoid() * (-4 * v).sigmoid(), None
        return gradients[0] / (1 + (math.pi * v).square()), None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        return Spike.backward(ctx, turns[0])[0]


def leaky_integrate_and_fire(
    x: Float[Tensor, "B T N"],
    membrane: Float[Tensor, "B N"],
    *,
    threshold: float = 1.0,
    leak: float = 2.0,
    surrogate: Surrogate = "arctangent",
) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B N"]]:
    """v += (x - v) / leak; spikes where v reaches the threshold, and starts again from 0 there.

    As spikingjelly's neuron with ``detach_reset``, whose reset passes no gradient on to what caused it. A spike's own
    is its surrogate's; spikingjelly takes the sigmoid's unless told otherwise.

    Args:
        x: what neurons hear.
        membrane: v before the first unit.
        threshold: of spikes.
        leak: tau; the larger, the longer v lasts.
        surrogate: what a spike is backwards, "arctangent" or "sigmoid".

    Returns:
        Spikes, 0 or 1, and v after the last unit.
    """
    spikes = []
    for heard in x.unbind(1):
        membrane = membrane + (heard - membrane) / leak
        spike = apply(Spike, membrane - threshold, surrogate)
        membrane = membrane * (1 - spike.detach())
        spikes.append(spike)
    return torch.stack(spikes, 1), membrane
