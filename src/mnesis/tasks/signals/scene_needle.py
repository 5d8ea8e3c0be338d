"""Scenes of vectors, as a video's frames are, one of which holds a needle: say its value, and what stood where."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...core.domain import AtLeast, Count, Size
from ...core.task import Episode, Task


class Scenes(NamedTuple):
    """Frames, and what is known of them: for tests of what cuts or merges frames."""

    frames: Float[Tensor, "B T D"]
    begins: Bool[Tensor, "B T"]
    """True: a scene's first frame."""
    order: Int[Tensor, "B N"]
    """Which prototype each scene has."""
    place: Int[Tensor, " B"]
    """Which frame is the needle."""
    value: Int[Tensor, " B"]
    """The needle's."""


class SceneNeedle(Task):
    """Read frames of scenes, one of which is a needle; then say the needle's value, and which scene stood at a place.

    The needle in a video haystack of Wang et al. 2024 (VideoLLaMB, arXiv 2409.01071) and the scenes that Song et al.
    2023 (MovieChat, arXiv 2307.16449) condense, in vectors for networks that see no pictures. One example of three
    scenes of four frames on average; ``a``, ``b``, ``c`` are frames near the means of prototypes 5, 0 and 2, ``v`` is
    the needle, of value 1 among 8, ``?`` asks for it and ``2nd`` for the second scene::

        inputs   a a a a a b v b c c c c ? 2nd
        targets  . . . . . . . . . . . . 1  8

    Scenes follow each other without a mark, and no prototype comes twice. Their borders fall anywhere, so that scenes
    are of very unequal lengths; all of them together have ``frames`` frames a scene. The needle stands in the place of
    any frame. Frames scatter around the mean of their scene, and the needle around that of its value, with normal
    noise. Means and questions are fixed random vectors of squared length ``dim``, the same for every seed. Two features
    follow them, which mark the needle and the questions with 1.

    Answers: the values, then the prototypes. ``length`` counts scenes. Chance is that of always saying one value, or
    one prototype where that is right more often; who knows which question it is guesses one among the values or one
    among the prototypes.

    Args:
        dim: width of frames without the marks. The narrower, the closer are some means.
        prototypes: how many different scenes there are, the most that a sequence has.
        values: that a needle may have.
        frames: of a scene, on average.
        shortest: the fewest frames of a scene; as many as ``frames`` makes all scenes equally long.
        noise: deviation of each feature of a frame from its mean.
        places: how many times it is asked which scene stood at a place, each drawn anew.

    Raises:
        ValueError: fewer than two prototypes or values, a number that is too small, or scenes whose shortest would be
            longer than their mean.
    """

    def __init__(
        self,
        *,
        dim: Size = 32,
        prototypes: Annotated[int, AtLeast(2)] = 64,
        values: Annotated[int, AtLeast(2)] = 8,
        frames: Annotated[int, AtLeast(2)] = 8,
        shortest: Annotated[int, AtLeast(2)] = 2,
        noise: Annotated[float, AtLeast(0)] = 0.5,
        places: Count = 1,
    ) -> None:
        if shortest > frames:
            raise ValueError(f"shortest = {shortest} is above the mean, frames = {frames}; give no more than that")
        self.dim, self.prototypes, self.values = dim, prototypes, values
        self.frames, self.shortest, self.noise, self.places = frames, shortest, noise, places
        self.features, self.vocabulary = dim + 2, values + prototypes
        self.chance = max(1 / values, places / prototypes) / (1 + places)
        sizes = (prototypes, values, 1 + prototypes)
        vectors = torch.randn(sum(sizes), dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        vectors = (vectors * (dim**0.5 / vectors.norm(dim=1, keepdim=True))).float()
        self.scene_means, self.needle_means, self.questions = vectors.split(sizes)
        """Of prototypes and of values; questions for the needle, and for the scene at each place."""

    def scenes(self, batch: int, length: int, generator: torch.Generator, *, needle: bool = True) -> Scenes:
        """Draw the frames of ``batch`` sequences of ``length`` scenes, the same as ``episodes`` draws.

        Args:
            batch: rows.
            length: scenes of each.
            generator: the only source of randomness.
            needle: False = its frame shows its scene, as all others do, since to whoever cuts between frames that
                differ a needle is a scene of its own.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more scenes than prototypes.
        """
        if batch < 1 or not 1 <= length <= self.prototypes:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 row or more, and 1 to prototypes = {self.prototypes} "
                "scenes; raise prototypes for more"
            )
        device, time = generator.device, length * self.frames
        spare = time - length * self.shortest
        cut = torch.randint(spare + 1, (batch, length), generator=generator, device=device)
        cut[:, 0] = 0
        start = cut.sort(1).values + self.shortest * torch.arange(length, device=device)
        begins = torch.zeros(batch, time, dtype=torch.bool, device=device).scatter_(1, start, True)
        order = torch.rand(batch, self.prototypes, generator=generator, device=device).argsort(1)[:, :length]
        place = torch.randint(time, (batch,), generator=generator, device=device)
        value = torch.randint(self.values, (batch,), generator=generator, device=device)
        rows, frames = torch.arange(batch, device=device), torch.zeros(batch, time, self.features, device=device)
        means = self.scene_means.to(device)[order.gather(1, begins.cumsum(1) - 1)]
        if needle:
            means[rows, place] = self.needle_means.to(device)[value]
            frames[rows, place, self.dim] = 1
        scatter = torch.randn(means.shape, generator=generator, device=device)
        frames[..., : self.dim] = means.add_(scatter, alpha=self.noise)
        return Scenes(frames, begins, order, place, value)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` scenes, and their questions, that for the needle first.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or more scenes than prototypes.
        """
        scenes = self.scenes(batch, length, generator)
        device = generator.device
        place = torch.randint(length, (batch, self.places), generator=generator, device=device)
        asked = torch.cat([place.new_zeros(batch, 1), 1 + place], 1)
        question = torch.zeros(batch, 1 + self.places, self.features, device=device)
        question[..., : self.dim] = self.questions.to(device)[asked]
        question[..., -1] = 1
        inputs = torch.cat([scenes.frames, question], 1)
        targets, weight = inputs.new_zeros(inputs.shape[:2], dtype=torch.long), inputs.new_zeros(inputs.shape[:2])
        asks = slice(scenes.frames.shape[1], None)
        targets[:, asks] = torch.cat([scenes.value[:, None], self.values + scenes.order.gather(1, place)], 1)
        weight[:, asks] = 1
        return Episode(inputs, targets, weight)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """One among the values for the needle, one among the prototypes for a scene."""
        return torch.where(episode.targets < self.values, -math.log2(self.values), -math.log2(self.prototypes))
