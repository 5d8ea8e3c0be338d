"""StateX: give trained recurrences larger states, to be trained on with longer contexts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..core.memory import Memory
from ..memories.linear.gla import GLA
from ..memories.linear.mamba2 import Mamba2


def expand_states(network: nn.Module, *, every: int = 1, factor: int = 4, inherit: bool = False) -> list[str]:
    """Replace GLA and Mamba-2 inside a trained network by ones with larger states (StateX, 2025, arXiv 2509.22630).

    GLA's heads become one, whose matrix has as many times the numbers as there were heads, with the parameters of
    before in number; Mamba-2's keys and queries become ``factor`` times as wide, with their projection alone. What is
    new starts fresh, and the network has to be trained on: the paper does so on contexts of 65,536 tokens, and finds
    fresh layers better than inherited ones. Of 24 GLA layers it replaces every sixth, of Mamba-2 all.

    Fresh are GLA's whole layer; of Mamba-2 the projections to keys and queries with their convolution, the rates
    (1 to heads), the time steps and the norm. With ``inherit`` GLA keeps all weights but the norm's, heads side by
    side, and Mamba-2 all of them, the new queries being 0: it starts as what it was. (The authors' merging modes
    repeat keys or fill up with zeros instead.)

    Args:
        network: changed in place; states of before do not fit it any more.
        every: the first of so many layers that can be expanded is.
        factor: of Mamba-2's states.
        inherit: keep weights.

    Returns:
        Where in the network layers were replaced.

    Raises:
        ValueError: nothing in the network can be expanded, or a number below its least.
    """
    if every < 1 or factor < 2:
        raise ValueError(f"every={every}, factor={factor}: give every >= 1, and a factor of 2 or more")
    found = [(name, module) for name, module in network.named_modules() if isinstance(module, GLA | Mamba2)]
    found = [(name, module) for name, module in found if not isinstance(module, GLA) or module.heads > 1]
    if not found or not found[0][0]:
        raise ValueError(
            f"no GLA of several heads and no Mamba-2 is inside {type(network).__name__}; states of others do not expand"
        )
    chosen = found[::every]
    for name, module in chosen:
        new = _one_head(module, inherit) if isinstance(module, GLA) else _wider(module, factor, inherit)
        new.train(module.training)
        network.set_submodule(name, new)
    return [name for name, _ in chosen]


def _built(memory: Memory[Any], **changed: Any) -> Any:
    weight = next(memory.parameters())
    return type(memory)(**{**memory.config, **changed}).to(device=weight.device, dtype=weight.dtype)


def _one_head(memory: GLA, inherit: bool) -> GLA:
    new = _built(memory, heads=1)
    if inherit:
        weights = {name: value for name, value in memory.state_dict().items() if name != "scale"}
        new.load_state_dict(weights, strict=False)
    return new


@torch.no_grad()
def _wider(memory: Mamba2, factor: int, inherit: bool) -> Mamba2:
    channels, keys, _ = memory.sizes
    new = _built(memory, states=factor * keys // memory.groups)
    old, weights = memory.state_dict(), new.state_dict()
    for name in ("skip", "output.weight", *(("time_step", "log_rate", "norm") if inherit else ())):
        weights[name].copy_(old[name])
    if not inherit:
        weights["log_rate"].copy_(torch.arange(1, memory.heads + 1).log())
    # z and x, keys, queries, time steps in the projection; x, keys, queries in the convolution.
    for name, axis, around in (
        ("input.weight", 0, (2 * channels, memory.heads)),
        ("convolution.weight", 1, (channels, 0)),
        ("convolution.bias", 0, (channels, 0)),
    ):
        before = old[name].split((around[0], keys, keys, around[1]), axis)
        after = weights[name].split((around[0], factor * keys, factor * keys, around[1]), axis)
        after[0].copy_(before[0])
        after[3].copy_(before[3])
        if inherit:
            for a, b in zip(before[1:3], after[1:3], strict=True):
                _first_of_groups(b, axis, memory.groups, keys).copy_(a.unflatten(axis, (memory.groups, -1)))
            if name != "convolution.weight":  # so that new queries are 0, and learn
                kept = _first_of_groups(after[2], axis, memory.groups, keys).clone()
                after[2].zero_()
                _first_of_groups(after[2], axis, memory.groups, keys).copy_(kept)
    return new


def _first_of_groups(wide: Tensor, axis: int, groups: int, keys: int) -> Tensor:
    """Where the channels of before stand among those of each group."""
    return wide.unflatten(axis, (groups, -1)).narrow(axis + 1, 0, keys // groups)
