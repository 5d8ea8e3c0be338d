"""What is equal for all memories of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..core.catalog import create_task
from ..measure.lengths import parse_pair

if TYPE_CHECKING:
    from ..core.task import Task

VALIDATION_SEED, TEST_SEED = 900_000_011, 1_000_000_007
"""Of the episodes that choose a learning rate, and of those that are reported; far from the seeds of training."""


@dataclass(frozen=True)
class Budget:
    """What each training may use.

    Args:
        kind: "tokens", units read in training; or "seconds", of the process's CPU time with one thread, which no other
            machine will repeat.
        amount: how many.

    Raises:
        ValueError: nothing to spend.
    """

    kind: Literal["tokens", "seconds"]
    amount: float | int

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise ValueError(f"a budget of {self.amount} {self.kind} trains nothing; give more than 0")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From ``tokens=2M`` or ``seconds=60``.

        Raises:
            ValueError: something else.
        """
        return cls(*parse_pair(text, ("tokens", "seconds"), "tokens=2M or seconds=60", "budget"))


@dataclass(frozen=True)
class Match:
    """What is made equal besides the budget.

    Args:
        kind: "parameters" of the whole network, by its width, a multiple of 16, and then the width of its MLPs; or
            "state", bytes of one sequence's fresh state, by what the catalog names for it, or the width.
        amount: at most so many, and at least 0.95 times as many.

    Raises:
        ValueError: nothing to match.
    """

    kind: Literal["parameters", "state"]
    amount: int

    def __post_init__(self) -> None:
        if self.amount < 1:
            raise ValueError(f"{self.kind}={self.amount} leaves nothing to match; give 1 or more")

    @classmethod
    def parse(cls, text: str) -> Match:
        """From ``parameters=100k`` or ``state=16k`` (bytes).

        Raises:
            ValueError: something else.
        """
        return cls(*parse_pair(text, ("parameters", "state"), "parameters=100k or state=16k", "size"))


@dataclass(frozen=True)
class Setting:
    """A task, what each memory may spend on it, and the network that every memory stands in.

    Args:
        task: name in the catalog, or ``file.py:Class``.
        task_options: its constructor arguments.
        length: of training episodes, in the task's unit; a pair draws one for each episode between both ends.
        tests: lengths that are reported.
        budget: of each training.
        match: what else is made equal; None = ``dim`` for all.
        dim: width.
        depth: blocks.
        convolution: width of the causal convolution before every memory; None = without. Whole stacks that have no
            place for one go without.
        batch: rows of an update.
        rates: learning rates tried with one seed; the search goes on once beyond the best if that is at an end.
        seeds: trainings with the best rate.
        sequences: of validation, and of every test.

    Raises:
        ValueError: a number below its least.
    """

    task: str
    length: int | tuple[int, int]
    tests: tuple[int, ...]
    budget: Budget
    task_options: Mapping[str, Any] = field(default_factory=dict)
    match: Match | None = None
    dim: int = 64
    depth: int = 2
    convolution: int | None = 4
    batch: int = 32
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    seeds: int = 3
    sequences: int = 256

    def __post_init__(self) -> None:
        for name in ("dim", "depth", "batch", "seeds", "sequences"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")
        if self.convolution is not None and self.convolution < 1:
            raise ValueError(f"convolution={self.convolution}: give 1 or more, or None for none")
        low, high = self.lengths
        if not 1 <= low <= high:
            raise ValueError(f"length={self.length} is no range of lengths; give a number of 1 or more, or (low, high)")
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise ValueError(f"rates={self.rates}: give one learning rate or more, above 0")
        if not self.tests:
            raise ValueError("tests=(): give at least one length to report")

    @property
    def lengths(self) -> tuple[int, int]:
        """The shortest and the longest training episode."""
        return (self.length, self.length) if isinstance(self.length, int) else self.length

    def create_task(self) -> Task:
        """The task.

        Raises:
            ValueError: an unknown one, or options that it does not take; both name what is near.
        """
        return create_task(self.task, **self.task_options)

    def units(self, task: Task) -> float:
        """Mean units of an update, over lengths."""
        import torch

        low, high = self.lengths
        counted = []
        for length in sorted({low + (high - low) * step // 15 for step in range(16)}):
            counted.append(task.episodes(self.batch, length, torch.Generator().manual_seed(0)).units)
        return sum(counted) / len(counted)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Setting:
        """Of such values."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        match = plain["match"] and Match(**plain["match"])
        return cls(**{**plain, "budget": Budget(**plain["budget"]), "match": match})
