"""What a training is: stages of a curriculum, and the numbers of the optimiser. Plain values, kept as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal, cast

from ..core.domain import AtLeast, Bound, Checked, Positive

Part = Annotated[float, Bound(0, 1, open_low=True)]
"""A share of which there is something."""
Decay = Annotated[float, Bound(0, 1, open_high=True)]


@dataclass(frozen=True)
class Stage(Checked):
    """One step of a curriculum: episodes of one length (or a range of lengths) for so many updates.

    Args:
        length: of the episodes, in the task's own unit; a pair ``(low, high)`` draws one for each episode, both ends
            included.
        batch: rows of an episode, over all processes together.
        steps: updates of the stage at most.
        truncation: units in a window of truncated back-propagation. Each window's loss is back-propagated at once and
            the state is detached there, so training needs the memory of one window. None = the whole episode.
        promote: running accuracy at which the stage ends before its ``steps`` are used up. It is taken over the latest
            updates of this stage that hold at least ``PROMOTION_ANSWERS`` answers and are at least
            ``PROMOTION_UPDATES`` in number; before there are as many, no stage ends early.
        start: what the rows of an episode start from, without gradient; the episode's own ``reset`` flags hold either
            way. "fresh"; "carried": where each row of the stage's last episode ended; "noise": fresh, plus noise of
            deviation ``start_deviation``; "fitted noise": noise with the mean and deviation, head by head, of the
            states that the last episode ended with. The last three teach a network to read on beyond the lengths that
            it is trained on (arXiv 2507.02782).
        start_share: of the rows, that start so; the others start fresh.
        start_deviation: of "noise".
        update: "episode" adds the gradients of all windows of an episode and updates once; "window" updates after every
            window (endless streams). An update that has nothing to learn counts, and leaves the weights as they are.

    Raises:
        ValueError: a number out of its range; the message names it and the mend.
    """

    length: int | tuple[int, int]
    batch: int
    steps: int
    truncation: int | None = None
    promote: Part | None = None
    start: Literal["fresh", "carried", "noise", "fitted noise"] = "fresh"
    start_share: Part = 1.0
    start_deviation: Positive = 1.0
    update: Literal["episode", "window"] = "episode"

    def __post_init__(self) -> None:
        low, high = self.lengths
        if not 1 <= low <= high:
            raise ValueError(f"length={self.length} is no range of lengths; give a number >= 1 or (low, high)")

    @property
    def lengths(self) -> tuple[int, int]:
        """The shortest and the longest episode."""
        return (self.length, self.length) if isinstance(self.length, int) else cast(tuple[int, int], self.length)


@dataclass(frozen=True)
class Recipe(Checked):
    """How to train: the stages in order, AdamW's numbers, the seed, and how often to save.

    Args:
        stages: the curriculum.
        learning_rate: the highest one.
        schedule: "cosine" falls from it to zero over the whole budget (the sum of all ``steps``); "constant" stays.
            When a stage is promoted, the rest of the curve is stretched over the updates that are left: the rate never
            jumps and still reaches zero with the last update. (Promotion out of the last stage ends the training
            wherever the curve stands.)
        warm_up: updates over which the rate rises linearly from zero, as a factor on the schedule.
        clip: largest norm of the whole gradient; None = unlimited.
        weight_decay: of AdamW, on parameters of two or more axes only, and not on those that have an attribute
            ``no_weight_decay``. (AdamW moves every parameter at every update;
            one that the episode did not reach has gradient zero.)
        l2: of a penalty l2/2 ||w||^2 on all parameters, biases and norms too, but those that have
            ``no_weight_decay``: a part of the loss, whose gradient is clipped and scaled with the rest. What papers
            call an L2 penalty under Adam; ``weight_decay`` is another thing.
        betas: of AdamW.
        seed: of everything that training draws (lengths, episodes, dropout).
        precision: "bfloat16" runs the arithmetic under autocast; parameters and losses stay float32.
        save_every: updates between checkpoints.
        log_every: updates in one line of metrics.jsonl.

    Raises:
        ValueError: a number out of its range; the message names it and the mend.
    """

    stages: tuple[Stage, ...]
    learning_rate: Positive = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warm_up: int = 0
    clip: Annotated[float, Bound(0, open_low=True, infinite=True)] | None = 1.0
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l2: Annotated[float, AtLeast(0)] = 0.0
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    save_every: int = 500
    log_every: int = 20

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a recipe without stages trains nothing; give at least one Stage(length, batch, steps)")

    @property
    def steps(self) -> int:
        """Updates of all stages together, at most."""
        return sum(stage.steps for stage in self.stages)

    def rate(self, update: int, progress: float) -> float:
        """The learning rate of an update (counted from 0) that finds this share of the budget used up."""
        warm = min(1.0, (update + 1) / self.warm_up) if self.warm_up else 1.0
        curve = 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 1.0
        return self.learning_rate * warm * curve

    def as_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        values = asdict(self)
        lists = [{key: _plain(value) for key, value in stage.items()} for stage in values["stages"]]
        return {key: _plain(value) for key, value in values.items()} | {"stages": lists}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that ``as_json`` described.

        Raises:
            ValueError: a name that recipes or stages do not have, or one that is missing.
        """
        stages = tuple(Stage(**_known(Stage, stage)) for stage in values.get("stages", ()))
        return cls(**{**_known(cls, values), "stages": stages})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(cls)]
    if unknown := [name for name in values if name not in names]:
        raise ValueError(f"a {cls.__name__} has no {unknown[0]!r}; it takes {', '.join(names)}")
    required = ("length", "batch", "steps") if cls is Stage else ()
    if missing := [name for name in required if name not in values]:
        raise ValueError(f"a Stage needs {missing[0]!r}; write Stage(length=..., batch=..., steps=...)")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
