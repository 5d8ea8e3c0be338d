"""A recurrence that fails beyond its training length is mended without training: it forgets more, or holds less."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure

from ..core.memory import Memory
from ..core.state import leaves
from ..core.task import Task
from ..learn import Recipe, Stage
from ..nets import LanguageModel
from ..nets.state_collapse import Clipped, Remedy, Scaled, Windowed, remedy_states
from ..tasks.language.text import Text
from .accuracy import TEST_SEED
from .bands import Line, PlaceExam, draw_bands, ends_of_bands, mean_loss, rise, table_of_bands
from .claim import Scale, Table, Verdict, Work
from .trials import Phase, TrainedClaim, Trial

UNTOUCHED, FORGETTING, CLIPPED, WINDOWED = "untouched", "forgets more", "clipped", "window by difference"
RISE, LEFT, COST = 0.2, 0.5, 0.05
FAR = 16
"""Tests are so many times as long as trainings."""
PHASE = "training"


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    depth: int
    length: int
    """T: of the trained sequences."""
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 16, 4, 4, 4),
    "laptop": Setting(64, 2, 64, 16, 2000, 100),
    "full": Setting(256, 6, 512, 32, 20_000, 400),
}


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


class StateCollapse(TrainedClaim):
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

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].length, **super().measure(scale, work)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        risen = rise(figures, UNTOUCHED, PHASE)
        if risen < RISE:
            return "inconclusive"
        trained = figures["trained"]
        before = mean_loss(figures, UNTOUCHED, PHASE, trained)
        for remedy in (FORGETTING, CLIPPED, WINDOWED):
            cost = mean_loss(figures, remedy, PHASE, trained) - before
            if cost > COST or mean_loss(figures, remedy, PHASE, FAR * trained) - before > LEFT * risen:
                return "does not hold"
        return "holds"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        return {"": draw_bands(figures, LINES)}

    def table(self, figures: Mapping[str, Any]) -> Table:
        return table_of_bands(figures, LINES)


LINES = [Line(name, PHASE, name) for name in (UNTOUCHED, FORGETTING, CLIPPED, WINDOWED)]


def _trial(setting: Setting, seed: int) -> Trial:
    task, length = Text(), setting.length
    build = partial(
        LanguageModel, task.vocabulary, dim=setting.dim, memory="retention", depth=setting.depth, options={"heads": 2}
    )
    recipe = Recipe((Stage(length, setting.batch, setting.steps),), learning_rate=3e-3, warm_up=50, seed=seed)
    exams = tuple(
        RemedyExam(end, PHASE, low, FAR * length, setting.rows, remedy=line.model, trained=length)
        for line in LINES
        for low, end in ends_of_bands(length, FAR)
    )
    return Trial("retention", seed, (Phase(PHASE, build, task, recipe, exams),))
