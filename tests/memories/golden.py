"""A memory beside golden arrays (tests/golden/README.md): outputs and gradients, of the whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.func import functional_call

from mnesis.core.memory import Memory

Weights = dict[str, Tensor]


def load(name: str) -> dict[str, Tensor]:
    return load_file(Path(__file__).resolve().parents[1] / "golden" / f"{name}.safetensors")


def under(golden: dict[str, Tensor], prefix: str) -> Weights:
    """The arrays whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in golden.items() if name.startswith(prefix)}


def compare(
    memory: Memory[Any],
    named_as_ours: Callable[[Weights], Weights],
    weights: Weights,
    x: Tensor,
    y: Tensor,
    gradients: Weights,
    state: Any = None,
    within: float = 1e-11,
) -> Any:
    """Read x whole and in pieces and return the last state; gradients of sum(y^2) are with respect to their weights.

    ``named_as_ours`` makes our parameters out of theirs, so that what one of theirs has to do with several of ours
    needs no thought. Gradients of "x" are those of the input.
    """
    for cuts in ([x.shape[1]], [1, 6, x.shape[1] - 7]):
        leaves = {name: array.clone().requires_grad_() for name, array in (weights | {"x": x}).items()}
        ours = named_as_ours({name: leaf for name, leaf in leaves.items() if name != "x"})
        last, parts = state, []
        for piece in leaves["x"].split(cuts, 1):
            part, last = functional_call(memory, ours, (piece, last), strict=True)
            parts.append(part)
        found = torch.cat(parts, 1)
        assert gap(found, y) < within
        for name, gradient in zip(
            gradients, torch.autograd.grad(found.square().sum(), [leaves[name] for name in gradients]), strict=True
        ):
            assert gap(gradient, gradients[name]) < within, name
    return last


def close(name: str, found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    """Nowhere further apart than the tolerance times the largest entry, or 1 if that is larger."""
    assert gap(found, expected) < tolerance, (name, gap(found, expected))


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


def gap(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest entry where that is above 1."""
    found, expected = found.detach(), expected.detach()
    assert found.shape == expected.shape
    assert found.dtype is expected.dtype
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1))
