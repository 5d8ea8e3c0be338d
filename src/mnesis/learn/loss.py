"""Model and loss in one module, so that the hooks of DDP and FSDP see all of a window's arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..core.memory import Memory
from ..core.record import recording, silent
from ..core.state import leaves, take, tree_map


class WindowLoss(NamedTuple):
    """What one window of an episode gave; sums, so that windows and processes add up."""

    answers: Float[Tensor, ""]
    """Sum over asked targets of weight times loss."""
    extra: Float[Tensor, ""] | None
    """Recorded ``loss/*``: their means over units times the units read; None if nothing was recorded."""
    correct: Int[Tensor, ""]
    """Asked targets whose most probable token is right (0 where targets are numbers)."""
    state: Any
    """Where each row stands now, detached: the cut of truncated back-propagation."""


class Forked(NamedTuple):
    """Questions put to forks of the state at the end of a window."""

    rows: Int[Tensor, " n"]
    """Whose state each question forks."""
    inputs: Int[Tensor, "n P"]
    targets: Int[Tensor, "n P"]
    weight: Float[Tensor, "n P"]


class Learner(nn.Module):
    """A memory and its loss over one window.

    Cross-entropy where targets are whole numbers; squared error, averaged over a target's features, where they are
    floating. Only the units that are asked about go through the memory's readout. Losses that the memory records under
    ``loss/...`` are added, a scalar counting as the mean over units.

    Args:
        memory: any memory; a whole network is one.
        autocast: dtype of the arithmetic; None = that of the parameters.
    """

    def __init__(self, memory: Memory[Any], *, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self.memory, self.autocast = memory, autocast
        self.anchored = False
        """Give every parameter a gradient, zero if need be: FSDP reduces those that are there, and all processes must
        have the same ones, also where a learned start serves the rows of one process alone."""

    def forward(
        self,
        x: Any,
        state: Any,
        reset: Bool[Tensor, "B T"] | None,
        length: Int[Tensor, " B"] | None,
        targets: Tensor,
        weight: Float[Tensor, "B T"],
        forks: Forked | None = None,
    ) -> WindowLoss:
        """Read one window, then put ``forks`` to its end; ``weight`` is 0 where nothing is asked."""
        first = leaves(x)[0]
        body, readout = self.memory.parts()
        with (
            torch.autocast(first.device.type, self.autocast, enabled=self.autocast is not None),
            recording() as observed,
        ):
            y, state = body(x, state, reset=reset, length=length)
            parts = [(y, targets, weight)]
            if forks is not None:
                with silent():
                    parts.append((body(forks.inputs, take(state, forks.rows))[0], forks.targets, forks.weight))
            answers = readout(_joined([tree_map(lambda leaf, w=w: leaf[w > 0], y) for y, _, w in parts]))
        targets = torch.cat([targets[weight > 0] for _, targets, weight in parts])
        weight = torch.cat([weight[weight > 0] for _, _, weight in parts])
        loss, correct = _answer_loss(answers, targets, weight)
        units = first.shape[0] * first.shape[1] if length is None else length.sum()
        recorded = [value for name, values in observed.items() if name.startswith("loss/") for value in values]
        extra = torch.stack([_over_units(value, units) for value in recorded]).sum() if recorded else None
        if torch.is_grad_enabled() and (self.anchored or not loss.requires_grad):
            # Where all rows of this process are padding, the others still wait for its gradients.
            loss = loss + 0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        # Contiguous, as a state read back from a file is: kernels may sum strided input in another order.
        return WindowLoss(loss, extra, correct, tree_map(lambda leaf: leaf.detach().contiguous(), state))


def _answer_loss(answers: Tensor, targets: Tensor, weight: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    if targets.is_floating_point():
        if answers.shape != targets.shape:
            raise ValueError(
                f"the memory answers with {list(answers.shape[1:])} numbers a unit where the task's targets have "
                f"{list(targets.shape[1:])}; give the network a head of the targets' width"
            )
        error = (answers.float() - targets.float()).square().flatten(1 if targets.ndim > 1 else 0)
        loss = error.mean(-1) if targets.ndim > 1 else error
        return (loss * weight).sum(), torch.zeros((), dtype=torch.long, device=weight.device)
    if answers.ndim != 2:
        raise ValueError(
            f"the memory answers with shape {list(answers.shape[1:])} a unit where the task asks for one token; give "
            "the network a head over the vocabulary"
        )
    loss = F.cross_entropy(answers.float(), targets, reduction="none")
    return (loss * weight).sum(), (answers.argmax(-1) == targets).sum()


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else tree_map(lambda *leaves: torch.cat(leaves), *parts)


def _over_units(value: Tensor, units: int | Tensor) -> Tensor:
    """A recorded loss as a sum over the units read."""
    if value.ndim == 0:
        return value.float() * units
    per_unit = value.float().flatten(2).mean(2) if value.ndim > 2 else value.float()
    return per_unit.sum()
