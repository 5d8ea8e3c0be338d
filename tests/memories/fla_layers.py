"""Layers of flash-linear-attention against ours: their weights under our names, and what is compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mnesis.core.memory import Memory

from .golden import close, gradients_agree, in_pieces, load, under

NAMES = {
    "A_log": "log_rate",
    "dt_bias": "time_step",
    "a_proj.weight": "decay.weight",
    "b_proj.weight": "strength.weight",
    "g_proj.weight": "gate.weight",
    "gk_proj.0.weight": "decay.0.weight",
    "gk_proj.1.weight": "decay.1.weight",
    "gk_proj.1.bias": "decay.1.bias",
    "g_norm_swish_gate.weight": "scale",
    "o_norm.weight": "norm.weight",
    "o_proj.weight": "output.weight",
}


def official(arrays: dict[str, Tensor], within: str, identity: float) -> dict[str, Tensor]:
    """Weights or gradients of a layer under our names; their convolutions do not pass the input by, as ours do."""
    own = {NAMES[name]: part for name, part in arrays.items() if name in NAMES}
    own[f"{within}projection.weight"] = torch.cat([arrays[f"{part}_proj.weight"] for part in "qkv"])
    if "q_conv1d.weight" in arrays:
        convolution = torch.cat([arrays[f"{part}_conv1d.weight"][:, 0] for part in "qkv"]).T.flip(0).clone()
        convolution[0] -= identity
        own[f"{within}convolution.weight"] = convolution
    return own


def agrees(memory: Memory[Any], file: str, case: str, within: str = "", **more: Tensor) -> None:
    """Outputs and states, whole and in pieces, and gradients of sum(y^2) + sum(matrix^2).

    ``more`` are weights of ours that theirs lacks.
    """
    arrays, memory = load(file), memory.double()
    memory.load_state_dict({**official(under(arrays, f"weight/{case}/"), within, 1.0), **more})
    x, y, matrix = (arrays[name] for name in (f"input/{case}/x", f"output/{case}/y", f"state/{case}/matrix"))
    found, state = memory(x.requires_grad_())
    close("y", found, y)
    close("matrix", state.matrix, matrix)
    wanted = {"x": x, **{name: part for name, part in memory.named_parameters() if name not in more}}
    gradients = under(arrays, f"gradient/{case}/")
    expected = {"x": gradients["x"], **official(gradients, within, 0.0)}
    gradients_agree(found.square().sum() + state.matrix.square().sum(), wanted, expected)
    found, state = in_pieces(memory, x, 5, 1)
    close("y in pieces", found, y)
    close("matrix after pieces", state.matrix, matrix)
