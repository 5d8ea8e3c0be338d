"""Working memory: ten families of trials that psychologists give people, as frames of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.domain import Count
from ...core.task import Episode, Task
from .working_memory_trials import CELLS, FAMILIES, GRID, Dice


class WorkingMemory(Task):
    """One trial of working memory: frames to be remembered, then questions.

    The ten families of WorM (Sikarwar and Zhang 2023, arXiv 2307.10768), whose pictures are vectors here: what is drawn
    in a picture is 1 in the frame, all else 0. One example of "item-recognition" with three patterns of four cells and
    two blanks, the answer being the side on which a pattern of the list is shown, not one that differs from it::

        inputs   0110 ....    1100 ....    1010 ....    ........    ........    1100 0101
        targets     .            .            .             .           .           0

    - "item-recognition": a list of patterns, ``delay`` blanks, then one of them beside one that differs in
      ``difference`` cells of 36: which is it, 0 (left) or 1?
    - "serial-recall": a list of patterns, then all of them in random slots of nine, again and again: where are the
      first, the second, ...?
    - "serial-recognition": a list of patterns, then each in its turn beside one that differs: which is it?
    - "free-recall": squares light up, one a frame, among the 30 visible of 10 x 10; then say which: 100 numbers, 1 for
      each of them and 0 for the others, in place of an answer.
    - "memory-updating": a marker stands in a 3 x 3 grid in each box, and ``delay`` arrows move them, one box after the
      other; then boxes are named in random order: in which cell is the marker?
    - "coordination": dots of a 10 x 10 grid, one a frame; are all of them together symmetric (1), left and right, or
      are ``difference`` / 2 of them elsewhere?
    - "integration": parts of a figure of 12 segments in random order, then the whole figure (1), or one of which the
      last ``difference`` segments are others.
    - "task-switching": a marker in a 2 x 2 box at every frame: is it up (0) or down (1), or else left (0) or right (1)?
      A cue tells which ("cued"), or both take turns after a first cue ("alternate").
    - "change-detection": bars in 12 places, ``delay`` blanks, bars again: has one changed? "color", "orientation",
      "size" and "gap" say in what, "conjunction" is any of the four.
    - "complex-span": what is shown in three frames is to be picked from eight later, in the order of the list: a
      "visual" pattern, or the direction in which a "spatial" marker went. ``delay`` judgements follow each: is a color
      red (0) or blue (1), or are dots symmetric (1)? Variants name what is stored and what is judged. Answers 0 and 1
      judge, 2 to 9 pick.

    ``length`` counts what is shown one after the other or at once: patterns, squares, boxes, dots, parts, frames, bars
    and items, in this order. Chance is that of the best constant answer; ``blind`` is who sees the question alone, such
    as a marker without the rule.

    Where paper and code differ from this: patterns to pick from all differ from one that is not shown, and figures are
    as likely to be shown as asked for, so that neither can be told from the question alone; and dots are all different.

    Args:
        family: one of the ten.
        delay: frames between what is shown and the question, where a family has them; None = as the family has it.
        difference: between what was shown and what was not, where a family has it; None = as the family has it.
        variant: of "task-switching", "change-detection" and "complex-span"; None = the first.

    Raises:
        ValueError: an unknown family or variant, or a delay or difference that the family does not have.
    """

    def __init__(
        self,
        family: str = "item-recognition",
        *,
        delay: Count | None = None,
        difference: int | None = None,
        variant: str | None = None,
    ) -> None:
        if family not in FAMILIES:
            raise ValueError(f"there is no family {family!r}; choose one of {', '.join(FAMILIES)}")
        kind = FAMILIES[family]
        if delay is not None and kind.delay is None:
            raise ValueError(f"delay = {delay}: {family} {_takes('delay', ())}")
        if difference is not None and difference not in kind.differences:
            raise ValueError(f"difference = {difference}: {family} {_takes('difference', kind.differences)}")
        if variant is not None and variant not in kind.variants:
            raise ValueError(f"variant = {variant!r}: {family} {_takes('variant', kind.variants)}")
        self.family, self.features, self.vocabulary = family, kind.features, kind.answers
        self.target_features = 0 if kind.answers else GRID**2
        self.delay = (kind.delay or 0) if delay is None else delay
        self.difference = difference or kind.difference
        self.variant = variant or (*kind.variants, "")[0]
        self.chance = kind.chance(self)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` trials.

        Raises:
            ValueError: ``batch`` below 1, or a length that the family does not have.
        """
        if batch < 1:
            raise ValueError(f"batch = {batch} draws nothing; give 1 row or more")
        kind = FAMILIES[self.family]
        if length not in kind.lengths:
            raise ValueError(f"length = {length}: {self.family} counts {kind.counts}")
        return kind.draw(self, length, Dice(batch, generator))

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """What can be said from the question alone; see the class."""
        return FAMILIES[self.family].blind(self, episode).log2()

    def items(self, length: int) -> int | None:
        return length if FAMILIES[self.family].listed else None

    def distance(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        """From a pattern in the list to its question; None where the answer is not stored in one frame."""
        x, time = episode.inputs, episode.inputs.shape[1]
        if self.family in ("serial-recall", "serial-recognition"):
            return torch.full(x.shape[:2], time // 2, device=x.device)
        if self.family != "item-recognition":
            return None
        sides = x[:, -1].unflatten(1, (2, CELLS))
        asked = sides[torch.arange(len(x), device=x.device), episode.targets[:, -1]]
        shown = (x[:, :-1, :CELLS] == asked[:, None]).all(2).int().argmax(1)
        return torch.arange(time, device=x.device) - shown[:, None]


def _takes(option: str, known: Sequence[object]) -> str:
    return f"takes one of {', '.join(map(str, known))}" if known else f"has no {option}; leave it None"
