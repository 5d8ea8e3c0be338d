"""How readers are trained on BABILong: phases, each with its window and its curriculum.

What was found (docs/results/babilong.md has the figures): a memory that starts before the network can answer inside
one segment gets stuck at "the latest room, whoever is asked", so the first phase has one segment, many questions and no
use for a memory; the second writes and reads stories over a few of them; from then on rows live long lives on carried
states, asked all the while. Tasks that join facts need segments in which these stand together, and the questions of the
easier tasks beside their own. Open write gates are penalised late, because what is closed before it has found its use
stays closed. In the last phase windows are no whole segments, so that forks ask all over the segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ..learn import Recipe, Stage


@dataclass(frozen=True)
class Phase:
    """One part of a training: a window, what stands in it, and how it is learned."""

    recipe: Recipe
    window: int
    """Units between forks and truncation."""
    segment: int
    """Of a segment memory; every life is whole segments. Windows of another length ask all over the segments."""
    lives: Mapping[str, Any] = field(default_factory=dict)
    """What else :class:`~mnesis.tasks.stories.babilong.lives.BABILongLives` is told."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Constructor arguments of the memory in this phase alone."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, kept with the run."""
        return {**asdict(self), "recipe": self.recipe.as_json()}


class _Plan(NamedTuple):
    """The numbers of a phase."""

    life: int
    """Tokens of the longest."""
    rows: int
    updates: int
    window: int
    segment: int
    rate: float
    lives: Mapping[str, Any]
    promote: float | None = None
    """Accuracy at which the phase ends early; its rate is constant then, else it falls as a cosine."""
    penalty: float = 0.0
    """On open write gates."""

    def phase(self, memory: str, seed: int, told: Mapping[str, Any]) -> Phase:
        stage = Stage(self.life, self.rows, self.updates, truncation=self.window, promote=self.promote, update="window")
        recipe = Recipe(
            (stage,),
            learning_rate=self.rate,
            schedule="cosine" if self.promote is None else "constant",
            warm_up=50,
            weight_decay=0.01,
            betas=(0.9, 0.95),
            seed=seed,
            save_every=100,
            log_every=20,
        )
        options = {"gate_penalty": self.penalty} if memory == "armt" and self.penalty else {}
        return Phase(recipe, self.window, self.segment, {**self.lives, **told}, options)


_ONE_FACT = [
    _Plan(64, 64, 600, 64, 64, 2e-3, {"questions": 6.0, "forks": 0}, promote=0.985),
    _Plan(256, 32, 500, 64, 64, 2e-3, {"questions": 0.0, "facts": 4}, promote=0.975),
]
"""The first phases of task 1."""

_JOINED_FACTS = [
    _Plan(256, 32, 1200, 256, 256, 2e-3, {"questions": 8.0, "forks": 0}),
    _Plan(2048, 32, 1000, 256, 256, 1e-3, {"questions": 2.0}),
    _Plan(16_384, 32, 1200, 256, 256, 1e-3, {"questions": 1.0}),
]
"""The phases of tasks 2 and 3 before the last."""

_LONG_LIVES = _Plan(16_384, 16, 1200, 256, 256, 2e-3, {"questions": 0.2})

LONG: dict[str, list[_Plan]] = {
    "quick": [
        _Plan(4096, 16, 250, 256, 256, 2e-3, {"questions": 1.0}),
        _Plan(7680, 16, 400, 480, 512, 2e-3, {"questions": 0.5}, penalty=0.003),
    ],
    "demo": [
        _LONG_LIVES,
        _Plan(64_320, 16, 1000, 480, 512, 1e-3, {"questions": 0.0}, penalty=0.003),
    ],
    "standard": [
        _LONG_LIVES,
        _Plan(64_000, 16, 1000, 500, 512, 1e-3, {"questions": 0.0}, penalty=0.003),
    ],
    "reader": [
        _LONG_LIVES._replace(updates=1500),
        _Plan(256_000, 16, 7000, 500, 512, 1e-3, {"questions": 0.0}, penalty=0.01),
    ],
}
"""The later phases of task 1; tasks 2 and 3 end with the last of them. Windows of 500 in segments of 512 ask at every
fourth place of a segment, those of 480 at sixteen places: each has tensors of its own shapes, which costs memory and
time."""


_HOSTED = [
    _Plan(128, 2, 350, 128, 64, 1e-3, {"questions": 1.0, "forks": 6, "facts": 3, "language": 0.1}),
    _Plan(4096, 2, 50, 512, 256, 5e-4, {"questions": 1.0, "forks": 6, "language": 0.1}),
]
"""Of a pretrained host, which knows English and costs a thousand times as much a token. Both ask it to go on with the
text, too, or it forgets how; asked for twice as much of it, and of fewer facts, it never comes to use its memory.
Windows are two segments: where gradients end with each, nothing tells a layer that what it reads is written anew,
larger, by the layers above, and within ten segments the state drowns the model."""


def phases(name: str, *, number: int = 1, memory: str, seed: int = 0) -> list[Phase]:
    """The phases of a recipe.

    Args:
        name: "quick" (some minutes), "demo" (a quarter of an hour), "standard" (half an hour on one core), "reader"
            (the one that ships, up to two hours) or "hosted" (half an hour for a host of 135 million weights).
        number: of the bAbI task.
        memory: whose it is; write gates are penalised where there are such.
        seed: of the training.

    Raises:
        ValueError: an unknown name.
    """
    if name not in (*LONG, "hosted"):
        raise ValueError(f"no recipe is called {name!r}; there are {', '.join(LONG)} and hosted")
    told = {} if number == 1 else {"easier": True, "renamed": True}
    if name == "hosted":
        plans = _HOSTED
    else:
        plans = [*_ONE_FACT, *LONG[name]] if number == 1 else [*_JOINED_FACTS, LONG[name][-1]]
    return [plan.phase(memory, seed + index, told) for index, plan in enumerate(plans)]
