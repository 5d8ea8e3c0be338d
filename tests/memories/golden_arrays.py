"""What comparisons with numbers of other code share (tests/golden/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.memory import Memory


def golden(name: str) -> dict[str, Tensor]:
    """The arrays of ``tests/golden/NAME.safetensors``."""
    return load_file(Path(__file__).resolve().parents[1] / "golden" / f"{name}.safetensors")


def close(name: str, found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    """Nowhere further apart than the tolerance times the largest entry, or 1 if that is larger."""
    assert found.shape == expected.shape, (name, found.shape, expected.shape)
    gap = float((found - expected).detach().abs().max())
    assert gap < tolerance * max(1.0, float(expected.abs().max())), (name, gap)


def in_pieces(memory: Memory[Any], x: Tensor, *sizes: int) -> tuple[Tensor, Any]:
    """A sequence read piece by piece, the last as long as what is left, pieces of one unit as a step."""
    outputs, state, left = [], None, x.shape[1] - sum(sizes)
    for piece in x.split([*sizes, left], 1):
        if piece.shape[1] == 1:
            y, state = memory.step(piece[:, 0], state)
            y = y[:, None]
        else:
            y, state = memory(piece, state)
        outputs.append(y)
    return torch.cat(outputs, 1), state


def gradients_agree(loss: Tensor, wanted: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """For each of the same names."""
    assert set(wanted) == set(expected)
    for name, found in zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True):
        close(name, found, expected[name])


def under(prefix: str, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """The arrays below PREFIX/, named without it."""
    return {name.removeprefix(f"{prefix}/"): part for name, part in arrays.items() if name.startswith(f"{prefix}/")}
