"""Training a memory on any task: everything is examined first, then it trains in the folder of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..core.catalog import card, create_task
from ..core.files import write_json
from ..core.folders import alone
from ..core.machine import fast_products, prepare, width
from ..core.memory import Memory
from ..core.reason import reason_for
from ..core.specification import task_specification
from ..core.task import Task
from ..learn import Recipe, Stage, Training, Validation, fit
from ..learn import folder as folders
from ..learn.trial import drawn, try_out
from ..measure.metering.scores import Examined, examine_lengths
from ..nets.for_task import network_for, usual_heads
from .options import parse_budget
from .runs import THREADS, kept_threads

WARM_UP = 100
"""Updates at most, and a tenth of all."""


@dataclass(frozen=True)
class Design:
    """What is trained, and how."""

    memory: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dim: int = 64
    depth: int = 2
    hidden: int | None = None
    convolution: int | None = 4
    length: int | tuple[int, int] = 1
    batch: int = 32
    budget: str = "tokens=1M"
    rate: float = 3e-3
    seed: int = 0

    def network(self, task: Task) -> Memory[Any]:
        """With fresh weights, which the seed draws."""
        torch.manual_seed(self.seed)
        options = usual_heads(self.memory, self.dim, self.options)
        return network_for(
            task,
            self.memory,
            dim=self.dim,
            depth=self.depth,
            hidden=self.hidden,
            convolution=self.convolution,
            options=options,
        )

    def recipe(self, task: Task) -> Recipe:
        """As many updates as the budget allows.

        Raises:
            ValueError: it does not suffice for one.
        """
        kind, amount = parse_budget(self.budget)
        steps = amount
        if kind == "tokens":
            each = _units(task, self.length) * self.batch
            steps = int(amount / each)
            if steps < 1:
                raise ValueError(
                    f"a budget of {amount:,} tokens does not suffice for one update of {self.batch} rows "
                    f"({each:,.0f} units); raise it, or give a smaller --batch"
                )
        stage = Stage(self.length, self.batch, steps)
        warm_up = min(WARM_UP, steps // 10)
        return Recipe((stage,), learning_rate=self.rate, warm_up=warm_up, seed=self.seed, save_every=200)


def open_task(name: str, options: Mapping[str, Any]) -> Task:
    """A task of the catalog or of somebody's own.

    Raises:
        ValueError: options that it does not take, or what somebody's own class raised, with file and line.
    """
    try:
        return create_task(name, **options)
    except (ValueError, OSError):
        raise
    except Exception as error:
        raise ValueError(f"{name} cannot be made: {reason_for(error)}; mend it there") from error


def train_on(
    name: str,
    task: Task,
    design: Design,
    folder: Path,
    **how: Any,
) -> tuple[Memory[Any], Training]:
    """Train, or go on where a training stopped, with as many threads as it began with unless told otherwise.

    Args:
        name: of the task, as it was given.
        task: itself.
        design: what is trained, and how.
        folder: of the run.
        how: threads, overwrite, progress and trackers, as :func:`fit_alone` takes them.

    Raises:
        ValueError: what cannot be trained, or a folder that holds something else. Nothing is left of what is refused.
    """
    if card("memories", design.memory).search:
        raise ValueError(
            f"{design.memory} is not trained by gradient; mnesis compare {name} --memories {design.memory} solves for "
            "what reads it"
        )
    task_specification(task)  # one that the folder could not name would never be opened again
    network, recipe = design.network(task), design.recipe(task)
    return network, fit_alone(network, task, recipe, folder, first=partial(try_out, network, task, recipe), **how)


def fit_alone(
    network: Memory[Any],
    task: Task,
    recipe: Recipe,
    folder: Path,
    *,
    first: Callable[[], object] = lambda: None,
    validation: Validation | None = None,
    config: Mapping[str, Any] | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    trackers: Sequence[str] = (),
) -> Training:
    """Train a network in a folder that no other command trains in, with as many threads as it began with.

    Args:
        network: with fresh weights.
        task: that it is trained on.
        recipe: how.
        folder: of the run.
        first: what is tried once the folder is known to be fit for the run, and before anything is written.
        validation: as :func:`mnesis.learn.fit` takes it.
        config: what else describes the run.
        threads: of the processor; None = as it began, or as many as are free, at most two.
        overwrite: replace a run that stands in the folder.
        progress: a bar.
        trackers: of accelerate.

    Raises:
        ValueError: what cannot be trained, or a folder that holds something else. Nothing is left of what is refused.
    """
    described = folders.describe(network, task, recipe, config, validation)
    folders.examine(folder, described, network, overwrite=overwrite)
    first()
    with alone(folder, THREADS, name="train") if os.environ.get("RANK", "0") == "0" else nullcontext():
        count = prepare(threads or kept_threads(folder))
        begun = (folder / THREADS).exists()
        write_json(folder / THREADS, count, indent=None)
        how: dict[str, Any] = {"overwrite": overwrite, "progress": progress, "trackers": trackers}
        try:
            with fast_products(width(network)):
                return fit(network, task, recipe, folder, validation=validation, config=config, **how)
        except ValueError:
            if not (begun or folders.is_run(folder)):
                (folder / THREADS).unlink(missing_ok=True)
            raise


def learned(
    network: Memory[Any], task: Task, longest: int, folder: Path, *, overwrite: bool, progress: bool
) -> Examined | None:
    """What a network holds at the longest trained length, on sequences that it has not seen; None in a launcher.

    It is kept in the folder, where ``mnesis evaluate`` finds it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # its weights may be spread over processes
        return None
    about = {"task": task_specification(task).as_json()}
    return examine_lengths(
        network, task.unseen("test"), [longest], folder=folder, about=about, overwrite=overwrite, progress=progress
    )[0]


def _units(task: Task, length: int | tuple[int, int]) -> float:
    """Of a sequence, on average over the lengths that are drawn."""
    low, high = (length, length) if isinstance(length, int) else length
    lengths = sorted({low + (high - low) * step // 15 for step in range(16)})
    return sum(drawn(task, each, rows=4).units / 4 for each in lengths) / len(lengths)
