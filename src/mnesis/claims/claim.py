"""What a claim is: one paper's statement as an experiment that trains, tests, and judges by a predicate."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import matplotlib
import numpy as np
import torch
from jaxtyping import Bool
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from rich.console import Console
from torch import Tensor

from ..core.memory import Memory
from ..core.state import atomic_path
from ..core.task import Task
from ..learn import Recipe, fit
from ..measure import figures as style
from ..measure.intervals import share_interval

Scale = Literal["smoke", "laptop", "full"]
Verdict = Literal["holds", "does not hold", "inconclusive"]

CHUNK = 1024
"""Units read at a time in a test: the memory's state carries over, so a test of any length fits."""
TEST_SEED = 1_000_000_007
"""Of all test sets, far from the seeds of training; every model answers the same questions."""


@dataclass(frozen=True)
class Exam:
    """One point of a curve: what is asked of a trained network.

    Args:
        at: where the point stands on the horizontal axis.
        length: of the test sequences, in the task's unit.
        rows: how many sequences.
        whole: a sequence counts as one answer, right if all of it is; else every target counts.
        batch: sequences read side by side.
    """

    at: int
    length: int
    rows: int
    whole: bool = True
    batch: int = 100


@dataclass(frozen=True)
class Phase:
    """A training in a folder of its own, and the exams after it.

    Args:
        name: of the folder.
        build: makes the network; the weights of the phase before are loaded into it. It must be picklable.
        task: what to train and to test on.
        recipe: how to train.
        exams: taken by the network as this phase leaves it.
    """

    name: str
    build: Callable[[], Memory[Any]]
    task: Task
    recipe: Recipe
    exams: tuple[Exam, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One model trained from one seed, phase after phase."""

    model: str
    seed: int
    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class Result:
    """What an experiment found."""

    claim: str
    paper: str
    scale: Scale
    verdict: Verdict | Literal["not judged"]
    predicate: str
    figures: dict[str, Any]
    """``unit`` and ``trained`` of the horizontal axis, ``chance``, ``points`` (one a model, seed and place) and
    ``trainings`` (one a model, seed and phase)."""
    seeds: tuple[int, ...]
    seconds: float
    """Wall time of this call; what it read back from earlier ones took longer (``figures["trainings"]``)."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seeds": list(self.seeds)}


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """A signal ended a training, its checkpoint is saved, and the same call goes on from there."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Claim(ABC):
    """One paper's statement as an experiment. A subclass says what is trained and tested, and judges.

    Scales: "smoke" runs in seconds and is not judged, "laptop" takes at most ten minutes on two cores, "full" follows
    the paper's sizes. All numbers that are judged are means over seeds.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    """Key into papers.json."""
    statement: ClassVar[str]
    predicate: ClassVar[str]
    """What the verdict depends on, thresholds included; fixed before the first judged run."""
    seeds: ClassVar[Mapping[Scale, tuple[int, ...]]] = {"smoke": (0,), "laptop": (0, 1), "full": (0, 1, 2)}
    unit: ClassVar[str]
    """What the horizontal axis counts."""

    @abstractmethod
    def trials(self, scale: Scale) -> list[Trial]:
        """What is trained and tested, the most expensive first."""

    @abstractmethod
    def trained(self, scale: Scale) -> int | None:
        """The largest place on the horizontal axis that training saw; None where every place has its own training."""

    @abstractmethod
    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        """Apply the predicate."""

    @final
    def run(
        self, scale: Scale, folder: Path, *, progress: bool = True, overwrite: bool = False, workers: int = 1
    ) -> Result:
        """Train, test, judge. Trainings that stand finished in the folder are read back, others are continued.

        Args:
            scale: smoke, laptop or full.
            folder: everything is kept below ``folder/scale``; result.json and figure.svg and .png in the end.
            progress: tell on stderr.
            overwrite: train anew.
            workers: processes that trials are spread over, each with one thread; 1 = this process, as it is.

        Raises:
            ValueError: the folder holds trainings of another configuration.
            Stopped: a signal ended a training.
        """
        began, folder, trials = time.monotonic(), Path(folder) / scale, self.trials(scale)
        if workers > 1:
            self._in_parallel(scale, folder, progress, overwrite, min(workers, len(trials)))
            overwrite = False  # what the workers left is read back
        parts = [self._attempt(trial, folder, progress, overwrite) for trial in trials]
        figures = {
            "unit": self.unit,
            "trained": self.trained(scale),
            "chance": trials[0].phases[0].task.chance,
            "points": [point for part in parts for point in part["points"]],
            "trainings": [training for part in parts for training in part["trainings"]],
        }
        verdict = "not judged" if scale == "smoke" else self.judge(figures)
        seconds = time.monotonic() - began
        seeds = self.seeds[scale]
        result = Result(self.name, self.paper, scale, verdict, self.predicate, figures, seeds, round(seconds, 1))
        with atomic_path(folder / "result.json") as path:
            path.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
        style.save(draw(figures), folder / "figure")
        return result

    def _attempt(self, trial: Trial, folder: Path, progress: bool, overwrite: bool) -> dict[str, list[dict[str, Any]]]:
        """Train and test one trial; its points are kept beside its weights."""
        label, network = {"model": trial.model, "seed": trial.seed}, None
        points, trainings = [], []
        for phase in trial.phases:
            own = folder / f"{trial.model.replace(' ', '-')}-{trial.seed}" / phase.name
            if progress and not (own / "points.json").exists():
                Console(stderr=True).print(f"{trial.model}, seed {trial.seed}: {phase.name}", highlight=False)
            weights = None if network is None else network.state_dict()
            torch.manual_seed(trial.seed)
            network = phase.build()
            if weights is not None:
                network.load_state_dict(weights)
            config = {"claim": self.name, **label, "phase": phase.name}
            if overwrite:
                (own / "points.json").unlink(missing_ok=True)
            result = fit(network, phase.task, phase.recipe, own, config=config, overwrite=overwrite, progress=progress)
            if not result.finished:
                raise Stopped(result.signal or 0)
            spent = {"updates": result.updates, "units": result.units, "seconds": round(result.seconds, 1)}
            trainings.append({**label, "phase": phase.name, **spent, "accuracy": result.accuracy})
            points += [{**label, **point} for point in _tested(network, phase, own / "points.json")]
        return {"points": points, "trainings": trainings}

    def _in_parallel(self, scale: Scale, folder: Path, progress: bool, overwrite: bool, workers: int) -> None:
        """Let processes fill the trials' folders. What one of them fails at, ``run`` meets again and reports."""
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        for index in [*range(len(self.trials(scale))), *[None] * workers]:
            queue.put(index)
        arguments = (self, scale, folder, progress, overwrite, queue)
        processes = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(workers)]
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


def _work(claim: Claim, scale: Scale, folder: Path, progress: bool, overwrite: bool, queue: Any) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # nobody would read what this process goes on to train

    threading.Thread(target=follow, daemon=True).start()
    torch.set_num_threads(1)
    trials = claim.trials(scale)
    try:
        while (index := queue.get()) is not None:
            claim._attempt(trials[index], folder, progress, overwrite)
    except Stopped as stop:
        os._exit(128 + stop.number)
    except KeyboardInterrupt:  # between two trainings
        os._exit(128 + signal.SIGINT)


def _tested(network: Memory[Any], phase: Phase, kept: Path) -> list[dict[str, Any]]:
    """The points of a phase's exams, read back where the same exams were taken before."""
    asked = [asdict(exam) for exam in phase.exams]
    if kept.exists():
        earlier = json.loads(kept.read_text(encoding="utf-8"))
        if earlier["asked"] == asked:
            return earlier["points"]
    points = []
    for exam in phase.exams:
        began = time.monotonic()
        right = answers(network, phase.task, exam)
        points.append({"at": exam.at, **share(right), "seconds": round(time.monotonic() - began, 1)})
    with atomic_path(kept) as path:
        path.write_text(json.dumps({"asked": asked, "points": points}) + "\n", encoding="utf-8")
    return points


@torch.no_grad()
def answers(network: Memory[Any], task: Task, exam: Exam) -> Bool[Tensor, "R A"]:
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


def accuracy(figures: Mapping[str, Any], model: str, at: int) -> float:
    """The mean over seeds."""
    found = [point["accuracy"] for point in figures["points"] if point["model"] == model and point["at"] == at]
    return sum(found) / len(found)


def places(figures: Mapping[str, Any]) -> list[int]:
    """Where there are points on the horizontal axis."""
    return sorted({point["at"] for point in figures["points"]})


def draw(figures: Mapping[str, Any]) -> Figure:
    """A curve a model: the mean over seeds, and around it from the lowest to the highest end of their intervals."""
    at = places(figures)
    models: Sequence[str] = list(dict.fromkeys(point["model"] for point in figures["points"]))
    with matplotlib.rc_context(style.STYLE):
        figure = Figure(figsize=(style.WIDTH, 3.3 + 0.24 * len(models)), layout="constrained")
        axes = figure.subplots()
        for index, model in enumerate(models):
            mean = [accuracy(figures, model, x) for x in at]
            own = [point for point in figures["points"] if point["model"] == model]
            ends = [[end for point in own if point["at"] == x for end in point["interval"]] for x in at]
            color = style.SERIES[index]
            axes.plot(at, mean, color=color, marker=style.MARKERS[index], linewidth=2, markersize=6, label=model)
            axes.fill_between(at, [min(e) for e in ends], [max(e) for e in ends], color=color, alpha=0.2, linewidth=0)
        axes.axhline(figures["chance"], color=style.SOFT, linestyle="--", linewidth=1.5, label="chance")
        if figures["trained"]:
            axes.axvline(figures["trained"], color=style.SOFT, linewidth=1.2, linestyle="-.", label="trained to here")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(at))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel(figures["unit"])
        axes.set_ylabel("right answers")
        axes.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=1)
    return figure
