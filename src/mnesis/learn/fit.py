"""Training a memory on a task: windows of truncated back-propagation, curricula, exact resumption, many processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.tracking import GeneralTracker
from accelerate.utils import DistributedType

from ..core.domain import Count, Share
from ..core.files import read_json, write_json
from ..core.machine import products_kept
from ..core.memory import Memory
from ..core.run_files import Amount
from ..core.task import Task
from . import checkpoint
from . import folder as folders
from .journal import Journal
from .loss import Learner
from .position import Best, BrokeDown, Position, StageResult
from .recipe import Recipe
from .signals import StopSignals
from .trackers import flattened, require_trackers, run_names
from .trainer import Trainer
from .validation import Validation


@dataclass(frozen=True)
class Training:
    """What ``fit`` leaves."""

    folder: Path
    finished: bool
    """False: a signal stopped it; the same call goes on from there."""
    signal: int | None
    """The number of that signal; programs exit with 128 + signal, by custom."""
    updates: int
    units: int
    """Units read, over all rows."""
    seconds: float
    """Of training, over all sittings."""
    loss: float | None
    """Running loss at the end (see ``Stage.promote`` for what it runs over)."""
    accuracy: float | None
    """Running accuracy at the end; None where targets are numbers."""
    stages: tuple[StageResult, ...]
    best: Best | None = None
    """Which weights these are, where they were chosen by a validation."""


def fit(
    memory: Memory[Any],
    task: Task,
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    validation: Validation | None = None,
    config: Mapping[str, Any] | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool | Callable[[int, int], object] = True,
    trackers: Sequence[str | GeneralTracker] = (),
) -> Training:
    """Train a memory (a whole network is one) in a folder.

    The folder holds config.json (config, recipe, and what the memory and the task are, by name, so that
    ``mnesis.nets.load`` and ``mnesis evaluate`` need no more to open the run), metrics.jsonl (see
    :class:`~mnesis.learn.journal.Journal`), the latest checkpoint, and in the end model.safetensors and training.json.
    Called again, ``fit`` continues from the checkpoint, with the same weights bit for bit on the CPU as without the
    interruption; a finished run is read back and not trained again. Either way ``memory`` holds the trained weights.

    Under torchrun or ``accelerate launch`` the processes share each batch: every one draws the whole of it and takes
    its rows. Losses are divided by the weight of all targets of the update, whoever holds them, so the gradients are
    those of one process with the whole batch. FSDP (version 2) leaves the memory's parameters sharded.

    SIGINT and SIGTERM end training after the present update, with a checkpoint; a second SIGINT aborts at once. Global
    random generators are seeded from the recipe and restored. Threads are the caller's business; which matrix products
    a processor takes (``torch.set_float32_matmul_precision``) too, when a training begins: what goes on keeps them.

    Args:
        memory: what to train; it is moved to the device that accelerate chooses (``ACCELERATE_USE_CPU=1`` keeps it).
        task: what to train it on.
        recipe: how.
        folder: of the run; made if missing. Several processes must see the same one.
        validation: looked at now and then; it may choose the weights that the training ends with.
        config: what else describes the run, as plain JSON; a run is continued only under the config it began with.
        resume: continue an existing run; False refuses one.
        overwrite: discard an existing run, whatever it is, and start anew; files that no training wrote stay.
        progress: a progress bar, or a plain line now and then where there is no terminal; or what is called after every
            update with how many are made, and how many there are.
        trackers: accelerate's names ("tensorboard", "wandb", "trackio", ...) or its tracker objects.

    Raises:
        ValueError: the folder holds a run that must not be continued, half a run, or one of another config, or another
            process trains in it; the task's episodes do not fit the memory or ask nothing; the message names the mend.
        FloatingPointError: the loss or the gradient is not a finite number; the last checkpoint stays.
    """
    folder = Path(folder)
    require_trackers(trackers)
    description = folders.describe(memory, task, recipe, config, validation)
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    # Autocast is opened in Learner: accelerate's own would turn the states' bfloat16 leaves into float32.
    accelerator = Accelerator(
        mixed_precision="no", log_with=list(trackers) or None, project_dir=folder, kwargs_handlers=[ddp]
    )
    how = {"resume": resume, "overwrite": overwrite}
    standing = folders.examine(folder, description, memory, **how)
    _check_processes(accelerator, recipe)
    if standing == "finished":
        return _read_back(folder, memory, accelerator)
    accelerator.wait_for_everyone()
    with folders.alone(folder) if accelerator.is_main_process else nullcontext():
        accelerator.wait_for_everyone()
        standing = folders.examine(folder, description, memory, **how)  # nobody else writes from here on
        if standing == "finished":
            return _read_back(folder, memory, accelerator)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            folders.prepare(folder, description, standing)
            if progress and "model" not in description:
                print(
                    f"{type(memory).__name__} was built from objects or in a script, so this program alone can open "
                    f"{folder}; build it from names, and mnesis evaluate can",
                    file=sys.stderr,
                )
        accelerator.wait_for_everyone()
        with _nothing_left(folder, accelerator) if standing == "new" else nullcontext():
            return _train(
                memory,
                task,
                recipe,
                folder,
                accelerator,
                description,
                trackers,
                validation,
                resume=standing == "begun",
                show=progress,
            )


def _read_back(folder: Path, memory: Memory[Any], accelerator: Accelerator) -> Training:
    """A finished run's weights, and what is known of it."""
    result = read_result(folder)
    checkpoint.load_model(folder / folders.WEIGHTS, memory)
    if accelerator.is_main_process and folders.is_stale(folder):
        with suppress(ValueError), folders.alone(folder):  # whoever may write here
            checkpoint.clear(folder)
            folders.clear_stale(folder)
    return result


@contextmanager
def _nothing_left(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """Remove what a training wrote that was refused before its first update."""
    try:
        yield
    except ValueError as error:
        last = checkpoint.latest(folder)
        begun = isinstance(error, BrokeDown) or last not in (None, checkpoint.at(folder, 0))
        if accelerator.is_main_process and not begun:
            folders.clear(folder)
        raise


def _train(
    memory: Memory[Any],
    task: Task,
    recipe: Recipe,
    folder: Path,
    accelerator: Accelerator,
    description: dict[str, Any],
    trackers: Sequence[str | GeneralTracker],
    validation: Validation | None,
    *,
    resume: bool,
    show: bool | Callable[[int, int], object],
) -> Training:
    was_training = memory.training
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), products_kept(), StopSignals() as signals:
            torch.manual_seed(recipe.seed + accelerator.process_index)
            trainer = _trainer(memory, task, recipe, folder, accelerator, validation, show)
            _start_trackers(accelerator, trackers, folder, description)
            stopped = trainer.run(signals, resume=resume)
    finally:
        memory.train(was_training)
        for tracker in accelerator.trackers:
            tracker.finish()
    result = _result(folder, trainer.position, stopped)
    if result.finished:
        _finish(folder, accelerator, memory, result)
    return result


def _trainer(
    memory: Memory[Any],
    task: Task,
    recipe: Recipe,
    folder: Path,
    accelerator: Accelerator,
    validation: Validation | None,
    progress: bool | Callable[[int, int], object],
) -> Trainer:
    autocast = torch.bfloat16 if recipe.precision == "bfloat16" else None
    trained = [parameter for parameter in memory.parameters() if parameter.requires_grad]
    if not any(parameter.numel() for parameter in trained):
        raise ValueError(
            f"{type(memory).__name__} has no parameter that takes a gradient; give one that can be trained"
        )
    groups = [
        {"params": [p for p in trained if _decays(p)], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if not _decays(p)], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas)
    learner, prepared = accelerator.prepare(Learner(memory, autocast=autocast), optimiser)
    journal = Journal(folder, accelerator, recipe, progress=progress)
    return Trainer(learner, memory, prepared.optimizer, task, recipe, folder, accelerator, journal, validation)


def _decays(parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim >= 2 and not getattr(parameter, "no_weight_decay", False)


def _check_processes(accelerator: Accelerator, recipe: Recipe) -> None:
    world = accelerator.num_processes
    if (smallest := min(stage.batch for stage in recipe.stages)) < world:
        raise ValueError(
            f"a batch of {smallest} rows cannot be shared by {world} processes; give batch={world} or more"
        )
    if accelerator.distributed_type == DistributedType.FSDP and not accelerator.is_fsdp2:
        raise ValueError("FSDP version 1 flattens parameters out of sight; launch with --fsdp_version 2")


def _start_trackers(
    accelerator: Accelerator, trackers: Sequence[str | GeneralTracker], folder: Path, description: dict[str, Any]
) -> None:
    if not trackers:
        return
    accelerator.init_trackers("mnesis", config=flattened(description), init_kwargs=run_names(folder))
    if accelerator.is_main_process and len(accelerator.trackers) < len(trackers):
        raise ValueError(f"not all of trackers={list(trackers)} could be started; leave out the one that cannot")


def _finish(folder: Path, accelerator: Accelerator, memory: Memory[Any], result: Training) -> None:
    """Final weights first, then the file that says so; only then the checkpoint goes."""
    if result.best is not None:
        accelerator.wait_for_everyone()
        checkpoint.load_model(checkpoint.best(folder, result.best.update), memory)
    tensors = checkpoint.model_tensors(memory)
    if accelerator.is_main_process:
        checkpoint.write_model(folder / folders.WEIGHTS, tensors)
        write_result(result)
        checkpoint.clear(folder)
    accelerator.wait_for_everyone()


def write_result(result: Training) -> None:
    """Write the file that says that a run is finished; its weights must stand there already."""
    values = asdict(result)
    write_json(result.folder / folders.TRAINING, {field.name: values[field.name] for field in fields(_Kept)})


@dataclass(frozen=True)
class _Kept:
    """What training.json says."""

    updates: Count
    units: Count
    seconds: Amount
    loss: float | None
    accuracy: Share | None
    stages: tuple[StageResult, ...]
    best: Best | None = None


def _result(folder: Path, position: Position, stopped: int | None) -> Training:
    last = position.stages[-1] if position.stages and not position.recent else None
    loss = last.loss if last else position.running_loss
    accuracy = last.accuracy if last else position.running_accuracy
    finished = stopped is None
    stages = tuple(position.stages)
    return Training(
        folder,
        finished,
        stopped,
        position.update,
        position.units,
        position.seconds,
        loss,
        accuracy,
        stages,
        position.best,
    )


def read_result(folder: Path) -> Training:
    """What a finished run left."""
    kept: _Kept = read_json(folder / folders.TRAINING, _Kept, mend=checkpoint.MEND)
    return Training(folder=folder, finished=True, signal=None, **vars(kept))
