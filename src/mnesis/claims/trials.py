"""Claims about trained networks: trials of several phases, and the exams after them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import torch

from ..core.files import read_json, write_json
from ..core.folders import clear_leftovers, is_ours, remove_empty
from ..core.machine import end_with_parent, fast_products, prepare, width
from ..core.made_by import made_by, told
from ..core.memory import Memory
from ..core.run_files import read_metrics
from ..core.task import Task
from ..learn import Recipe, Stage, Validation, fit
from .claim import Claim, Scale, Stopped, Work

_MEND = "remove it to measure it anew, or give another --folder"


class _Taken(TypedDict):
    """What the file of a phase's exams says."""

    asked: list[dict[str, Any]]
    points: list[dict[str, Any]]


@dataclass(frozen=True)
class Exam(ABC):
    """What is asked of a trained network; its fields say all of it, as plain values.

    Args:
        at: where the point stands on the horizontal axis.
    """

    at: int

    @abstractmethod
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        """The figures of one point, as plain values."""


@dataclass(frozen=True)
class Phase:
    """A training in a folder of its own, and the exams after it.

    Args:
        name: of the folder.
        build: makes the network; the weights of the phase before are loaded into it. It must be picklable.
        task: what to train and to test on.
        recipe: how to train.
        exams: taken by the network as this phase leaves it.
        validation: looked at during the training.
    """

    name: str
    build: Callable[[], Memory[Any]]
    task: Task
    recipe: Recipe
    exams: tuple[Exam, ...] = ()
    validation: Validation | None = None


@dataclass(frozen=True)
class Trial:
    """One model trained from one seed, phase after phase.

    Args:
        model: its name.
        seed: of weights and training.
        phases: in order.
        about: what else describes the training, as plain values.
        size: where trials of a model differ in one number, that number; points have the name of the model alone.
    """

    model: str
    seed: int
    phases: tuple[Phase, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None

    @property
    def name(self) -> str:
        """Of the model and its size."""
        return self.model if self.size is None else f"{self.model}, {self.size}"


def phase(
    name: str,
    seed: int,
    build: Callable[[], Memory[Any]],
    task: Task,
    stages: tuple[Stage, ...],
    exams: tuple[Exam, ...] = (),
    *,
    validation: Validation | None = None,
    rate: float = 3e-3,
    warm_up: int = 50,
    **recipe: Any,
) -> Phase:
    """A phase by its recipe.

    Args:
        name, build, task, exams, validation: of the :class:`Phase`.
        seed, stages, warm_up, recipe: arguments of :class:`mnesis.learn.Recipe`.
        rate: of learning.
    """
    how = Recipe(stages, learning_rate=rate, warm_up=warm_up, seed=seed, **recipe)
    return Phase(name, build, task, how, exams, validation)


def trained(
    model: str,
    seed: int,
    build: Callable[[], Memory[Any]],
    task: Task,
    stages: tuple[Stage, ...],
    exams: tuple[Exam, ...] = (),
    *,
    about: Mapping[str, Any] | None = None,
    size: int | None = None,
    **training: Any,
) -> Trial:
    """A network that is trained once, and asked then.

    Args:
        model, seed, about, size: of the :class:`Trial`.
        build, task, stages, exams, training: of its :func:`phase`.
    """
    return Trial(model, seed, (phase("training", seed, build, task, stages, exams, **training),), about or {}, size)


class TrainedClaim(Claim):
    """A claim whose figures come from trials: ``points``, one a trial and exam, and ``trainings``, one a phase.

    Of a phase with a validation these hold its figures over the training.
    """

    @abstractmethod
    def trials(self, scale: Scale) -> list[Trial]:
        """What is trained and tested, the most expensive first."""

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        trials, overwrite = self.trials(scale), work.overwrite
        if work.workers > 1:
            self._in_parallel(scale, work._replace(workers=min(work.workers, len(trials))))
            overwrite = False  # what the workers left is read back
        parts = [
            self._attempt(trial, work._replace(overwrite=overwrite), f"{place} of {len(trials)}")
            for place, trial in enumerate(trials, 1)
        ]
        return {
            "points": [point for part in parts for point in part["points"]],
            "trainings": [training for part in parts for training in part["trainings"]],
        }

    def _attempt(self, trial: Trial, work: Work, place: str) -> dict[str, list[dict[str, Any]]]:
        """Train and test one trial, whose place among all is told; its points are kept beside its weights."""
        label, network = {"model": trial.name, "seed": trial.seed}, None
        points, trainings = [], []
        for phase in trial.phases:
            own = work.folder / f"{trial.name.replace(' ', '-')}-{trial.seed}" / phase.name
            kept = own / "exams" / f"{self.name}.json"
            if work.progress and not kept.exists():
                print(f"{place}: {trial.name}, seed {trial.seed}: {phase.name}", file=sys.stderr)
            weights = None if network is None else network.state_dict()
            torch.manual_seed(trial.seed)
            network = phase.build()
            if weights is not None:
                network.load_state_dict(weights)
            if work.overwrite:  # of every claim of the study: other weights will stand here
                for file in kept.parent.glob("*.json"):
                    if is_ours(file, _Taken):
                        file.unlink()
                remove_empty(kept.parent)
            made = made_by(network)
            with fast_products(width(network)):
                result = fit(
                    network,
                    phase.task,
                    phase.recipe,
                    own,
                    validation=phase.validation,
                    config={"study": self.study, **label, "phase": phase.name, **trial.about, **told(network)},
                    overwrite=work.overwrite,
                    progress=work.progress,
                    trackers=work.trackers,
                )
                if not result.finished:
                    raise Stopped(result.signal or 0)
                tested = _tested(network, phase, kept)
            spent = {"updates": result.updates, "units": result.units, "seconds": round(result.seconds, 1)}
            chosen = {} if result.best is None else {"chosen": result.best.update}
            watched = {} if phase.validation is None else {"validation": _watched(own)}
            found = {"accuracy": result.accuracy, **chosen, **watched, "made_by": made}
            trainings.append({**label, "phase": phase.name, **spent, **found})
            points += [{**label, "model": trial.model, **point} for point in tested]
        return {"points": points, "trainings": trainings}

    def _in_parallel(self, scale: Scale, work: Work) -> None:
        """Let processes fill the trials' folders. What one of them fails at, ``measure`` meets again and reports."""
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        for index in [*range(len(self.trials(scale))), *[None] * work.workers]:
            queue.put(index)
        arguments = (self, scale, work, queue)
        processes = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(work.workers)]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join()
        except BaseException:
            for process in processes:
                process.terminate()  # ends the training after its present update, with a checkpoint
            for process in processes:
                process.join()
            raise
        stopped = [process.exitcode - 128 for process in processes if process.exitcode and process.exitcode > 128]
        if stopped:
            raise Stopped(stopped[0])


def _work(claim: TrainedClaim, scale: Scale, work: Work, queue: Any) -> None:
    end_with_parent()
    prepare(1)
    trials = claim.trials(scale)
    try:
        while (index := queue.get()) is not None:
            claim._attempt(trials[index], work, f"{index + 1} of {len(trials)}")
    except Stopped as stop:
        os._exit(128 + stop.number)
    except KeyboardInterrupt:  # between two trainings
        os._exit(128 + signal.SIGINT)


def _watched(folder: Path) -> list[dict[str, Any]]:
    """The validation's figures over a training."""
    lines = read_metrics(folder, mend=_MEND)
    return [{"update": line["update"], **line["validation"]} for line in lines if "validation" in line]


def _tested(network: Memory[Any], phase: Phase, kept: Path) -> list[dict[str, Any]]:
    """The points of a phase's exams, read back where the same exams were taken before."""
    asked = json.loads(json.dumps([asdict(exam) for exam in phase.exams]))
    if kept.exists():
        earlier: _Taken = read_json(kept, _Taken, mend=_MEND, finite=False)
        if earlier["asked"] == asked:
            return earlier["points"]
    points = []
    for exam in phase.exams:
        began = time.monotonic()
        found = exam.take(network, phase.task)
        points.append({"at": exam.at, **found, "seconds": round(time.monotonic() - began, 1)})
    clear_leftovers(kept)
    write_json(kept, {"asked": asked, "points": points}, indent=None, finite=False)
    return points
