"""What torch's fused recurrent kernels share: their weights, the way back to the model's width, and a plain form."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...ops.transforms import transformed


class FusedCell(nn.Module):
    """Weights of a recurrent cell in the layout of torch's fused kernels, without a module around each.

    Args:
        dim: width of inputs and outputs.
        hidden: width of the state; ``dim`` if None, otherwise a linear map leads back to ``dim``.
    """

    gates: ClassVar[int]

    def __init__(self, dim: int, *, hidden: int | None = None) -> None:
        super().__init__()
        self.dim, self.hidden = dim, hidden or dim
        rows, bound = self.gates * self.hidden, 1 / math.sqrt(self.hidden)
        self.input_weight = nn.Parameter(torch.empty(rows, dim).uniform_(-bound, bound))
        self.hidden_weight = nn.Parameter(torch.empty(rows, self.hidden).uniform_(-bound, bound))
        self.input_bias = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.hidden_bias = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.output = nn.Linear(self.hidden, dim) if self.hidden != dim else nn.Identity()

    @abstractmethod
    def equations(self, from_input: Tensor, from_hidden: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        """What one unit makes of its gates' two sums [B rows] and of what is carried, h first."""

    def weights(self, dtype: torch.dtype) -> list[Tensor]:
        """The four tensors in the kernels' order, in the dtype of the input."""
        parameters = (self.input_weight, self.hidden_weight, self.input_bias, self.hidden_bias)
        return [parameter.to(dtype) for parameter in parameters]

    def sweep(self, kernel: Callable[..., Any], x: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        """h of every unit, then what is carried on: by torch's kernel, which has rules for plain gradients alone."""
        start = [leaf.to(x.dtype) for leaf in carried]
        if transformed():
            return self._unit_by_unit(x, start)
        start, options = [leaf[None] for leaf in start], (True, 1, 0.0, self.training, False, True)
        with within_reach(x.device):
            y, *after = kernel(x, start if len(start) > 1 else start[0], self.weights(x.dtype), *options)
        return y, *(leaf[0].clone() for leaf in after)

    def one(self, kernel: Callable[..., Any], x: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        """What is carried on from one unit, by torch's kernel for it or without."""
        start = [leaf.to(x.dtype) for leaf in carried]
        if transformed():
            return self._unit_by_unit(x[:, None], start)[1:]
        after = kernel(x, start if len(start) > 1 else start[0], *self.weights(x.dtype))
        return tuple(after) if len(start) > 1 else (after,)

    def _unit_by_unit(self, x: Tensor, start: list[Tensor]) -> tuple[Tensor, ...]:
        input_weight, hidden_weight, input_bias, hidden_bias = self.weights(x.dtype)
        outputs, h, carried = [], start[0], tuple(start)
        for unit in F.linear(x, input_weight, input_bias).unbind(1):
            h, *_ = carried = self.equations(unit, F.linear(h, hidden_weight, hidden_bias), *carried)
            outputs.append(h)
        return torch.stack(outputs, 1), *carried

    def project(self, h: Tensor) -> Tensor:
        return self.output(h)


def within_reach(device: torch.device) -> AbstractContextManager[Any]:
    """Without autocast where it would ask oneDNN for an LSTM in a dtype that this processor has none of.

    Narrow weights are no such case: torch asks the processor before it hands them on, but not before autocast.
    """
    if device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return nullcontext()
    known = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    has = known.get(torch.get_autocast_dtype("cpu"))
    return nullcontext() if has is None or has() else torch.autocast("cpu", enabled=False)
