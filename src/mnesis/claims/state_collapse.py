"""A recurrence that fails beyond its training length is mended without training: it forgets more, or holds less."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..core.memory import Memory
from ..core.state import leaves
from ..core.task import Task
from ..learn import Stage
from ..nets.state_collapse import Clipped, Remedy, Scaled, Windowed, remedy_states
from ..tasks.language.text import Text
from .bands import FAR, SETTINGS, BandsClaim, Line, PlaceExam, Setting, rise
from .claim import Scale, Verdict
from .exams import TEST_SEED
from .points import mean
from .trials import Trial, trained

UNTOUCHED, FORGETTING, CLIPPED, WINDOWED = "untouched", "forgets more", "clipped", "window by difference"
RISE, LEFT, COST = 0.2, 0.5, 0.05
PHASE = "training"
LINES = [Line(name, PHASE, name) for name in (UNTOUCHED, FORGETTING, CLIPPED, WINDOWED)]


@dataclass(frozen=True)
class RemedyExam(PlaceExam):
    """The loss of the network with a remedy.

    Args:
        remedy: its name.
        trained: T, which decides how strong it is.
    """

    remedy: str = UNTOUCHED
    trained: int = 1

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        network = copy.deepcopy(network).eval()
        if self.remedy != UNTOUCHED:
            remedy_states(network, self._remedy(network, task))
        return {**super().take(network, task), "model": self.remedy}

    @torch.no_grad()
    def _remedy(self, network: Memory[Any], task: Task) -> Remedy:
        if self.remedy == FORGETTING:
            return Scaled(forget=math.exp(-1 / self.trained))
        if self.remedy == WINDOWED:
            return Windowed(self.trained)
        # What training has seen, where its sequences end; a matrix has rows, heads, keys and values.
        inputs = task.episodes(self.rows, self.trained, torch.Generator().manual_seed(TEST_SEED)).inputs
        matrices = [leaf for leaf in leaves(network(inputs)[1]) if leaf.ndim == 4]
        return Clipped(float(torch.stack([torch.linalg.matrix_norm(matrix).mean() for matrix in matrices]).mean()))


class StateCollapse(BandsClaim):
    """A language model with retention, read to sixteen times the length that it was trained on, with three remedies.

    Two layers of d = 64 with two heads, on generated prose by characters, sequences of T = 64, 2,000 updates from fresh
    states. Then, without training: every decay times e^(-1/T); states clipped to the mean norm that they have after T
    characters; and the exact window of the last T by the difference of two states. Losses are means over places of 100
    sequences of 1,024 characters of unseen text, by bands: (T/2, T], (T, 2T] and so on. Full scale: six layers of
    d = 256, T = 512, 20,000 updates.

    The constants were fixed beforehand, with another seed. The paper remedies pretrained Mamba-2, and finds that the
    length that must be trained for it to learn to forget grows with the state. Networks of this size cannot show that:
    Mamba-2 with 4 to 128 states had no rise even when trained to 8 characters.
    """

    name = "state-collapse"
    paper = "chen2024stuffed"
    statement = (
        "A recurrence trained on sequences too short to fill its state fails beyond them, and reads on if it is made "
        "to forget more, its state is kept small, or only the last units are held; none of it needs training."
    )
    predicate = (
        "with rise = mean loss at places (8T, 16T] less that at (T/2, T], mean over seeds: holds if with each remedy "
        "the far loss lies above the untouched network's at (T/2, T] by at most half of its rise, and the loss at "
        "(T/2, T] by at most 0.05 nats; inconclusive if the rise is less than 0.2 nats; else does not hold"
    )

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], seed) for seed in self.seeds[scale]]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        risen = rise(figures, UNTOUCHED, PHASE)
        if risen < RISE:
            return "inconclusive"
        near, far = figures["trained"], FAR * figures["trained"]
        before = mean(figures, "loss", UNTOUCHED, near)
        for remedy in (FORGETTING, CLIPPED, WINDOWED):
            cost, after = (mean(figures, "loss", remedy, place) - before for place in (near, far))
            if cost > COST or after > LEFT * risen:
                return "does not hold"
        return "holds"

    def lines(self, figures: Mapping[str, Any]) -> list[Line]:
        return LINES


def _trial(setting: Setting, seed: int) -> Trial:
    stages = (Stage(setting.length, setting.batch, setting.steps),)
    exams = tuple(
        RemedyExam(end, PHASE, low, FAR * setting.length, setting.rows, remedy=line.model, trained=setting.length)
        for line in LINES
        for low, end in setting.bands
    )
    return trained("retention", seed, setting.build, Text(), stages, exams)
