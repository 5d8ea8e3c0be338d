"""Where a training stands: counters, running figures, and the results of the stages behind it. Kept as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from ..core.domain import Count, Share, Size
from ..core.run_files import Amount
from .recipe import Recipe, Stage

Products = Literal["highest", "high", "medium"]
"""torch's precision of float32 products."""
PROMOTION_ANSWERS = 1024
"""Answers that a running accuracy is taken over at least: its standard error is then 0.016 or less."""
PROMOTION_UPDATES = 16
"""Updates that they come from at least: the answers of one batch are not independent."""


class BrokeDown(FloatingPointError, ValueError):  # noqa: N818 (it is told to whoever chose the numbers)
    """A loss, a gradient or a figure to choose by is no finite number."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended."""

    updates: Size
    promoted: bool
    """Ended by its accuracy; False: its steps were used up."""
    loss: float | None
    """Running loss at its end; None if nothing was asked."""
    accuracy: Share | None
    """Running accuracy at its end; None where targets are numbers."""


class Outcome(NamedTuple):
    """What one update gave, over all processes."""

    loss: float | None
    """None: there was nothing to learn."""
    correct: int
    asked: int
    graded: bool
    """False where targets are numbers: there is no accuracy."""
    units: int
    rate: float
    norm: float | None
    """Of the gradient, before clipping."""
    signal: int
    """Received during the update by any process; 0 = none."""
    seconds: float


@dataclass(frozen=True)
class Best:
    """The weights with the lowest figure of a validation so far."""

    update: Count
    score: float


@dataclass
class Sums:
    """Sums over the updates of one line of metrics."""

    loss: float = 0.0
    learned: Count = 0
    """Updates that had something to learn."""
    correct: Count = 0
    asked: Count = 0
    units: Count = 0
    seconds: Amount = 0.0


@dataclass
class Position:
    """Counters of a training; a checkpoint holds them as they stand between two updates."""

    update: Count = 0
    stage: Count = 0
    stage_update: Count = 0
    window: Count = 0
    """Updates done within the present episode (``update="window"``)."""
    progress: Share = 0.0
    """Share of the budget of updates used up, 0..1, promotions counted as a smaller budget for what is left."""
    units: Count = 0
    seconds: Amount = 0.0
    graded: bool = True
    """False where targets are numbers: there is no accuracy."""
    line: Sums = field(default_factory=Sums)
    recent: list[tuple[float, Count, Count]] = field(default_factory=list)
    """Loss, right answers and answers of the latest updates of this stage; as many as promotion looks at."""
    stages: list[StageResult] = field(default_factory=list)
    best: Best | None = None
    """None where weights are not chosen."""
    products: Products | None = None
    """When the training began, on a CPU; None of one that an earlier version began."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def current(self, recipe: Recipe) -> Stage | None:
        """The stage to go on with; None when the training is done."""
        return recipe.stages[self.stage] if self.stage < len(recipe.stages) else None

    def left(self, recipe: Recipe) -> int:
        """Updates that may still come."""
        return sum(stage.steps for stage in recipe.stages[self.stage :]) - self.stage_update

    def count(self, recipe: Recipe, outcome: Outcome) -> None:
        """Count one update."""
        self.progress += (1 - self.progress) / self.left(recipe)
        self.update, self.stage_update = self.update + 1, self.stage_update + 1
        self.units, self.seconds = self.units + outcome.units, self.seconds + outcome.seconds
        self.graded, line = outcome.graded, self.line
        line.correct, line.asked = line.correct + outcome.correct, line.asked + outcome.asked
        line.units, line.seconds = line.units + outcome.units, line.seconds + outcome.seconds
        if outcome.loss is None:
            return
        line.loss, line.learned = line.loss + outcome.loss, line.learned + 1
        self.recent.append((outcome.loss, outcome.correct, outcome.asked))
        while _enough(self.recent[1:]) or len(self.recent) > PROMOTION_ANSWERS:
            del self.recent[0]

    def faults(self, recipe: Recipe) -> Iterator[str]:
        """Why no training by this recipe comes to stand here; nothing where one does."""
        if self.stage > len(recipe.stages) or len(self.stages) != self.stage:
            yield f"stage={self.stage} after {len(self.stages)} results, of a recipe of {len(recipe.stages)} stages"
            return
        stage = self.current(recipe)
        behind = list(zip(self.stages, recipe.stages, strict=False))
        for index, (ended, asked) in enumerate(behind):
            if ended.updates > asked.steps or not (ended.promoted or ended.updates == asked.steps):
                yield f"stages[{index}].updates={ended.updates} of a stage of {asked.steps}"
        if self.stage_update > (stage.steps - 1 if stage else 0):
            yield f"stage_update={self.stage_update} of a stage of {stage.steps if stage else 0}"
        if self.window > (self.stage_update if stage and stage.update == "window" else 0):
            yield f"window={self.window} after {self.stage_update} updates of the stage"
        if self.update != (done := self.stage_update + sum(ended.updates for ended in self.stages)):
            yield f"update={self.update} where the stages count {done}"
        elif not math.isclose(self.progress, expected := self._progress(recipe), abs_tol=1e-9):
            yield f"progress={self.progress} where {self.update} updates make {expected:.6g}"
        if len(self.recent) > PROMOTION_ANSWERS or any(correct > asked for _, correct, asked in self.recent):
            yield "recent holds more right answers than there were, or too many updates"
        if self.best is not None and self.best.update > self.update:
            yield f"best.update={self.best.update} of {self.update} updates"

    def _progress(self, recipe: Recipe) -> float:
        """As ``count`` comes to it, update by update."""
        progress, left = 0.0, [stage.steps for stage in recipe.stages]
        for index, updates in enumerate([*(ended.updates for ended in self.stages), self.stage_update]):
            budget = sum(left[index:])
            for update in range(updates):
                progress += (1 - progress) / (budget - update)
        return progress

    def promoted(self, stage: Stage) -> bool:
        """Whether the running accuracy ends the stage."""
        accuracy = self.running_accuracy
        return stage.promote is not None and _enough(self.recent) and accuracy is not None and accuracy >= stage.promote

    def next_stage(self, promoted: bool) -> None:
        """Close the present stage."""
        self.stages.append(StageResult(self.stage_update, promoted, self.running_loss, self.running_accuracy))
        self.stage, self.stage_update, self.window = self.stage + 1, 0, 0
        self.recent = []

    @property
    def running_loss(self) -> float | None:
        """Mean loss of the latest updates of this stage."""
        return sum(loss for loss, _, _ in self.recent) / len(self.recent) if self.recent else None

    @property
    def running_accuracy(self) -> float | None:
        """Share of right answers in the latest updates of this stage."""
        asked = sum(asked for _, _, asked in self.recent)
        return sum(correct for _, correct, _ in self.recent) / asked if asked and self.graded else None


def _enough(recent: list[tuple[float, int, int]]) -> bool:
    return len(recent) >= PROMOTION_UPDATES and sum(asked for _, _, asked in recent) >= PROMOTION_ANSWERS
