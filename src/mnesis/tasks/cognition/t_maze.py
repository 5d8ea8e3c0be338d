"""T-maze: a cue at the entrance of a corridor says which way to turn at its end."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...core.domain import Size
from ...core.task import Episode, Task

CORRIDOR, JUNCTION, KINDS = 0, 3, 4
"""Observations; the two cues, 1 and 2, stand between."""
RIGHT = 0


class TMaze(Task):
    """A cue at the first step, a corridor that always looks alike, and a junction: turn as the cue said.

    The passive T-maze of Ni et al. 2023 (arXiv 2307.03864), after Bakker 2001, without rewards: what is read are the
    observations of an agent that knows the way, what is said its actions. One example of a corridor of five steps,
    ``^`` the cue for up, ``=`` the corridor, ``T`` the junction, ``.`` what carries no weight::

        inputs   ^ = = = = T
        targets  . . . . . up

    The agent starts where the cue is and goes right at every step, so that a corridor of L steps has L + 1
    observations, the last of them the junction. With ``noise`` every observation has several looks, which mean nothing
    and are drawn at every step, as Cherepanov et al. 2025 (ELMUR, arXiv 2510.07151) add one of three numbers to each.

    Tokens: 0 is the corridor, 1 the cue for up, 2 the cue for down, 3 the junction; look n of an observation adds 4 n.
    Answers: 0 is right, 1 up, 2 down. ``length`` counts steps of the corridor, the most that it has where ``shortest``
    is given. Chance is 1/2, that of the turn; where every step is asked for, the others are sure from what is seen, and
    whoever always goes right is right in L of L + 1 of them.

    Args:
        every: ask for the right action at every step; False = at the junction alone.
        noise: looks of every observation; 1 = no noise, 3 = as in ELMUR's.
        shortest: steps of the shortest corridor; every row draws its own, from this to ``length``, and ends at its
            junction. None = all have ``length``.
    """

    def __init__(self, *, every: bool = False, noise: Size = 1, shortest: Size | None = None) -> None:
        self.every, self.noise, self.shortest = every, noise, shortest
        self.vocabulary, self.chance = KINDS * noise, 0.5

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` walks through corridors of ``length`` steps.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or corridors shorter than the shortest.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        shortest = length if self.shortest is None else self.shortest
        if length < shortest:
            raise ValueError(f"length = {length}: the shortest corridor has {shortest} steps; give as many or more")
        device = generator.device
        steps = torch.randint(shortest, length + 1, (batch, 1), generator=generator, device=device)
        cue = torch.randint(1, JUNCTION, (batch, 1), generator=generator, device=device)
        seen = torch.full((batch, length + 1), CORRIDOR, device=device)
        seen[:, :1] = cue
        seen.scatter_(1, steps, JUNCTION)
        look = torch.randint(self.noise, seen.shape, generator=generator, device=device)
        walked = torch.arange(length + 1, device=device) <= steps
        targets = torch.full_like(seen, RIGHT).scatter_(1, steps, cue)
        weight = walked if self.every else seen == JUNCTION
        ends = None if self.shortest is None else steps[:, 0] + 1
        return Episode((seen + KINDS * look) * walked, targets, weight.float(), length=ends)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """Only the turn is not seen in what stands before one."""
        return torch.where(_at_junction(episode), -1.0, 0.0)

    def items(self, length: int) -> int | None:
        """The cue; where every step is asked for, most answers need none."""
        return None if self.every else 1

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the cue to the turn; 0 elsewhere, where the present unit says it."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return time * _at_junction(episode)


def _at_junction(episode: Episode) -> Bool[Tensor, "B T"]:
    return episode.inputs % KINDS == JUNCTION
