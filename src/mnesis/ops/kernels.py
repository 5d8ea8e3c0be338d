"""flash-linear-attention's GPU kernels, which stand in for the chunk forms of two recurrences where they can.

They do where that package and an NVIDIA, AMD or Intel GPU are at hand, nothing is wider than float32, and torch may
round float32 products to fewer digits (``torch.set_float32_matmul_precision("high")``), as the kernels do: without
that word the torch forms keep all digits. The kernels have chunks of their own; a chunk that is asked for keeps to
torch, too. Imported where used: ``pip install flash-linear-attention``.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

NAME = "flash-linear-attention"
FORGOTTEN = -80.0
"""As a logarithm: e^-80 is nothing beside 1 in float32, and infinities do not survive the kernels' differences."""
WIDEST_KEY = 256
"""Of what the delta rule's kernels take."""


@cache
def is_installed() -> bool:
    """Whether the package and the compiler of its kernels can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("fla", "triton"))


def stand_in(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether kernels run what is computed there, in that dtype; a warning says where they could and are missing."""
    if device.type not in ("cuda", "xpu") or dtype == torch.float64:
        return False
    if torch.get_float32_matmul_precision() == "highest":
        return False
    if not is_installed():
        _tell_missing()
        return False
    return True


@cache
def _tell_missing() -> None:
    """Once."""
    warnings.warn(
        "torch computes chunk by chunk on this GPU; pip install mnesis[kernels] for flash-linear-attention's kernels",
        stacklevel=2,
    )


def gated_linear_attention_kernel(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    log_decay: Float[Tensor, "B T H"] | Float[Tensor, "B T H K"] | None,
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """As :func:`~mnesis.ops.gated_linear_attention.gated_linear_attention_chunk`."""
    from fla.ops.gla import chunk_gla  # pyright: ignore[reportMissingImports]
    from fla.ops.simple_gla import chunk_simple_gla  # pyright: ignore[reportMissingImports]

    run = chunk_gla if log_decay is not None and log_decay.ndim == key.ndim else chunk_simple_gla
    return _run(run, (query, key, value), {"g": _finite(log_decay)}, matrix, scale=1.0)


def delta_rule_kernel(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    strength: Float[Tensor, "B T H"],
    log_decay: Float[Tensor, "B T H"] | Float[Tensor, "B T H K"] | None,
    matrix: Float[Tensor, "B H K V"],
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]] | None:
    """As :func:`~mnesis.ops.delta_rule.delta_rule_chunk`; None for keys of more than 256 features."""
    if key.shape[-1] > WIDEST_KEY:
        return None
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule  # pyright: ignore[reportMissingImports]
    from fla.ops.kda import chunk_kda  # pyright: ignore[reportMissingImports]

    run = chunk_kda if log_decay is not None and log_decay.ndim == key.ndim else chunk_gated_delta_rule
    # Its kernel without a decay takes no float32; one that fades by nothing does.
    decay = torch.zeros_like(strength, dtype=torch.float32) if log_decay is None else _finite(log_decay)
    return _run(run, (query, key, value), {"g": decay, "beta": strength}, matrix, scale=query.shape[-1] ** -0.5)


def _finite(log_decay: Tensor | None) -> Tensor | None:
    return None if log_decay is None else log_decay.to(torch.float32).clamp(min=FORGOTTEN)


def _run(
    kernel: Any, sequences: tuple[Tensor, ...], rates: dict[str, Tensor | None], matrix: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """In the dtype of the sequences, the widest of them where they differ; returned in that of the matrix."""
    dtype = sequences[0].dtype
    for part in sequences[1:]:
        dtype = torch.promote_types(dtype, part.dtype)
    parts = (part.to(dtype) for part in sequences)
    y, carried = kernel(*parts, **rates, scale=scale, initial_state=matrix, output_final_state=True)
    return y.to(matrix.dtype), carried.to(matrix.dtype)
