"""How readers are trained on BABILong: phases, each with its window and its curriculum.

What was found (docs/results/babilong.md has the figures): a memory that starts before the network can answer inside
one segment gets stuck at "the latest room, whoever is asked", so the first phase has segments of 64, many questions
and no use for a memory; the second writes and reads short stories over a few of them; from then on rows live long lives
on carried states, asked all the while. Open write gates are penalised late, because what is closed before it has found
its use stays closed. In the last phase windows are no whole segments, so that forks ask all over the segments.
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
    questions: float
    """Mean number of questions inside a window."""
    forks: int
    """Questions put to forks of the state after each window."""
    facts: int | None = None
    """The longest story in a life; None = as bAbI's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Constructor arguments of the memory in this phase alone."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, kept with the run."""
        return {**asdict(self), "recipe": self.recipe.as_json(), "options": dict(self.options)}


class Long(NamedTuple):
    """A phase of long lives."""

    life: int
    """Tokens of the longest."""
    rows: int
    updates: int
    window: int
    segment: int
    rate: float
    questions: float
    """Inside a window, on average."""
    penalty: float
    """On open write gates."""


LONG: dict[str, list[Long]] = {
    "demo": [
        Long(16_384, 16, 1200, 256, 256, 2e-3, 0.2, 0.0),
        Long(64_512, 16, 1000, 448, 512, 1e-3, 0.0, 0.003),
    ],
    "standard": [
        Long(16_384, 16, 1200, 256, 256, 2e-3, 0.2, 0.0),
        Long(64_000, 16, 1000, 500, 512, 1e-3, 0.0, 0.003),
    ],
    "reader": [
        Long(16_384, 16, 1500, 256, 256, 2e-3, 0.2, 0.0),
        Long(256_000, 16, 7000, 500, 512, 1e-3, 0.0, 0.01),
    ],
}
"""The phases after the first two. Windows of 500 in segments of 512 ask at every fourth place of a segment, those of
448 at eight places: each has tensors of its own shapes, which costs memory and time."""


def _phase(
    length: int,
    batch: int,
    steps: int,
    *,
    window: int,
    segment: int,
    seed: int,
    rate: float,
    questions: float = 0.0,
    forks: int = 4,
    facts: int | None = None,
    promote: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Phase:
    stage = Stage(length, batch, steps, truncation=window, promote=promote, update="window")
    recipe = Recipe(
        (stage,),
        learning_rate=rate,
        schedule="cosine" if promote is None else "constant",
        warm_up=50,
        weight_decay=0.01,
        betas=(0.9, 0.95),
        seed=seed,
        save_every=100,
        log_every=20,
    )
    return Phase(recipe, window, segment, questions, forks, facts, options or {})


def phases(name: str, *, memory: str, seed: int = 0) -> list[Phase]:
    """The phases of a recipe.

    Args:
        name: "demo" (minutes), "standard" (half an hour on one core) or "reader" (the one that ships, up to two hours).
        memory: whose it is; write gates are penalised where there are such.
        seed: of the training.

    Raises:
        ValueError: an unknown name.
    """
    if name not in LONG:
        raise ValueError(f"no recipe is called {name!r}; there are {', '.join(LONG)}")
    first = _phase(64, 64, 600, window=64, segment=64, seed=seed, rate=2e-3, questions=6.0, forks=0, promote=0.985)
    second = _phase(256, 32, 500, window=64, segment=64, seed=seed + 1, rate=2e-3, facts=4, promote=0.975)
    later = []
    for index, long in enumerate(LONG[name]):
        phase = _phase(
            long.life,
            long.rows,
            long.updates,
            window=long.window,
            segment=long.segment,
            seed=seed + 2 + index,
            rate=long.rate,
            questions=long.questions,
            options={"gate_penalty": long.penalty} if memory == "armt" and long.penalty else None,
        )
        later.append(phase)
    return [first, second, *later]
