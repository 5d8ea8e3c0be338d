"""What a network holds: right answers, bits, by distance and by the number of items, and where they halve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...core.memory import Memory
from ...core.state import batch_size, nbytes
from ...core.task import Episode, Task
from ..intervals import Interval, cluster_bootstrap, share_interval
from ..lengths import format_length

FLOOR = -20.0
"""Least log2 probability of an answer."""
CHUNK = 1024
"""Units read at a time; the state carries over, so that a sequence of any length fits."""


class Interference(NamedTuple):
    """What an earlier binding of the same item does to its recall."""

    answers: int
    """About items that had been bound to something else before."""
    accuracy: float | None
    once: float | None
    """Of answers about items that were bound once; None where there are none."""
    intrusions: float | None
    """Share of the former that say what held before."""


@dataclass(frozen=True)
class Score:
    """What a network says of a task at one length.

    ``accuracy`` and ``control`` (the same weights, fresh before every question) are shares of right answers, or R2
    where targets are numbers. ``bits`` is the mean over answers of log2 p - log2 pi: p what the network gives the right
    answer, pi what somebody would who knows the question and not the stream. For numbers it is -1/2 log2(1 - R2),
    summed over their features. Intervals are of 95 %, from a bootstrap over sequences.
    """

    length: int
    answers: int
    sequences: int
    accuracy: float
    accuracy_interval: Interval
    bits: float
    bits_interval: Interval | None
    control: float
    control_bits: float
    chance: float
    """Of the best constant answer to these very questions."""
    above_chance: float | None
    """(accuracy - chance) / (1 - chance)."""
    state_bytes: int
    """Of one sequence's state at its end."""
    items: int | None
    """Stored, of which each is asked with the same probability."""
    held: float | None
    """Bits of all stored items together: ``items`` times ``bits``."""
    distances: tuple[tuple[int, int, float, float], ...] = field(default=())
    """(distance, answers, accuracy, bits), where the task tells how long ago each answer was stored."""
    interference: Interference | None = None
    """Where the task binds items anew."""

    @property
    def measure(self) -> Literal["accuracy", "R2"]:
        """What ``accuracy`` is: a constant answer in ids is right sometimes, and one in numbers explains nothing."""
        return "accuracy" if self.chance > 0 else "R2"

    def __str__(self) -> str:
        """In words, beside chance and the control."""
        (low, high), at = self.accuracy_interval, f"at length {format_length(self.length)}"
        if self.measure == "R2":
            return (
                f"R2 {self.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}) {at}; a constant answer has 0, the "
                f"same weights without what they read {self.control:.3f}"
            )
        return (
            f"accuracy {self.accuracy:.1%} (95 % interval {low * 100:.1f} to {high:.1%}) {at}; chance is "
            f"{self.chance:.1%}, and the same weights without what they read get {self.control:.1%}"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Score:
        """Of such values, which JSON may have made lists of."""
        interval, interference = values["bits_interval"], values["interference"]
        return cls(
            **{
                **values,
                "accuracy_interval": tuple(values["accuracy_interval"]),
                "bits_interval": interval and tuple(interval),
                "distances": tuple(map(tuple, values["distances"])),
                "interference": interference and Interference(*interference),
            }
        )


class _Answers(NamedTuple):
    """Of all asked units, in order."""

    row: Int[Tensor, " n"]
    right: Bool[Tensor, " n"]
    bits: Float[Tensor, " n"]
    target: Tensor
    said: Tensor | None
    """Numbers; of logits, which are large, nothing more is kept."""
    distance: Int[Tensor, " n"] | None
    displaced: Int[Tensor, " n"] | None
    intruded: Bool[Tensor, " n"] | None
    """Whether what held before was said."""


@torch.no_grad()
def examine(
    network: Memory[Any],
    task: Task,
    length: int,
    *,
    sequences: int = 256,
    batch: int = 64,
    seed: int = 1_000_000_007,
    done: Callable[[int], Any] | None = None,
) -> Score:
    """Put a task's questions to a network.

    Args:
        network: reads what the task's episodes hold, and answers with logits, or with numbers where targets are.
        task: whose episodes are drawn.
        length: of the sequences, in the task's unit.
        sequences: how many.
        batch: of them, read side by side.
        seed: of the episodes; every network is asked the same.
        done: told how many more sequences have been read.

    Raises:
        ValueError: no sequence, or a task that asks nothing at this length.
    """
    if sequences < 1 or batch < 1:
        raise ValueError(f"sequences={sequences}, batch={batch}: give 1 or more of both")
    was_training = network.training
    network.eval()
    generator, told, controls, state_bytes = torch.Generator().manual_seed(seed), [], [], 0
    for start in range(0, sequences, batch):
        rows = min(batch, sequences - start)
        episode = task.episodes(rows, length, generator)
        found, state = _asked(network, task, episode, episode.reset, start)
        told.append(found)
        state_bytes = max(state_bytes, nbytes(state) // (batch_size(state) or 1))
        fresh = episode.weight > 0
        fresh = fresh if episode.reset is None else fresh | episode.reset
        controls.append(_asked(network, task, episode, fresh, start)[0])
        if done is not None:
            done(rows)
    network.train(was_training)
    answers, control = (_joined(parts) for parts in (told, controls))
    if not len(answers.row):
        raise ValueError(f"{type(task).__name__} asks nothing at length {length}; give a longer one")
    items = task.items(length)
    figures = _of_numbers if answers.target.is_floating_point() else _of_ids
    values = figures(answers)
    against = figures(control)
    return Score(
        length=length,
        answers=len(answers.row),
        sequences=sequences,
        control=against["accuracy"],
        control_bits=against["bits"],
        state_bytes=state_bytes,
        items=items,
        held=None if items is None else items * values["bits"],
        distances=_by_distance(answers),
        interference=_interference(answers),
        **values,
    )


def _asked(
    network: Memory[Any], task: Task, episode: Episode, reset: Bool[Tensor, "B T"] | None, first: int
) -> tuple[_Answers, Any]:
    """The answers of one batch, and the state after it."""
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    body, readout = network.parts()
    asked, far, old = episode.weight > 0, task.distance(episode), task.displaced(episode)
    blind = None if episode.targets.is_floating_point() else task.blind(episode)
    state, parts = None, []
    for at in torch.arange(asked.shape[1]).split(CHUNK):
        here = slice(int(at[0]), int(at[-1]) + 1)
        length = None if episode.length is None else (episode.length - here.start).clamp(0, len(at)).to(device)
        resets = None if reset is None else reset[:, here].to(device)
        y, state = body(episode.inputs[:, here].to(device), state, reset=resets, length=length)
        mask = asked[:, here]
        said, target = readout(y[mask.to(device)]).float().cpu(), episode.targets[:, here][mask]
        row = first + mask.nonzero()[:, 0]
        distance, displaced = (None if known is None else known[:, here][mask] for known in (far, old))
        if blind is None:
            none = torch.zeros(len(row))
            parts.append(_Answers(row, none.bool(), none, target, said, distance, None, None))
            continue
        log2 = -F.cross_entropy(said, target, reduction="none") / math.log(2)
        bits = log2.clamp(min=FLOOR) - blind[:, here][mask]
        answer = said.argmax(-1)
        intruded = None if displaced is None else answer == displaced
        parts.append(_Answers(row, answer == target, bits, target, None, distance, displaced, intruded))
    return _joined(parts), state


def _joined(parts: Sequence[_Answers]) -> _Answers:
    joined = [None if part[0] is None else torch.cat(list(part)) for part in zip(*parts, strict=True)]
    return _Answers(*joined)  # pyright: ignore[reportArgumentType]


def _of_ids(answers: _Answers) -> dict[str, Any]:
    rows, right, bits = answers.row.tolist(), answers.right.tolist(), answers.bits.tolist()
    accuracy = sum(right) / len(right)
    chance = float(answers.target.bincount().max()) / len(right)
    return {
        "accuracy": accuracy,
        "accuracy_interval": share_interval(right, rows),
        "bits": sum(bits) / len(bits),
        "bits_interval": cluster_bootstrap(bits, rows),
        "chance": chance,
        "above_chance": (accuracy - chance) / (1 - chance) if chance < 1 else None,
    }


def _of_numbers(answers: _Answers) -> dict[str, Any]:
    """R2 of every feature against its mean over these answers; the interval from a bootstrap over sequences."""
    assert answers.said is not None
    target, said = (part.double().reshape(len(answers.row), -1).numpy() for part in (answers.target, answers.said))
    rows = answers.row.numpy()
    found = _r2(target, said)
    numbers, each = np.random.default_rng(0), [np.flatnonzero(rows == row) for row in np.unique(rows)]
    drawn = []
    for _ in range(200 if len(each) > 1 else 0):
        index = np.concatenate([each[k] for k in numbers.integers(len(each), size=len(each))])
        drawn.append(_r2(target[index], said[index]))
    means = [float(r2.mean()) for r2 in drawn]
    bits = [_bits_of_numbers(r2) for r2 in drawn]
    accuracy = float(found.mean())
    return {
        "accuracy": accuracy,
        "accuracy_interval": _percentiles(means) or (accuracy, accuracy),
        "bits": _bits_of_numbers(found),
        "bits_interval": _percentiles(bits),
        "chance": 0.0,
        "above_chance": accuracy,
    }


def _r2(target: np.ndarray, said: np.ndarray) -> np.ndarray:
    spread = np.square(target - target.mean(0)).mean(0)
    return 1 - np.square(target - said).mean(0) / np.maximum(spread, np.finfo(float).tiny)


def _bits_of_numbers(r2: np.ndarray) -> float:
    return float(np.maximum(-0.5 * np.log2(np.clip(1 - r2, 2 ** (2 * FLOOR), None)), FLOOR).sum())


def _percentiles(values: Sequence[float]) -> Interval | None:
    return (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) if values else None


def _by_distance(answers: _Answers) -> tuple[tuple[int, int, float, float], ...]:
    """By powers of two: everything from one to below the next stands under the lower."""
    if answers.distance is None:
        return ()
    band = 2 ** answers.distance.clamp(min=1).double().log2().floor().long()
    found = []
    for at in band.unique().tolist():
        here = band == at
        found.append((at, int(here.sum()), float(answers.right[here].float().mean()), float(answers.bits[here].mean())))
    return tuple(found)


def _interference(answers: _Answers) -> Interference | None:
    if answers.displaced is None or answers.intruded is None:
        return None
    anew = answers.displaced >= 0

    def share(of: Tensor) -> float | None:
        return float(of.float().mean()) if len(of) else None

    return Interference(
        int(anew.sum()), share(answers.right[anew]), share(answers.right[~anew]), share(answers.intruded[anew])
    )


class Crossing(NamedTuple):
    """Where a curve falls to a level."""

    at: float | None
    """None = nowhere that was looked at; ``last`` then bounds it from below."""
    last: float
    """The last place at which the curve still stood above the level; 0 if at none."""


def crossing(places: Sequence[float | int], values: Sequence[float | int], level: float | int) -> Crossing:
    """Where a curve first falls below a level, between two places on the logarithmic scale.

    Raises:
        ValueError: no place, places that do not rise, or not a value for each.
    """
    if not places or len(places) != len(values) or any(b <= a for a, b in pairwise(places)):
        raise ValueError(f"places={list(places)} and {len(values)} values: give rising places and a value for each")
    if values[0] < level:
        return Crossing(None, 0.0)
    for index in range(1, len(places)):
        if values[index] < level:
            low, high = math.log(places[index - 1]), math.log(places[index])
            share = (values[index - 1] - level) / (values[index - 1] - values[index])
            return Crossing(math.exp(low + share * (high - low)), places[index - 1])
    return Crossing(None, places[-1])


def half_life(score: Score, *, answers: int = 30) -> Crossing:
    """The distance at which the bits of the nearest answers have halved.

    Args:
        score: of a task that tells how long ago answers were stored.
        answers: a distance about which fewer were given says too little, and is left out.

    Raises:
        ValueError: the task tells no distances, or none has so many answers.
    """
    if not score.distances:
        raise ValueError("these answers have no distances; examine a task that tells them")
    known = [band for band in score.distances if band[1] >= answers]
    if not known:
        raise ValueError(f"no distance has {answers} answers; examine more sequences, or ask for fewer answers")
    places, _, _, bits = zip(*known, strict=True)
    return crossing(places, bits, max(bits[0], 0) / 2)


@dataclass(frozen=True)
class Capacity:
    """How recall falls with the number of stored items.

    ``held`` is the largest number of bits of all items together, at ``held_items`` of them; ``half`` where half of the
    items are recalled (above chance), between the places that the ends of the accuracies' intervals give.
    """

    items: tuple[int, ...]
    accuracy: tuple[float, ...]
    held: float
    held_items: int
    bits_per_byte: float
    half: Crossing
    half_interval: tuple[Crossing, Crossing]


def capacity(scores: Sequence[Score]) -> Capacity:
    """The capacity curve of scores at several numbers of items.

    Raises:
        ValueError: a score without items, or of the same number twice.
    """
    if any(score.items is None for score in scores):
        raise ValueError("these answers have no number of items; examine a task that tells it")
    scores = sorted(scores, key=lambda score: score.items or 0)
    items = [score.items or 0 for score in scores]
    best = max(scores, key=lambda score: score.held or 0.0)

    def half(accuracies: Sequence[float]) -> Crossing:
        above = [(a - s.chance) / (1 - s.chance) for a, s in zip(accuracies, scores, strict=True)]
        return crossing(items, above, 0.5)

    return Capacity(
        items=tuple(items),
        accuracy=tuple(score.accuracy for score in scores),
        held=best.held or 0.0,
        held_items=best.items or 0,
        bits_per_byte=max((score.held or 0.0) / max(score.state_bytes, 1) for score in scores),
        half=half([score.accuracy for score in scores]),
        half_interval=(
            half([score.accuracy_interval[0] for score in scores]),
            half([score.accuracy_interval[1] for score in scores]),
        ),
    )
