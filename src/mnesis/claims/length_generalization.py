"""A recurrent network that fails beyond its training length is mended by some hundred updates from other starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from ..learn import Recipe, Stage
from ..nets import LanguageModel
from ..tasks.language.text import Text
from .bands import Line, PlaceExam, draw_bands, ends_of_bands, rise, table_of_bands
from .claim import Scale, Table, Verdict, Work
from .trials import Phase, TrainedClaim, Trial

FRESH, CARRIED, FITTED, NOISE = "fresh", "carried", "fitted noise", "noise"
"""What the further updates start from."""
RISE, MENDED, LEFT = 0.2, 0.25, 0.75
FAR = 16
"""Tests are so many times as long as trainings."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    dim: int
    depth: int
    length: int
    """T: of the trained sequences."""
    batch: int
    steps: int
    further: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 1, 16, 4, 4, 3, 4),
    "laptop": Setting(64, 2, 64, 16, 2000, 500, 100),
    "full": Setting(256, 6, 512, 32, 20_000, 500, 400),
}


class LengthGeneralization(TrainedClaim):
    """A language model with retention, read to sixteen times the length that it was trained on.

    Two layers of d = 64 with two heads, on generated prose by characters, sequences of T = 64, 2,000 updates from fresh
    states. Then 500 more of the same training, from starts of four kinds: fresh again (the control), carried (where the
    last batch of unrelated sequences ended: the paper's state passing), noise fitted to those ends head by head, and
    noise of one deviation, 0.3. Losses are means over places of 100 sequences of 1,024 characters of unseen text, by
    bands: (T/2, T], (T, 2T] and so on. Full scale: six layers of d = 256, T = 512, 20,000 updates.

    The paper mends pretrained Mamba-2 and others, trained to 2,048 tokens. Retention was chosen beforehand, with
    another seed, because a network this small shows the breakdown with it and not with GLA, whose gates learn to forget
    within T: states of retention add up what never came together in training.
    """

    name = "length-generalization"
    paper = "buitrago2025length"
    statement = (
        "Recurrent models fail beyond their training length because they never saw such states; 500 updates that start "
        "from the final states of other sequences mend it."
    )
    predicate = (
        "with rise = mean loss at places (8T, 16T] less that at (T/2, T], mean over seeds: holds if the rise after "
        "updates from carried states is at most a quarter of that before them, and after as many updates from fresh "
        "states at least three quarters of it; inconclusive if it was less than 0.2 nats before; else does not hold"
    )

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], start, seed)
            for seed in self.seeds[scale]
            for start in (CARRIED, FITTED, NOISE, FRESH)
        ]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"trained": SETTINGS[scale].length, **super().measure(scale, work)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        before = rise(figures, FRESH, "trained")
        if before < RISE:
            return "inconclusive"
        carried, fresh = (rise(figures, start, "updated") / before for start in (CARRIED, FRESH))
        return "holds" if carried <= MENDED and fresh >= LEFT else "does not hold"

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        return {"": draw_bands(figures, _lines(figures))}

    def table(self, figures: Mapping[str, Any]) -> Table:
        return table_of_bands(figures, _lines(figures))


def _lines(figures: Mapping[str, Any]) -> list[Line]:
    updates = next(training["updates"] for training in figures["trainings"] if training["phase"] == "updated")
    starts = dict.fromkeys(point["model"] for point in figures["points"])
    words = {
        FRESH: "fresh again",
        CARRIED: "from carried states",
        FITTED: "from noise fitted to them",
        NOISE: "from noise",
    }
    lines = [Line(FRESH, "trained", "from fresh states alone")]
    return lines + [Line(start, "updated", f"+ {updates} updates, {words[start]}") for start in starts]


def _trial(setting: Setting, start: Any, seed: int) -> Trial:
    """Trials of one seed are one training until they part."""
    task, length = Text(), setting.length
    build = partial(
        LanguageModel, task.vocabulary, dim=setting.dim, memory="retention", depth=setting.depth, options={"heads": 2}
    )
    stages = {
        "trained": Stage(length, setting.batch, setting.steps),
        "updated": Stage(length, setting.batch, setting.further, start=start, start_deviation=0.3),
    }
    phases = []
    for name, stage in stages.items():
        rate = 3e-3 if name == "trained" else 1e-3
        recipe = Recipe((stage,), learning_rate=rate, warm_up=50, seed=seed + 1000 * len(phases))
        exams = tuple(PlaceExam(end, name, low, FAR * length, setting.rows) for low, end in ends_of_bands(length, FAR))
        phases.append(Phase(name, build, task, recipe, exams))
    return Trial(start, seed, tuple(phases))
