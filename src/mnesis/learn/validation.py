"""Choosing the weights of a training by what they score on data that it does not see."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..core.memory import Memory


@dataclass(frozen=True)
class Validation:
    """A score taken now and then during a training, which then ends with the weights that had the lowest.

    Args:
        score: of the memory as it stands, such as a mean loss; lower is better. It is called in evaluation mode without
            gradients, and must give the same weights the same score, so that a resumed training makes the same choice.
        every: updates between two scores; the last update is scored too.

    Raises:
        ValueError: ``every`` below 1.
    """

    score: Callable[[Memory[Any]], float]
    every: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} counts updates between two scores; give 1 or more")

    def take(self, memory: Memory[Any]) -> float:
        """The score of a memory; its mode and the global generators are left as they were.

        Raises:
            FloatingPointError: the score is not a number.
        """
        was_training = memory.training
        device = next(memory.parameters()).device
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
                value = float(self.score(memory.eval()))
        finally:
            memory.train(was_training)
        if math.isnan(value):
            raise FloatingPointError("the validation score is nan; look at what it is computed from")
        return value
