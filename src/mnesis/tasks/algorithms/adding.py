"""The adding problem: two numbers of a long sequence, marked, to be added at its end."""

from __future__ import annotations

import torch

from ...core.task import Episode, Task


class Adding(Task):
    """Say the sum of the two marked numbers at the last unit.

    The problem of Hochreiter and Schmidhuber 1997 as Arjovsky et al. 2016 (arXiv 1511.06464, section 5.3) pose it: each
    unit is a number from [0, 1) and a mark, one mark in each half of the sequence. One example::

        inputs   0.3 0.9 0.1 0.7 0.5 0.2
                  0   1   0   0   1   0
        targets   .   .   .   .   .  1.4

    ``length`` counts units. Always saying 1, the mean, errs by 1/6 on average in the square.
    """

    vocabulary, features, target_features, chance = 0, 2, 1, 0.0

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units.

        Raises:
            ValueError: ``batch`` below 1, or too few units for a mark in each half.
        """
        if batch < 1 or length < 2:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 2 units or more to mark")
        device, half = generator.device, length // 2
        numbers = torch.rand(batch, length, generator=generator, device=device)
        first = torch.randint(half, (batch, 1), generator=generator, device=device)
        second = torch.randint(half, length, (batch, 1), generator=generator, device=device)
        marked = torch.cat([first, second], 1)
        marks = torch.zeros_like(numbers).scatter_(1, marked, 1.0)
        targets, weight = torch.zeros(batch, length, 1, device=device), torch.zeros_like(numbers)
        targets[:, -1] = numbers.gather(1, marked).sum(1, keepdim=True)
        weight[:, -1] = 1
        return Episode(torch.stack([numbers, marks], -1), targets, weight)
