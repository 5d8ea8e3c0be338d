"""Where the rows of an episode start: fresh, where the last episode ended, or anywhere that a long stream might lead.

A recurrent network that was trained from fresh states alone has never seen the states of longer streams. Some hundred
updates from other starts mend that (Buitrago Ruiz and Gu 2025, arXiv 2507.02782).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.memory import Memory
from ..core.state import tree_map
from .recipe import Stage


def starts(
    stage: Stage,
    memory: Memory[Any],
    ended: Any,
    rows: slice,
    generator: torch.Generator,
    total: Callable[[Tensor], Tensor],
    **place: Any,
) -> Any:
    """The states that this process's rows start from; None = all fresh.

    Args:
        stage: says which.
        memory: whose states they are.
        ended: where this process's rows of the last episode ended; None = there was none.
        rows: of the batch, that are this process's.
        generator: of the training; nothing is drawn where nothing is random.
        total: sums a tensor over processes.
        place: device and dtype of fresh states.
    """
    if stage.start == "fresh" or (stage.start == "carried" and stage.start_share == 1):
        return ended if stage.start == "carried" else None
    # One number, whatever states look like: who resumes within the episode draws it too.
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    started = (torch.rand(stage.batch, generator=own) < stage.start_share)[rows]
    if ended is None and stage.start != "noise":
        return None
    with torch.no_grad():
        fresh = memory.initial_state(len(started), **place)
    if stage.start == "carried":
        found = ended
    else:
        found = tree_map(lambda leaf: _noise(leaf, stage, rows, own), fresh)
        if stage.start == "noise":
            found = tree_map(lambda leaf, noise: leaf + stage.start_deviation * noise, fresh, found)
        else:
            found = tree_map(lambda leaf, noise: _like(leaf, noise, total), ended, found)
    return tree_map(lambda there, here: _chosen(started, there, here), found, fresh)


def _noise(leaf: Tensor, stage: Stage, rows: slice, generator: torch.Generator) -> Tensor:
    """For the whole batch, so that the rows of any number of processes get the same."""
    return torch.randn(stage.batch, *leaf.shape[1:], generator=generator)[rows].to(leaf.device)


def _like(ended: Tensor, noise: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
    """Noise with the mean and deviation that this leaf ended with, for each head by itself (its second axis, if it has
    three)."""
    if not noise.numel() or not ended.is_floating_point():
        return noise
    over = [axis for axis in range(ended.ndim) if axis != 1 or ended.ndim < 3]
    wide = ended.double()
    count = total(torch.full((), wide.numel() / (wide.shape[1] if ended.ndim > 2 else 1), dtype=torch.float64))
    mean = total(wide.sum(over, keepdim=True)) / count
    deviation = (total((wide - mean).square().sum(over, keepdim=True)) / count).sqrt()
    return mean + deviation * noise


def _chosen(started: Tensor, there: Tensor, here: Tensor) -> Tensor:
    if not here.is_floating_point():
        return here  # counters
    return torch.where(started.to(here.device).reshape(-1, *[1] * (here.ndim - 1)), there.to(here.dtype), here)
