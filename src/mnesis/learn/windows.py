"""Drawing episodes and cutting them into windows of truncated back-propagation."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.state import leaves, tree_map
from ..core.task import Episode, Forks, Task
from .loss import Forked
from .recipe import Stage


class Window(NamedTuple):
    """Consecutive units of an episode: this process's rows of them, and what the whole batch holds there."""

    x: Any
    reset: Bool[Tensor, "B T"] | None
    length: Int[Tensor, " B"] | None
    targets: Tensor
    weight: Float[Tensor, "B T"]
    forks: Forked | None
    """Asked at the window's end."""
    total_weight: float
    """Weight of all targets asked, over the whole batch."""
    total_asked: int
    """Targets asked, over the whole batch."""
    total_units: int
    """Real units, over the whole batch."""

    def on(self, device: torch.device) -> tuple[Any, Tensor | None, Tensor | None, Tensor, Tensor, Forked | None]:
        """Input, resets, lengths, targets, weights and forks on a device."""
        reset = None if self.reset is None else self.reset.to(device)
        length = None if self.length is None else self.length.to(device)
        x = tree_map(lambda leaf: leaf.to(device), self.x)
        forks = None if self.forks is None else Forked(*(leaf.to(device) for leaf in self.forks))
        return x, reset, length, self.targets.to(device), self.weight.to(device), forks


def draw(task: Task, stage: Stage, generator: torch.Generator) -> tuple[int, Episode]:
    """Draw a length and an episode of it.

    Returns:
        The length in the task's own unit, and the episode, its weights 0 beyond each row's real units and its time cut
        after the longest row.

    Raises:
        ValueError: the task drew shapes that do not fit one another or the stage.
    """
    low, high = stage.lengths
    length = low if low == high else int(torch.randint(low, high + 1, (), generator=generator))
    episode = task.episodes(stage.batch, length, generator)
    if not isinstance(episode, Episode):
        raise ValueError(
            f"{type(task).__name__} drew a {type(episode).__name__}; return mnesis.Episode(inputs, targets, weight)"
        )
    batch, time = leaves(episode.inputs)[0].shape[:2]
    if batch != stage.batch:
        raise ValueError(
            f"{type(task).__name__} drew {batch} rows where the stage asks for {stage.batch}; mend the task"
        )
    for name, leaf in (("targets", episode.targets), ("weight", episode.weight)):
        if tuple(leaf.shape[:2]) != (batch, time):
            raise ValueError(
                f"{type(task).__name__} drew {name} of shape {list(leaf.shape)} beside inputs of [{batch}, {time}, ...]"
                "; give one target and one weight a unit"
            )
    if not bool((episode.weight.isfinite() & (episode.weight >= 0)).all()):
        raise ValueError(
            f"{type(task).__name__} drew a weight that is negative or no number; give 0 where nothing is asked"
        )
    if episode.length is None:
        return length, episode
    longest = max(1, int(episode.length.max()))
    real = torch.arange(time, device=episode.weight.device)[None] < episode.length[:, None]
    return length, Episode(
        tree_map(lambda leaf: leaf[:, :longest], episode.inputs),
        episode.targets[:, :longest],
        (episode.weight * real)[:, :longest],
        None if episode.reset is None else episode.reset[:, :longest],
        episode.length,
        episode.forks,
    )


def cut(episode: Episode, truncation: int | None, rows: slice) -> list[Window]:
    """The windows of an episode in order, each with these rows alone."""
    time = episode.weight.shape[1]
    size = truncation or time
    if episode.forks is not None and episode.forks.every != size:
        raise ValueError(
            f"the episode asks forks every {episode.forks.every} units and windows end every {size}; "
            f"set truncation={episode.forks.every}"
        )
    return [_window(episode, start, min(start + size, time), rows) for start in range(0, time, size)]


def _window(episode: Episode, start: int, stop: int, rows: slice) -> Window:
    weight, length, reset = episode.weight[:, start:stop].float(), None, None
    units = weight.numel()
    if episode.length is not None:
        length = (episode.length - start).clamp(0, stop - start)
        units = int(length.sum())
        # Full rows and windows without resets take the memory's short way; each process looks at its own rows.
        length = length[rows] if bool((length[rows] < stop - start).any()) else None
    if episode.reset is not None:
        flags = episode.reset[rows, start:stop]
        reset = flags if bool(flags.any()) else None
    forks, forks_weight = _forks(episode.forks, stop, rows)
    return Window(
        tree_map(lambda leaf: leaf[rows, start:stop], episode.inputs),
        reset,
        length,
        episode.targets[rows, start:stop],
        weight[rows],
        forks,
        float(weight.double().sum() + forks_weight.double().sum()),
        int((weight > 0).sum() + (forks_weight > 0).sum()),
        units,
    )


def _forks(forks: Forks | None, stop: int, rows: slice) -> tuple[Forked | None, Float[Tensor, "B K P"]]:
    """This process's questions at the end of a window, and the weight of everybody's."""
    if forks is None or stop % forks.every or stop // forks.every > len(forks.weight):
        return None, torch.zeros(0, 0, 0)
    number = stop // forks.every - 1
    inputs, targets, weight = (tensor[number] for tensor in forks[1:])
    row, question = (weight[rows] > 0).any(-1).nonzero(as_tuple=True)
    if not len(row):
        return None, weight
    own = (tensor[rows][row, question] for tensor in (inputs, targets, weight))
    return Forked(row, *own), weight
