"""How the ten families of working memory draw their trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ...core.task import Episode

CELLS, SLOTS = 36, 9
"""Of a pattern, half of which are filled; and places in which serial recall shows all patterns of a list."""
GRID, VISIBLE = 10, 30
"""Side of the field of dots and of free recall, which shows so many of its squares."""
BOXES, PLACES = 8, 12
"""The most boxes that are updated, and bars that may change."""
SEGMENTS = 12
"""Of a figure, between points of 5 x 5."""
SWITCH = 0.2
"""Probability that the next frame gives the other rule."""
FEATURES = ("color", "orientation", "size", "gap")
DOMAINS = ("visual-visual", "visual-spatial", "spatial-visual", "spatial-spatial")
CHOICES, JUDGED_DOTS, SHADES = 8, 10, 7
"""Of complex span: what there is to pick from, dots in a judged field, and shades of red and of blue."""


@runtime_checkable
class Chosen(Protocol):
    """What a task has chosen of its family."""

    delay: int
    difference: int
    variant: str


class Dice:
    """Throws for every row of a batch."""

    def __init__(self, batch: int, generator: torch.Generator) -> None:
        self.batch, self.generator, self.device = batch, generator, generator.device

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, generator=self.generator, device=self.device)

    def below(self, count: int, *shape: int) -> Tensor:
        return torch.randint(count, (self.batch, *shape), generator=self.generator, device=self.device)

    def order(self, *shape: int) -> Tensor:
        """The numbers of the last axis in random order."""
        # In float64 no two are equal, so that it does not matter who sorts. NumPy is fast where rows are short.
        keys = torch.rand(self.batch, *shape, generator=self.generator, device=self.device, dtype=torch.float64)
        return torch.from_numpy(np.argsort(keys.numpy(), -1)) if keys.device.type == "cpu" else keys.argsort(-1)

    def blank(self, *shape: int) -> Tensor:
        return torch.zeros(self.batch, *shape, device=self.device)


def _lit(index: Int[Tensor, "*S"], size: int) -> Float[Tensor, "*S D"]:
    """1 at the index."""
    return torch.zeros(*index.shape, size, device=index.device).scatter_(-1, index[..., None], 1.0)


def _all_lit(index: Int[Tensor, "*S N"], size: int) -> Float[Tensor, "*S D"]:
    """1 at every index of the last axis."""
    return torch.zeros(*index.shape[:-1], size, device=index.device).scatter_(-1, index, 1.0)


def _asked(frames: Sequence[Float[Tensor, "B _ D"]], answers: Int[Tensor, "B Q"]) -> Episode:
    """Questions are the last frames."""
    inputs, count = torch.cat(list(frames), 1), answers.shape[1]
    targets = torch.zeros(inputs.shape[:2], dtype=torch.long, device=inputs.device)
    weight = torch.zeros(inputs.shape[:2], device=inputs.device)
    targets[:, -count:], weight[:, -count:] = answers, 1
    return Episode(inputs, targets, weight)


def _patterns(dice: Dice, length: int, difference: int) -> tuple[Bool[Tensor, "B L C"], Bool[Tensor, "B L C"]]:
    """Patterns, and others that have so many cells filled or empty that are not so in them."""
    rank = dice.order(length, CELLS)
    half = CELLS // 2
    near = (rank >= half - difference // 2) & (rank < half + difference // 2)
    item = rank < half
    return item, item ^ near


def _beside(item: Tensor, other: Tensor, side: Int[Tensor, "*S"]) -> Float[Tensor, "*S D"]:
    left = side[..., None] == 0
    return torch.cat([torch.where(left, item, other), torch.where(left, other, item)], -1).float()


def _item_recognition(task: Chosen, length: int, dice: Dice) -> Episode:
    item, other = _patterns(dice, length, task.difference)
    asked, side = dice.below(length), dice.below(2)
    row = torch.arange(dice.batch, device=dice.device)
    probe = _beside(item[row, asked], other[row, asked], side)
    return _asked([pad(item.float(), (0, CELLS)), dice.blank(task.delay, 2 * CELLS), probe[:, None]], side[:, None])


def _serial_recognition(task: Chosen, length: int, dice: Dice) -> Episode:
    item, other = _patterns(dice, length, task.difference)
    side = dice.below(2, length)
    return _asked([pad(item.float(), (0, CELLS)), _beside(item, other, side)], side)


def _serial_recall(task: Chosen, length: int, dice: Dice) -> Episode:
    item = _patterns(dice, length, 0)[0].float()
    slot = dice.order(SLOTS)[:, :length]
    probe = dice.blank(SLOTS, CELLS).scatter_(1, slot[..., None].expand_as(item), item).flatten(1)
    return _asked([pad(item, (0, (SLOTS - 1) * CELLS)), probe[:, None].expand(-1, length, -1)], slot)


def _free_recall(task: Chosen, length: int, dice: Dice) -> Episode:
    square = dice.order(GRID**2)[:, :VISIBLE]
    lit, visible = _lit(square[:, :length], GRID**2), _all_lit(square, GRID**2)
    inputs = pad(torch.cat([visible[:, None].expand_as(lit), lit], 2), (0, 0, 0, 1))
    targets, weight = dice.blank(length + 1, GRID**2), dice.blank(length + 1)
    targets[:, -1], weight[:, -1] = lit.sum(1), 1
    return Episode(inputs, targets, weight)


def _memory_updating(task: Chosen, length: int, dice: Dice) -> Episode:
    following, allowed = FOLLOWING.to(dice.device), ALLOWED.to(dice.device)
    cell, draw, box = dice.below(9, length), dice.below(120, task.delay), torch.arange(task.delay) % length
    markers = pad(_lit(cell, 9).flatten(1), (0, 9 * (BOXES - length) + BOXES + 8))
    step = torch.empty_like(draw)
    for update in range(task.delay):
        at = update % length
        step[:, update] = allowed[cell[:, at], draw[:, update]]
        cell[:, at] = following[cell[:, at], step[:, update]]
    arrows = _all_lit(torch.stack([9 * BOXES + box.to(step).expand_as(step), 10 * BOXES + step], 2), markers.shape[1])
    order = dice.order(length)
    return _asked([markers[:, None], arrows, _lit(9 * BOXES + order, markers.shape[1])], cell.gather(1, order))


def _dots(dice: Dice, count: int, symmetric: Int[Tensor, "*S"], difference: int) -> Int[Tensor, "*S N"]:
    """Cells of dots, as many left as right: mirrored, or not so some of the right ones."""
    half, moved, width = count // 2, min(difference, count) // 2, GRID // 2
    place = dice.order(*symmetric.shape[1:], GRID * width)[..., : half + moved]
    left = GRID * (place // width) + place % width
    right = left + GRID - 1 - 2 * (place % width)
    first = torch.where(symmetric[..., None] == 1, right[..., :moved], right[..., half:])
    cells = torch.cat([left[..., :half], first, right[..., moved:half]], -1)
    return cells.gather(-1, dice.order(*cells.shape[1:]))


def _coordination(task: Chosen, length: int, dice: Dice) -> Episode:
    symmetric = dice.below(2)
    dots = _lit(_dots(dice, length, symmetric, task.difference), GRID**2)
    return _asked([dots, dice.blank(1, GRID**2)], symmetric[:, None])


def _walk(
    dice: Dice, path: Int[Tensor, "B P"], barred: Int[Tensor, "B N"], steps: int
) -> tuple[Int[Tensor, "B Q"], Bool[Tensor, " B"]]:
    """Go on to neighbours where the path has not been, nor the barred ones; and whether there were any."""
    neighbour, uniform = (SEGMENT >= 0).to(dice.device).float(), dice.uniform(steps, len(SEGMENT))
    free, points = 1 - _all_lit(barred, len(SEGMENT)), [*path.unbind(1)]
    least = free.new_ones(dice.batch)
    for step in range(steps):
        highest, point = (uniform[:, step] * neighbour[points[-1]] * free).max(1)
        free.scatter_(1, point[:, None], 0.0)
        least = torch.minimum(least, highest)
        points.append(point)
    return torch.stack(points, 1), least > 0


def _figures(dice: Dice, difference: int) -> Int[Tensor, "B 2 P"]:
    """Points of two figures that part ``difference`` segments before their ends."""
    found, count = [], 0
    while count < dice.batch:  # more than a third do not run into a dead end
        many = Dice(3 * dice.batch, dice.generator)
        start = many.below(len(SEGMENT), 1)
        one, whole = _walk(many, start, start, SEGMENTS)
        other, ended = _walk(many, one[:, : SEGMENTS + 1 - difference], one, difference)
        found.append(torch.stack([one, other], 1)[whole & ended])
        count += len(found[-1])
    return torch.cat(found)[: dice.batch]


def _integration(task: Chosen, length: int, dice: Dice) -> Episode:
    points = _figures(dice, task.difference)
    segment = SEGMENT.to(dice.device)[points[..., :-1], points[..., 1:]]
    row, shown, same = torch.arange(dice.batch, device=dice.device), dice.below(2), dice.below(2)
    parts = segment[row, shown].unflatten(1, (length, SEGMENTS // length))[row[:, None], dice.order(length)]
    probe = segment[row, shown ^ same ^ 1]
    return _asked([_all_lit(parts, SEGMENT_COUNT), _all_lit(probe[:, None], SEGMENT_COUNT)], same[:, None])


def _task_switching(task: Chosen, length: int, dice: Dice) -> Episode:
    time = torch.arange(length, device=dice.device)
    if task.variant == "cued":
        # A rule is used before the next is given, so that of cues in a row every second one is none.
        wanted = (dice.uniform(length) < SWITCH) & (time > 1) & (time < length - 1)
        since = time - torch.where(wanted, 0, time).cummax(1).values
        cue = (wanted & (since % 2 == 1)) | (time == 0)
        rule = (dice.below(2, 1) + cue.cumsum(1)) % 2
    else:
        cue, rule = (time == 0).expand(dice.batch, -1), (dice.below(2, 1) + (time - 1).clamp(min=0)) % 2
    marker = dice.below(4, length)
    shown = torch.cat([_lit(marker, 4) * ~cue[..., None], _lit(rule, 2) * cue[..., None]], 2)
    return Episode(shown, torch.where(rule == 0, marker // 2, marker % 2), (~cue).float())


def _change_detection(task: Chosen, length: int, dice: Dice) -> Episode:
    rank, changed, kinds = dice.order(PLACES), dice.below(2), len(FEATURES)
    feature = dice.below(kinds)
    if task.variant != "conjunction":
        feature = torch.full_like(feature, FEATURES.index(task.variant))
    present, value = (rank < length).float()[..., None], 2.0 * dice.below(2, PLACES, kinds) - 1
    flip = (rank == 0).float()[..., None] * (_lit(feature, kinds) * changed[:, None])[:, None]
    displays = [torch.cat([present, present * v], 2).flatten(1)[:, None] for v in (value, value * (1 - 2 * flip))]
    blanks = dice.blank(task.delay, displays[0].shape[2])
    return _asked([displays[0], blanks, displays[1]], changed[:, None])


def _three(dice: Dice, count: int, *shape: int) -> Int[Tensor, "*S 3"]:
    """Different numbers below ``count``."""
    a, b, c = (dice.below(count - taken, *shape) for taken in range(3))
    b = b + (b >= a)
    c = c + (c >= torch.minimum(a, b))
    return torch.stack([a, b, c + (c >= torch.maximum(a, b))], -1)


def _complex_span(task: Chosen, length: int, dice: Dice) -> Episode:
    stored, judged = task.variant.split("-")
    if stored == "visual":
        rank, place = dice.order(length, 1, CELLS).expand(-1, -1, CHOICES, -1), dice.below(CHOICES, length)
        near = _all_lit(_three(dice, CELLS // 2, length, CHOICES, 2), CELLS // 2).flatten(-2)
        choices = (
            (rank < CELLS // 2) ^ near.bool().gather(-1, rank)
        ).float()  # three filled cells and three empty ones
        item = choices.gather(2, place[..., None, None].expand(-1, -1, 3, CELLS))
    else:
        line, order = dice.below(len(LINES), length), dice.order(length, CHOICES)
        choices, item = _lit(order, CHOICES), _lit(LINES.to(dice.device)[line], CELLS)
        place = (order == DIRECTIONS.to(dice.device)[line][..., None]).int().argmax(2)
    truth = dice.below(2, length, task.delay)
    if judged == "visual":
        judgement = _lit(SHADES * truth + dice.below(SHADES, length, task.delay), GRID**2)
    else:
        judgement = _all_lit(_dots(dice, JUDGED_DOTS, truth, task.difference), GRID**2)
    shown = torch.cat([pad(item, (0, GRID**2)), pad(judgement, (CELLS, 0))], 2).flatten(1, 2)
    choices = pad(choices.flatten(2), (CELLS + GRID**2, CHOICES * (CELLS - choices.shape[3])))
    episode = _asked(
        [pad(shown, (0, CHOICES * CELLS)), choices], torch.cat([pad(truth, (3, 0)).flatten(1), 2 + place], 1)
    )
    episode.weight[:, :-length].unflatten(1, (length, -1))[..., :3] = 0
    return episode


def _marker_shares(moves: int) -> Float[Tensor, "M 9"]:
    """How probable each cell is after no move, one, ...; all are the same at first."""
    step = torch.zeros(9, 9, dtype=torch.double)
    step.scatter_add_(1, FOLLOWING.gather(1, ALLOWED), torch.full((9, 120), 1 / 120, dtype=torch.double))
    shares = [torch.full((9,), 1 / 9, dtype=torch.double)]
    for _ in range(moves):
        shares.append(shares[-1] @ step)
    return torch.stack(shares)


def _even(task: Chosen, episode: Episode) -> Tensor:
    return torch.full_like(episode.weight, 1 / 2)


def _blind_recall(task: Chosen, episode: Episode) -> Tensor:
    return torch.full_like(episode.weight, 2 / episode.weight.shape[1])


def _blind_updating(task: Chosen, episode: Episode) -> Tensor:
    named = episode.inputs[..., 9 * BOXES : 10 * BOXES]
    moves = (named * named[:, 1 : 1 + task.delay].sum(1, keepdim=True)).sum(2).long()
    return _marker_shares(task.delay).to(named)[moves, episode.targets]


def _blind_switching(task: Chosen, episode: Episode) -> Tensor:
    """Up is left and down is right in two of four cells."""
    return 1 - episode.inputs[..., 1:3].sum(2) / 2


def _blind_span(task: Chosen, episode: Episode) -> Tensor:
    """Judgements need no memory; of directions, those along the grid have three lines and those across have one."""
    choices = episode.inputs[..., -CHOICES * CELLS :]
    share = torch.full_like(episode.weight, 1 / CHOICES)
    if task.variant.startswith("spatial"):
        directions = DIRECTIONS.bincount().to(choices) / len(DIRECTIONS)
        shares = choices[..., : CHOICES**2].unflatten(2, (CHOICES, CHOICES)) @ directions
        share = shares.gather(2, (episode.targets - 2).clamp(min=0)[..., None])[..., 0]
    return torch.where(choices.any(2), share, 1.0)


def _next_cells() -> Int[Tensor, "9 8"]:
    step = torch.tensor([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)])
    after = torch.cartesian_prod(torch.arange(3), torch.arange(3))[:, None] + step
    return torch.where(((after >= 0) & (after < 3)).all(2), 3 * after[..., 0] + after[..., 1], -1)


def _allowed() -> Int[Tensor, "9 120"]:
    return torch.stack([row.nonzero()[:, 0].repeat(120 // int(row.sum())) for row in FOLLOWING >= 0])


def _segments() -> Int[Tensor, "25 25"]:
    point = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    first, second = ((point[:, None] - point).abs().amax(2) == 1).triu().nonzero().unbind(1)
    number = torch.full((25, 25), -1)
    number[first, second] = number[second, first] = torch.arange(len(first))
    return number


def _lines() -> tuple[Int[Tensor, "L 3"], Int[Tensor, " L"]]:
    middle = FOLLOWING.clamp(min=0)
    end = FOLLOWING.gather(0, middle)
    start, step = ((FOLLOWING >= 0) & (end >= 0)).nonzero().unbind(1)
    return torch.stack([start, middle[start, step], end[start, step]], 1), step


FOLLOWING = _next_cells()
"""Where each of eight steps leads from each cell of 3 x 3; -1 = out of it."""
ALLOWED = _allowed()
"""The steps that do not lead out of it, over and over: a cell has 3, 5 or 8, which all divide 120."""
SEGMENT = _segments()
"""The number of the segment between two points of 5 x 5; -1 where they are no neighbours."""
SEGMENT_COUNT = int(SEGMENT.max()) + 1
LINES, DIRECTIONS = _lines()
"""Cells of the 16 lines through 3 x 3, there and back, and which of the eight steps each goes by."""


class Family(NamedTuple):
    """What a family draws, and what it can be asked to."""

    draw: Callable[[Chosen, int, Dice], Episode]
    features: int
    answers: int
    """0 = numbers."""
    counts: str
    """What ``length`` counts, and how many."""
    lengths: Sequence[int]
    delay: int | None = None
    difference: int = 0
    differences: Sequence[int] = ()
    variants: tuple[str, ...] = ()
    chance: Callable[[Chosen], float] = lambda task: 0.5
    blind: Callable[[Chosen, Episode], Tensor] = _even
    """Probabilities of the targets."""
    listed: bool = False
    """Whether each of what is counted is asked for with the same probability."""


MANY, CHANGES = range(1, 100_000), range(2, 12, 2)
FAMILIES = {
    "item-recognition": Family(
        _item_recognition, 2 * CELLS, 2, "patterns; give 1 or more", MANY, 4, 4, CHANGES, listed=True,
    ),
    "serial-recall": Family(
        _serial_recall, SLOTS * CELLS, SLOTS, f"patterns; give 1 to {SLOTS}", range(1, SLOTS + 1),
        chance=lambda task: 1 / SLOTS, blind=_blind_recall, listed=True,
    ),
    "serial-recognition": Family(
        _serial_recognition, 2 * CELLS, 2, "patterns; give 1 or more", MANY, None, 4, CHANGES, listed=True,
    ),
    "free-recall": Family(
        _free_recall, 2 * GRID**2, 0, f"squares; give 1 to {VISIBLE}", range(1, VISIBLE + 1), chance=lambda task: 0.0,
    ),
    "memory-updating": Family(
        _memory_updating, 10 * BOXES + 8, 9, f"boxes; give 1 to {BOXES}", range(1, BOXES + 1), 8,
        chance=lambda task: float(_marker_shares(task.delay)[-1].max()), blind=_blind_updating, listed=True,
    ),
    "coordination": Family(
        _coordination, GRID**2, 2, "dots; give an even number from 2 to 90", range(2, 92, 2), None, 4, CHANGES,
    ),
    "integration": Family(
        _integration, SEGMENT_COUNT, 2, "parts; give 1, 2, 3, 4, 6 or 12", (1, 2, 3, 4, 6, 12), None, 4, range(1, 5),
    ),
    "task-switching": Family(
        _task_switching, 6, 2, "frames, a cue first; give 2 or more", MANY[1:], variants=("cued", "alternate"),
        blind=_blind_switching,
    ),
    "change-detection": Family(
        _change_detection, 5 * PLACES, 2, f"bars; give 1 to {PLACES}", range(1, PLACES + 1), 6,
        variants=(*FEATURES, "conjunction"),
    ),
    "complex-span": Family(
        _complex_span, CELLS + GRID**2 + CHOICES * CELLS, 10, "items; give 1 or more", MANY, 1, 4, CHANGES, DOMAINS,
        chance=lambda task: max(task.delay / 2, 1 / CHOICES) / (task.delay + 1), blind=_blind_span,
    ),
}  # fmt: skip
"""By name."""
