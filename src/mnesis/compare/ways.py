"""How networks of a comparison are trained, and what is searched for that."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..core.catalog import card
from ..core.made_by import TRAINING, later
from ..core.memory import Memory
from ..core.task import Task
from ..learn import Recipe, Stage, Training, fit, fit_readout
from .design import Size, build
from .pace import pace, updating
from .place import Told
from .setting import Setting

BEYOND = 10**0.5
"""How far the search goes beyond its ends."""
SEARCH_SEED = 0
TIMED = 5
"""Updates that tell how long one takes, behind one that warms up."""
Progress = bool | Callable[[int, int], object]
"""A bar, or what is called after every update with how many are made, and how many there are."""
Choice = Mapping[str, Any]
"""What a search tries: a learning ``rate``, or ``options`` of a memory that is not trained."""


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """A signal ended a training; its checkpoint is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Way(ABC):
    """How networks are trained, and what is searched for that.

    Args:
        setting, task, memory: of the cell.
        size: that the memory has there.
        about: what configurations of runs say besides.
    """

    def __init__(self, setting: Setting, task: Task, memory: str, size: Size, about: Mapping[str, Any]) -> None:
        self.setting, self.task, self.memory, self.size, self.about = setting, task, memory, size, about
        self.progress: bool | Callable[[Told], object] = False
        self.trackers: Sequence[str] = ()
        self.begun = 0
        """Trainings."""

    @property
    def further(self) -> int:
        """Choices that may be tried beyond the first."""
        return 0

    @abstractmethod
    def choices(self) -> list[Choice]:
        """What the search tries."""

    @abstractmethod
    def name(self, choice: Choice) -> str:
        """Of its run's folder."""

    def beyond(self, best: Choice) -> Choice | None:
        """One more, where the best is at an end; None = the search is over."""
        return None

    def trained(self, choice: Choice, steps: int, seed: int, folder: Path) -> tuple[Memory[Any], Training]:
        """A network of that seed, and how it came to be."""
        self.begun += 1
        network = self.network(seed, choice)
        told, number = self.progress, self.begun
        if not callable(told):
            return network, self.train(network, choice, steps, seed, folder, told)
        # How many there will be is known once the search is over.
        searched = number - seed if seed else len(self.choices()) + self.further
        trainings = searched + self.setting.seeds
        tell = lambda update, updates: told(Told(number, trainings, update, updates))  # noqa: E731
        tell(0, steps)
        return network, self.train(network, choice, steps, seed, folder, tell)

    @abstractmethod
    def train(
        self, network: Memory[Any], choice: Choice, steps: int, seed: int, folder: Path, progress: Progress
    ) -> Training:
        """Train it."""

    @abstractmethod
    def units_per_second(self, trainings: Sequence[Mapping[str, Any]]) -> float:
        """Trained for each second of CPU time."""

    def network(self, seed: int, choice: Choice | None = None) -> Memory[Any]:
        torch.manual_seed(seed)
        options = {**self.size.options, **(choice or {}).get("options", {})}
        return build(self.setting, self.task, self.memory, self.size._replace(options=options))

    def recipe(self, steps: int, seed: int, rate: float = 1e-3) -> Recipe:
        stage = Stage(self.setting.length, self.setting.batch, steps)
        return Recipe((stage,), learning_rate=rate, warm_up=min(100, steps // 10), seed=seed, save_every=1000)


class Gradient(Way):
    """By gradient; learning rates are searched."""

    @property
    def further(self) -> int:
        """One, where the best may be at an end."""
        return int(len(self.setting.rates) > 1)

    def choices(self) -> list[Choice]:
        return [{"rate": rate} for rate in self.setting.rates]

    def name(self, choice: Choice) -> str:
        return f"{choice['rate']:.0e}"

    def beyond(self, best: Choice) -> Choice | None:
        rates = self.setting.rates
        if len(rates) == 1 or min(rates) < best["rate"] < max(rates):
            return None
        return {"rate": best["rate"] * BEYOND if best["rate"] == max(rates) else best["rate"] / BEYOND}

    def train(
        self, network: Memory[Any], choice: Choice, steps: int, seed: int, folder: Path, progress: Progress
    ) -> Training:
        recipe = self.recipe(steps, seed, choice["rate"])
        result = fit(network, self.task, recipe, folder, config=self.about, progress=progress, trackers=self.trackers)
        if not result.finished:
            raise Interrupted(result.signal or 0)
        return result

    def units_per_second(self, trainings: Sequence[Mapping[str, Any]]) -> float:
        lengths = [self.setting.lengths[1]] * (TIMED + 1)
        timed = pace(self.task, updating(self.network(SEARCH_SEED)), self.setting.batch, lengths)
        return statistics.median(units / seconds for units, seconds in timed)


class LeastSquares(Way):
    """By solving for the readout alone; what the catalog names is searched, as many as there are rates and one."""

    def choices(self) -> list[Choice]:
        points = card("memories", self.memory).search[: len(self.setting.rates) + 1]
        return [{"options": dict(options)} for options in points]

    def name(self, choice: Choice) -> str:
        return "-".join(f"{key}-{value}" for key, value in choice["options"].items())

    def train(
        self, network: Memory[Any], choice: Choice, steps: int, seed: int, folder: Path, progress: Progress
    ) -> Training:
        told = progress if callable(progress) else None
        return fit_readout(network, self.task, self.recipe(steps, seed), folder, config=self.about, progress=told)

    def units_per_second(self, trainings: Sequence[Mapping[str, Any]]) -> float:
        # Of CPU time too where a readout is solved for; kept to a tenth of a second, which may be none.
        return statistics.median(each["units"] / max(each["seconds"], 0.1) for each in trainings)


def way_for(setting: Setting, task: Task, memory: str, size: Size) -> Way:
    """How a memory of that size is trained in a comparison."""
    known = card("memories", memory)
    about = {"task": setting.task, "task_options": dict(setting.task_options), **revisions(memory)}
    return (LeastSquares if known.search else Gradient)(setting, task, memory, size, about)


def revisions(memory: str) -> dict[str, Any]:
    """Of the memory and of the training loop, under "revisions"; nothing where both are the first."""
    return later({memory: card("memories", memory).revision, "training": TRAINING})
