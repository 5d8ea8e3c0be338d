"""What torch's fused recurrent kernels share: their weights, and the way back to the model's width."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


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

    def weights(self, dtype: torch.dtype) -> list[Tensor]:
        """The four tensors in the kernels' order, in the dtype of the input."""
        parameters = (self.input_weight, self.hidden_weight, self.input_bias, self.hidden_bias)
        return [parameter.to(dtype) for parameter in parameters]

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
