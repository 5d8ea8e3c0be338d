"""Linear maps in arithmetic that is wider than their weights, and what can be had of a linear map by calling it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from ..ops.transforms import transformed

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class WideLinear(nn.Linear):
    """A linear map in the dtype of its input, to which its weights are converted.

    Under autocast it is as narrow as any other; who needs it wide calls it without. Parameters and their start are
    those of ``nn.Linear``.
    """

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... E"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, bias = self.weight, self.bias
        if weight.dtype != x.dtype:
            weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        return F.linear(x, weight, bias)


class WideBias(nn.Linear):
    """A linear map whose bias is added in float32 or wider, which its outputs then are.

    For biases beside which the product is small, as those of time steps: a narrow sum would drop the product's digits.
    Parameters and their start are those of ``nn.Linear``.
    """

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... E"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y = F.linear(x, self.weight)
        return y.to(torch.promote_types(y.dtype, torch.float32)) + self.bias


def pulled_back(linears: Sequence[nn.Module], at: Sequence[Tensor], cotangents: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """W^T g of each of several linear maps: what was put around them or in their place counts.

    Of a map that nobody touched the product with W; of all others, which are only called, the gradient of g . linear(x)
    in x: the same numbers, and differentiable itself.

    Args:
        linears: the maps, with or without biases.
        at: what each is called on ``[... D]``, of the rows of g; which does not matter.
        cotangents: g of each ``[... E]``.
    """
    if all(map(_untouched, linears)):
        products = (g @ cast(Tensor, linear.weight).to(g.dtype) for linear, g in zip(linears, cotangents, strict=True))
        return tuple(product.to(x.dtype) for product, x in zip(products, at, strict=True))
    if transformed() or torch.compiler.is_compiling():
        pairs = zip(linears, at, cotangents, strict=True)
        return tuple(cast(Any, torch.func.vjp)(linear, x)[1](cotangent)[0] for linear, x, cotangent in pairs)
    return tuple(pulled for _, pulled in _pulled_back(linears, at, cotangents))


def matrices(linears: Sequence[nn.Module], like: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """W and b of each of several linear maps with biases, had as in :func:`pulled_back`; for loops that a call slows.

    Args:
        linears: the maps.
        like: zeros in the shape [E D], the dtype and on the device in which each W is wanted.
    """
    if all(map(_untouched, linears)):
        own = (cast(tuple[Tensor, Tensor], (linear.weight, linear.bias)) for linear in linears)
        return [(weight.to(zeros.dtype), bias.to(zeros.dtype)) for (weight, bias), zeros in zip(own, like, strict=True)]
    if transformed() or torch.compiler.is_compiling():
        return [_on_units(linear, zeros) for linear, zeros in zip(linears, like, strict=True)]
    every = [torch.eye(len(zeros), dtype=zeros.dtype, device=zeros.device) for zeros in like]
    return [(weight, y[0]) for y, weight in _pulled_back(linears, like, every)]


def _untouched(linear: nn.Module) -> bool:
    """Whether a call would do no more than the product with W: no hook sees it, and nothing stands in its place."""
    own = vars(linear)
    plain = type(linear) in (WideLinear, nn.Linear) and "forward" not in own
    return plain and not any(own[hooks] for hooks in _HOOKS) and not _has_any_global_hook()


def _pulled_back(
    linears: Sequence[nn.Module], at: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """What each map makes of its inputs, and W^T g."""
    again = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        xs = [x.detach().clone().requires_grad_() for x in at]
        ys = [linear(x) for linear, x in zip(linears, xs, strict=True)]
        pulled = torch.autograd.grad(ys, xs, list(cotangents), create_graph=again)
    return list(zip(ys if again else [y.detach() for y in ys], pulled, strict=True))


def _on_units(linear: nn.Module, zeros: Tensor) -> tuple[Tensor, Tensor]:
    """W, to rounding, and b: what the map makes of every channel alone and of nothing."""
    channels = torch.eye(zeros.shape[1], dtype=zeros.dtype, device=zeros.device)
    y = linear(torch.cat([channels, zeros[:1]]))
    return (y[:-1] - y[-1]).mT, y[-1]
