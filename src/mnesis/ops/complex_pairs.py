"""Complex numbers as pairs of real ones, which is how states and parameters hold them."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def as_complex(pairs: Float[Tensor, "*N 2"]) -> Complex[Tensor, "*N"]:
    """Real and imaginary part as one number: a view where the pairs lie so in storage, otherwise a copy."""
    if torch.compiler.is_compiling():  # which knows nothing of storage
        return torch.complex(*pairs.unbind(-1))
    *strides, last = pairs.stride()
    if last != 1 or pairs.storage_offset() % 2 or any(stride % 2 for stride in strides):
        pairs = pairs.clone(memory_format=torch.contiguous_format)
    return torch.view_as_complex(pairs)
