"""A recurrent network that fails beyond its training length is mended by some hundred updates from other starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..learn import Stage
from ..tasks.language.text import Text
from .bands import FAR, SETTINGS, BandsClaim, Line, PlaceExam, Setting, rise
from .claim import Scale, Verdict
from .points import models
from .trials import Phase, Trial, phase

FRESH, CARRIED, FITTED, NOISE = "fresh", "carried", "fitted noise", "noise"
"""What the further updates start from."""
RISE, MENDED, LEFT = 0.2, 0.25, 0.75
FURTHER: dict[Scale, int] = {"smoke": 3, "laptop": 500, "full": 500}
"""Updates from other starts."""


class LengthGeneralization(BandsClaim):
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
            _trial(SETTINGS[scale], FURTHER[scale], start, seed)
            for seed in self.seeds[scale]
            for start in (CARRIED, FITTED, NOISE, FRESH)
        ]

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        before = rise(figures, FRESH, "trained")
        if before < RISE:
            return "inconclusive"
        carried, fresh = (rise(figures, start, "updated") / before for start in (CARRIED, FRESH))
        return "holds" if carried <= MENDED and fresh >= LEFT else "does not hold"

    def lines(self, figures: Mapping[str, Any]) -> list[Line]:
        updates = next(training["updates"] for training in figures["trainings"] if training["phase"] == "updated")
        words = {
            FRESH: "fresh again",
            CARRIED: "from carried states",
            FITTED: "from noise fitted to them",
            NOISE: "from noise",
        }
        before = Line(FRESH, "trained", "from fresh states alone")
        return [before, *(Line(start, "updated", f"+ {updates} updates, {words[start]}") for start in models(figures))]


def _trial(setting: Setting, further: int, start: Any, seed: int) -> Trial:
    """Trials of one seed are one training until they part."""
    first = Stage(setting.length, setting.batch, setting.steps)
    then = Stage(setting.length, setting.batch, further, start=start, start_deviation=0.3)
    phases = (_phase(setting, "trained", seed, first, 3e-3), _phase(setting, "updated", seed + 1000, then, 1e-3))
    return Trial(start, seed, phases)


def _phase(setting: Setting, name: str, seed: int, stage: Stage, rate: float) -> Phase:
    exams = tuple(PlaceExam(end, name, low, FAR * setting.length, setting.rows) for low, end in setting.bands)
    return phase(name, seed, setting.build, Text(), (stage,), exams, rate=rate)
