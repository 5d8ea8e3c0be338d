"""Weights as lengths and directions (Salimans and Kingma 2016, arXiv 1602.07868)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .transforms import apply, transformed


def normalised(direction: Float[Tensor, "E ..."], length: Float[Tensor, "E ..."]) -> Float[Tensor, "E ..."]:
    """g V / |V|, row by row: by torch's kernel, or written out under a transform of torch.func, where it has none."""
    if transformed():
        return direction * (length / _norms(direction))
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return apply(_Normalised, direction, length)[0]
    return torch._weight_norm(direction, length, 0)


def _norms(direction: Tensor) -> Tensor:
    return direction.square().sum(tuple(range(1, direction.ndim)), keepdim=True).sqrt()


class _Normalised(torch.autograd.Function):
    """The kernel as torch has it, but for second derivatives: its own leave out what |V| has to do with V."""

    @staticmethod
    def forward(ctx: Any, direction: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        weight, norms = torch._weight_norm_interface(direction, length, 0)
        ctx.save_for_backward(direction, length, norms)
        ctx.mark_non_differentiable(norms)
        return weight, norms

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        direction, length, norms = ctx.saved_tensors
        if torch.is_grad_enabled():
            norms = _norms(direction)
            unit = direction / norms
            along = (gradients[0] * unit).sum(tuple(range(1, direction.ndim)), keepdim=True)
            return length / norms * (gradients[0] - along * unit), along
        return torch.ops.aten._weight_norm_interface_backward(gradients[0].contiguous(), direction, length, norms, 0)
