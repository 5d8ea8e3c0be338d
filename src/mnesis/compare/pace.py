"""What an update of a compared network takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..core.memory import Memory
from ..core.task import Episode, Task
from ..learn.loss import Learner


def updating(network: Memory[Any]) -> Callable[[Episode], None]:
    """What makes one update by an episode, as a training does, at a learning rate of 0."""
    learner = Learner(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)

    def update(episode: Episode) -> None:
        read = (episode.inputs, None, episode.reset, episode.length, episode.targets, episode.weight)
        learner(*read).answers.backward()
        optimizer.step()
        optimizer.zero_grad()

    return update


def reading(network: Memory[Any]) -> Callable[[Episode], None]:
    """What makes a network read an episode, as one that is not trained by gradient does."""

    @torch.no_grad()
    def read(episode: Episode) -> None:
        network(episode.inputs, reset=episode.reset, length=episode.length)

    return read


def pace(task: Task, do: Callable[[Episode], None], batch: int, lengths: Sequence[int]) -> list[tuple[int, float]]:
    """Units and CPU seconds of what is done with an episode, such as an update, at each length but the first, which
    warms up; drawing is a part of it.
    """
    generator, found = torch.Generator().manual_seed(0), []
    for length in lengths:
        began = time.process_time()
        episode = task.episodes(batch, length, generator)
        do(episode)
        found.append((episode.units, max(time.process_time() - began, 1e-6)))
    return found[1:]
