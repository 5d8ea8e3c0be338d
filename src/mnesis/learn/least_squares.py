"""Fitting nothing but a linear readout, in one pass and without gradients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..core.memory import Memory
from ..core.task import Task
from . import checkpoint
from . import folder as folders
from .fit import Training, read_result, write_result
from .recipe import Recipe
from .windows import draw

SCALES = 2.0 ** torch.arange(-4, 8.25, 0.25)
"""What answers in ids may be multiplied by."""


@torch.no_grad()
def fit_readout(
    memory: Memory[Any],
    task: Task,
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    ridge: float = 1e-6,
    config: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Training:
    """Solve for the readout of a network by least squares; everything before it stays as it was drawn.

    It reads the same episodes as :func:`~mnesis.learn.fit.fit` does with the same recipe, each once, and accumulates in
    float64. Targets in ids are ones and zeros; what is answered is then multiplied by the number that makes its softmax
    give the right answers of the last episode the highest probability. The folder holds what a run's does; a finished
    one is read back.

    Args:
        memory: a network whose ``parts`` are a body and a linear map.
        task: whose targets are fitted.
        recipe: stages and the seed count, rates do not.
        folder: of the run.
        ridge: penalty of large weights, as a share of the body's mean square.
        config: what else describes the run.
        progress: what is called after every episode with how many are read, and how many there are.

    Raises:
        ValueError: a network without a linear readout, or a folder that holds another run.
    """
    folder = Path(folder)
    body, readout = memory.parts()
    if not isinstance(readout, nn.Linear):
        raise ValueError(f"{type(memory).__name__} has no linear readout; give a network that ends in one")
    description = folders.describe(memory, task, recipe, {**(config or {}), "ridge": ridge})
    if folders.examine(folder, description, memory) == "finished":
        result = read_result(folder)
        checkpoint.load_model(folder / folders.WEIGHTS, memory)
        return result
    memory.eval()
    with folders.alone(folder):
        folders.prepare(folder, description, "new")
        began, units, read = time.process_time(), 0, 0
        updates = sum(stage.steps for stage in recipe.stages)
        width = readout.in_features + (readout.bias is not None)
        gram, moment = (torch.zeros(width, n, dtype=torch.float64) for n in (width, readout.out_features))
        features = targets = torch.empty(0)
        generator = torch.Generator().manual_seed(recipe.seed)
        for stage in recipe.stages:
            for _ in range(stage.steps):
                _, episode = draw(task, stage, generator)
                asked = episode.weight > 0
                features = _with_bias(body(episode.inputs, reset=episode.reset, length=episode.length)[0], readout)
                features, targets = features[asked].double(), episode.targets[asked]
                wanted = targets if targets.is_floating_point() else F.one_hot(targets, readout.out_features)
                gram += features.T @ features
                moment += features.T @ wanted.double().view(len(targets), -1)
                units, read = units + episode.units, read + 1
                if progress:
                    progress(read, updates)
        weight = _solve(gram, moment, ridge)
        if not targets.is_floating_point():
            weight = weight * _scale(features @ weight, targets)
        _set(readout, weight)
        result = Training(folder, True, None, updates, units, time.process_time() - began, None, None, ())
        checkpoint.write_model(folder / folders.WEIGHTS, checkpoint.model_tensors(memory))
        write_result(result)
    return result


def _with_bias(y: Tensor, readout: nn.Linear) -> Tensor:
    return y if readout.bias is None else F.pad(y, (0, 1), value=1.0)


def _solve(gram: Float[Tensor, "D D"], moment: Float[Tensor, "D E"], ridge: float) -> Float[Tensor, "D E"]:
    penalty = ridge * gram.diagonal().mean()
    return torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), moment)


def _scale(logits: Float[Tensor, "n E"], targets: Tensor) -> float:
    losses = torch.stack([F.cross_entropy(scale * logits, targets) for scale in SCALES])
    return float(SCALES[losses.argmin()])


def _set(readout: nn.Linear, weight: Float[Tensor, "D E"]) -> None:
    readout.weight.copy_(weight[: readout.in_features].T)
    if readout.bias is not None:
        readout.bias.copy_(weight[-1])
