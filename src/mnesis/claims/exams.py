"""What trained networks are asked: which answers are right, and how far numbers are off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from ..core.memory import Memory
from ..core.task import Task
from ..measure.intervals import share_interval
from .trials import Exam

CHUNK = 1024
"""Units read at a time in a test: the memory's state carries over, so a test of any length fits."""
TEST_SEED = 1_000_000_007
"""Of all test sets, far from the seeds of training; every model answers the same questions."""


@dataclass(frozen=True)
class AnswerExam(Exam):
    """Questions of the task that was trained on.

    Args:
        length: of the test sequences, in the task's unit.
        rows: how many sequences.
        whole: a sequence counts as one answer, right if all of it is; else every target counts.
        batch: sequences read side by side.
    """

    length: int
    rows: int
    whole: bool = True
    batch: int = 100

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        return share(answers(network, task, self))


@torch.no_grad()
def answers(network: Memory[Any], task: Task, exam: AnswerExam) -> Bool[Tensor, "R A"]:
    """Which answers are right: A a sequence, 1 where the whole sequence counts as one."""
    device = next(network.parameters()).device
    generator, parts = torch.Generator().manual_seed(TEST_SEED), []
    body, readout = network.eval().parts()
    for start in range(0, exam.rows, exam.batch):
        rows = min(exam.batch, exam.rows - start)
        episode, state = task.episodes(rows, exam.length, generator), None
        asked = episode.weight > 0
        right = torch.zeros_like(asked)
        for chunk in torch.arange(asked.shape[1]).split(CHUNK):
            here = slice(int(chunk[0]), int(chunk[-1]) + 1)
            reset = None if episode.reset is None else episode.reset[:, here].to(device)
            y, state = body(episode.inputs[:, here].to(device), state, reset=reset)
            said = readout(y[asked[:, here].to(device)]).argmax(-1).cpu()
            right[:, here][asked[:, here]] = said == episode.targets[:, here][asked[:, here]]
        parts.append(right[asked].view(rows, -1))
    right = torch.cat(parts)
    return right.all(1, keepdim=True) if exam.whole else right


def share(right: Bool[Tensor, "R A"]) -> dict[str, Any]:
    """Accuracy with its 95 % interval; answers of one sequence are not taken for independent."""
    rows, each = right.shape
    clusters = np.repeat(np.arange(rows), each).tolist()
    low, high = share_interval(right.flatten().tolist(), clusters)
    return {"accuracy": right.double().mean().item(), "interval": [low, high], "answers": rows * each, "samples": rows}


def mean_square(targets: Tensor) -> Tensor:
    """The variance of targets whose mean is known to be 0."""
    return targets.square().mean()


@torch.no_grad()
def unexplained(
    network: Memory[Any], task: Task, rows: int, units: int, variance: Callable[[Tensor], Tensor] = torch.var
) -> float:
    """The squared error on unseen sequences as a share of the targets' variance.

    Args:
        network: that answers.
        task: whose targets are numbers.
        rows: how many sequences.
        units: of each.
        variance: of the targets.
    """
    episode = task.episodes(rows, units, torch.Generator().manual_seed(TEST_SEED))
    y, _ = network.eval()(episode.inputs)
    return float(F.mse_loss(y, episode.targets) / variance(episode.targets))
