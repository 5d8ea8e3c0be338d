"""Neurons that add up what they hear, leak, and spike."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .transforms import apply


class Spike(torch.autograd.Function):
    """1 where v >= 0, else 0; backwards as if it were arctan(pi a v / 2) / pi + 1/2 (Fang et al. 2021, 2007.05785)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, steepness: float) -> Tensor:
        return (v >= 0).to(v.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, ctx.steepness = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (v,), a = ctx.saved_tensors, ctx.steepness
        return gradients[0] * (a / 2) / (1 + (math.pi / 2 * a * v).square()), None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        return Spike.backward(ctx, turns[0])[0]


def leaky_integrate_and_fire(
    x: Float[Tensor, "B T N"],
    membrane: Float[Tensor, "B N"],
    *,
    threshold: float = 1.0,
    leak: float = 2.0,
    steepness: float = 2.0,
) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B N"]]:
    """v += (x - v) / leak; spikes where v reaches the threshold, and starts again from 0 there.

    As spikingjelly's neuron with ``detach_reset``, whose reset passes no gradient on to what caused it. A spike's own
    is that of an arctangent, where spikingjelly takes a sigmoid's unless told otherwise.

    Args:
        x: what neurons hear.
        membrane: v before the first unit.
        threshold: of spikes.
        leak: tau; the larger, the longer v lasts.
        steepness: of the arctangent.

    Returns:
        Spikes, 0 or 1, and v after the last unit.
    """
    spikes = []
    for heard in x.unbind(1):
        membrane = membrane + (heard - membrane) / leak
        spike = apply(Spike, membrane - threshold, steepness)
        membrane = membrane * (1 - spike.detach())
        spikes.append(spike)
    return torch.stack(spikes, 1), membrane
