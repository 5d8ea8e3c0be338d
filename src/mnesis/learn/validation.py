"""Watching a training on data that it does not see, and ending it with the weights that do best there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..core.memory import Memory
from .position import BrokeDown


@dataclass(frozen=True)
class Validation:
    """Figures taken now and then during a training, and told in its metrics.

    Args:
        figures: of the memory as it stands, such as ``{"loss": ...}``. It is called in evaluation mode without
            gradients, and must give the same weights the same figures, so that a resumed training chooses alike.
        every: updates between two looks; the last update is looked at too.
        choose: the figure whose lowest value says with which weights the training ends; None = with the last.

    Raises:
        ValueError: ``every`` below 1.
    """

    figures: Callable[[Memory[Any]], Mapping[str, float]]
    every: int
    choose: str | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} counts updates between two looks; give 1 or more")

    def take(self, memory: Memory[Any]) -> dict[str, float]:
        """The figures of a memory; its mode and the global generators are left as they were.

        Raises:
            ValueError: the figure to choose by is not among them.
            FloatingPointError: it is not a number.
        """
        was_training = memory.training
        device = next(memory.parameters()).device
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
                found = {name: float(value) for name, value in self.figures(memory.eval()).items()}
        finally:
            memory.train(was_training)
        if self.choose is not None and self.choose not in found:
            raise ValueError(f"choose={self.choose!r} is not among the validation's figures: {', '.join(found)}")
        if self.choose is not None and math.isnan(found[self.choose]):
            raise BrokeDown(f"the validation's {self.choose} is nan; look at what it is computed from")
        return found

    def as_json(self) -> dict[str, Any]:
        """What a run's config says of it."""
        return {"every": self.every, "choose": self.choose}
