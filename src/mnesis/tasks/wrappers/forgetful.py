"""Another task read without a memory: the state is made fresh at the border of every segment."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.domain import Size
from ...core.task import Episode, Task


class Forgetful(Task):
    """Another task, its state reset at the border of every segment: the same sequences, read without a memory.

    What a network still answers here, it needs no memory between segments for. Random draws, questions and chance are
    those of the task; there is no streaming form.

    Args:
        task: The task.
        segment: Units between two resets.

    Raises:
        ValueError: a segment below 1.
    """

    def __init__(self, task: Task, segment: Size):
        self.task, self.segment = task, segment
        self.vocabulary, self.chance = task.vocabulary, task.chance
        self.features, self.target_features = task.features, task.target_features

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """The task's own episodes, with resets besides those that they have."""
        episode = self.task.episodes(batch, length, generator)
        reset = torch.zeros(episode.weight.shape, dtype=torch.bool, device=episode.weight.device)
        reset[:, self.segment :: self.segment] = True
        return episode._replace(reset=reset if episode.reset is None else reset | episode.reset)

    def unseen(self, part: Literal["valid", "test"]) -> Task:
        return Forgetful(self.task.unseen(part), self.segment)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        return self.task.blind(episode)

    def items(self, length: int) -> int | None:
        return self.task.items(length)

    def distance(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        return self.task.distance(episode)

    def displaced(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        return self.task.displaced(episode)
