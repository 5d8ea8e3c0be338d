"""What is at work around an operation: transforms of torch.func, or tensors whose values cannot be had."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def transformed() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp and what is made of them) or forward mode is at work.

    Fused kernels without a rule of their own, and whatever is made anew in the backward pass, give way to plain forms
    there: the same numbers, for more memory or time.
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def readable(x: Tensor) -> bool:
    """Whether Python may ask for values, so that what is done may depend on them.

    There are none on the meta device, in stand-ins for tensors, while code is compiled or exported, and under a
    transform.
    """
    plain = type(x) is Tensor or type(x) is nn.Parameter
    return plain and not x.is_meta and not torch.compiler.is_compiling() and not transformed()


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """``function.apply``, for functions that take less time than what it does beside calling them.

    That is to look for transforms and for default arguments, of which there must be none.
    """
    if transformed() or torch.compiler.is_compiling():
        return function.apply(*arguments)
    return cast(Any, super(torch.autograd.Function, function)).apply(*arguments)
