"""Multi-query associative recall: many pairs first, then every key again, somewhere among other symbols."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.task import Episode, Task


class MultiQueryRecall(Task):
    """Pairs of key and value, then each key once more: say its value there and then.

    The task of Arora et al. 2023 (Zoology, arXiv 2312.04927), as its code draws it. One example of three pairs in 14
    units, ``.`` what carries no weight; filler symbols stand between the queries::

        inputs   k4 v9 k1 v2 k7 v5 k1 f  k7 f  f  f  k4 f
        targets  .  .  .  .  .  .  v2 .  v5 .  .  .  v9 .

    Keys and values of a sequence are all different. Where queries stand follows a power law: of the places behind the
    pairs, every second one, the n-th is taken with weight n^(power - 1), so that most keys come again soon and some
    after long. Fillers are random symbols of the whole vocabulary, or one silent symbol.

    Tokens: 0 is silent, keys are 1 to vocabulary / 2 - 1, values the rest. ``length`` counts pairs. Chance is that of a
    value drawn blindly, 2 / vocabulary.

    Args:
        vocabulary: symbols, half of them values.
        units: of a sequence; None = four times the pairs, the least that holds them.
        power: of the law; 1 = queries anywhere.
        random_fillers: False = silence between queries.

    Raises:
        ValueError: a vocabulary below 4, or a power that is not positive.
    """

    def __init__(
        self, *, vocabulary: int = 8192, units: int | None = None, power: float = 0.01, random_fillers: bool = True
    ):
        if vocabulary < 4:
            raise ValueError(f"vocabulary = {vocabulary} has no two values; give 4 or more")
        if power <= 0:
            raise ValueError(f"power = {power}: places need weights above 0; give a number above 0")
        self.vocabulary, self.units, self.power, self.random_fillers = vocabulary, units, power, random_fillers
        self.chance = 1 / (vocabulary - vocabulary // 2)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` pairs.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, more pairs than keys, or than the units hold.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        half = self.vocabulary // 2
        units = 4 * length if self.units is None else self.units
        if length >= half:
            raise ValueError(
                f"{length} pairs need as many different keys, but a vocabulary of {self.vocabulary} has {half - 1}; "
                "raise it"
            )
        if 4 * length > units:
            raise ValueError(f"{length} pairs and their queries need {4 * length} units, not {units}; raise units")
        device = generator.device
        keys = 1 + _choice(torch.zeros(half - 1, device=device), batch, length, generator)
        values = half + _choice(torch.zeros(self.vocabulary - half, device=device), batch, length, generator)
        place = torch.arange(1, (units - 2 * length) // 2 + 1, device=device)
        place = 2 * length + 2 * _choice((self.power - 1) * place.log(), batch, length, generator)
        if self.random_fillers:
            inputs = torch.randint(self.vocabulary, (batch, units), generator=generator, device=device)
        else:
            inputs = torch.zeros(batch, units, dtype=torch.long, device=device)
        inputs[:, : 2 * length] = torch.stack([keys, values], -1).flatten(1)
        inputs.scatter_(1, place, keys)
        targets = torch.zeros_like(inputs).scatter_(1, place, values)
        weight = torch.zeros(batch, units, device=device).scatter_(1, place, 1.0)
        return Episode(inputs=inputs, targets=targets, weight=weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From a key's value to its question."""
        time = episode.inputs.shape[1]
        place = torch.arange(time, device=episode.inputs.device).expand_as(episode.inputs)
        pairs = int(episode.weight[0].sum())
        stored = torch.zeros(len(place), self.vocabulary, dtype=torch.long, device=place.device)
        stored.scatter_(1, episode.inputs[:, : 2 * pairs : 2], place[:, 1 : 2 * pairs : 2])
        return place - stored.gather(1, episode.inputs)


def _choice(log_weight: Tensor, batch: int, count: int, generator: torch.Generator) -> Int[Tensor, "B count"]:
    """Different indices, drawn one after the other with these weights: the largest after Gumbel noise."""
    uniform = torch.rand(batch, len(log_weight), generator=generator, device=log_weight.device)
    return (log_weight - (-uniform.log()).log()).topk(count, 1).indices
