"""Trying a memory on a task before a training begins: what does not fit is told in one sentence, nothing is left."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..core.domain import shown
from ..core.memory import Memory
from ..core.reason import reason_for
from ..core.task import Episode, Task
from .loss import Learner
from .recipe import Recipe, Stage
from .windows import cut, draw

_ROWS = 3
"""Two would let a scan pass that returns its outputs alone: they can be taken apart like (y, state)."""


def try_out(memory: Memory[Any], task: Task, recipe: Recipe) -> None:
    """Draw an episode of each length that ends a stage, and read it with a gradient; weights stay as they are.

    Args:
        memory: that is to be trained.
        task: that it is to be trained on, by somebody who may have made mistakes.
        recipe: whose stages it would go through.

    Raises:
        ValueError: what the task draws is no episode of its vocabulary or features, or the two do not fit one another;
            one sentence, with the file and the line of somebody's own class that raised something.
    """
    was_training = memory.training
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        for stage in recipe.stages:
            for length in dict.fromkeys(stage.lengths):
                episode = drawn(task, length, min(_ROWS, stage.batch))
                _read(memory.train(), task, stage, episode)
    memory.train(was_training)
    memory.zero_grad()


def drawn(task: Task, length: int, rows: int) -> Episode:
    """An episode, examined.

    Raises:
        ValueError: as :func:`try_out`.
    """
    name, generator = type(task).__name__, torch.Generator().manual_seed(0)
    try:
        _, episode = draw(task, Stage(length, rows, 1), generator)
    except ValueError as error:
        raise ValueError(_told(error, f"{name} draws nothing of length {length}: ")) from error
    except Exception as error:
        raise ValueError(f"{name} cannot draw length {length}: {reason_for(error)}; mend it there") from error
    _examine(task, episode)
    return episode


def _told(error: ValueError, before: str) -> str:
    """A sentence of ours as it is; of anything else, where it was raised."""
    text = str(error)
    return text if "; " in text else f"{before}{reason_for(error)}; mend it there"


def _examine(task: Task, episode: Episode) -> None:
    name, inputs, targets = type(task).__name__, episode.inputs, episode.targets
    asked = episode.weight > 0
    if task.features:
        if not inputs.is_floating_point() or inputs.shape[2:] != (task.features,):
            raise ValueError(
                f"{name} draws inputs of {_kind(inputs)} where features={task.features}; draw numbers [batch, time, "
                f"{task.features}]"
            )
    else:
        _ids(name, "inputs", inputs, task.vocabulary)
    if targets.is_floating_point():
        if task.target_features and targets.shape[2:] != (task.target_features,):
            raise ValueError(
                f"{name} draws targets of {_kind(targets)} where target_features={task.target_features}; draw numbers "
                f"[batch, time, {task.target_features}]"
            )
    else:
        _ids(name, "targets", targets[asked], task.vocabulary)


def _ids(name: str, what: str, ids: torch.Tensor, vocabulary: int) -> None:
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise ValueError(f"{name} draws {what} of {_kind(ids)}; draw token ids, torch.long")
    if ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < vocabulary):
        bad = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise ValueError(
            f"{name} draws {what} with the id {shown(bad)} where its vocabulary is {vocabulary}; draw 0 to "
            f"{vocabulary - 1}, or set a larger vocabulary"
        )


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _read(memory: Memory[Any], task: Task, stage: Stage, episode: Episode) -> None:
    """The first window of an update, there and back."""
    window = cut(episode, stage.truncation, slice(None))[0]
    place = torch.device("cpu") if (first := next(memory.parameters(), None)) is None else first.device
    x, reset, length, targets, weight, forks = window.on(place)
    try:
        result = Learner(memory)(x, None, reset, length, targets, weight, forks)
        loss = float(result.answers.detach())
        if result.answers.requires_grad:
            result.answers.backward()
    except ValueError as error:
        raise ValueError(_told(error, f"{type(memory).__name__} cannot read {type(task).__name__}: ")) from error
    except Exception as error:
        raise ValueError(
            f"{type(memory).__name__} cannot read {type(task).__name__}: {reason_for(error)}; mend it there"
        ) from error
    if not math.isfinite(loss):
        raise ValueError(
            f"{type(memory).__name__} answers {type(task).__name__} with a loss of {loss} before it is trained; keep "
            "its outputs finite"
        )
