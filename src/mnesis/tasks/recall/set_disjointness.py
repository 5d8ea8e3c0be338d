"""Set disjointness: two sets one after the other, of which one is small: say what they share."""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.task import Episode, Task

FIRST, SECOND, ASK = 1, 2, 3
MARKS = 4
ORDERS = ("small first", "large first", "either")


class SetDisjointness(Task):
    """Two sets that share one member, a small one and a large one: name it when both have been read.

    The task of Arora et al. 2024 (Just read twice, arXiv 2407.05483). A memory that has read one set must hold all of
    it to find the member among the other's; of the small one that takes little, of the large one much. One example of
    2 members and 4, small first, ``.`` what carries no weight::

        inputs   <first> 9  5  <second> 21 30 5  24 <ask>
        targets  .       .  .  .        .  .  .  .  5

    Read twice, both sets come again before the question, so that either may wait for the other. All members are drawn
    from all symbols. (With a half of the symbols for each set, as the paper describes it, the odd one of the large set
    would be the answer, which needs no memory.)

    Tokens: 0 is silent, 1 to 3 are marks, members the rest. ``length`` counts the members of the large set. Chance is
    that of drawing from the small set, 1 / small.

    Args:
        vocabulary: symbols, marks included.
        small: members of the small set.
        order: which set is read first: "small first", "large first", or "either", drawn for each sequence.
        twice: both sets are read again before the question.

    Raises:
        ValueError: no member in the small set, more of them than symbols, or an unknown order.
    """

    def __init__(self, *, vocabulary: int = 2048, small: int = 4, order: str = "either", twice: bool = False) -> None:
        if not 1 <= small <= vocabulary - MARKS:
            raise ValueError(
                f"small = {small}, vocabulary = {vocabulary}: give a small set of 1 or more members, and as many "
                f"symbols beside {MARKS} marks"
            )
        if order not in ORDERS:
            raise ValueError(f"there is no order {order!r}; choose one of {', '.join(ORDERS)}")
        self.vocabulary, self.small, self.order, self.twice = vocabulary, small, order, twice
        self.chance = 1 / small

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pairs of sets, the larger of ``length`` members.

        Raises:
            ValueError: ``batch`` below 1, or a large set that is smaller than the small one or than the symbols allow.
        """
        symbols, device = self.vocabulary - MARKS, generator.device
        if batch < 1 or not self.small <= length <= symbols - self.small + 1:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 or more pairs, and a large set of {self.small} to "
                f"{symbols - self.small + 1} members; raise the vocabulary for more"
            )

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        members = MARKS + uniform(batch, symbols).topk(self.small + length - 1, 1).indices
        small, others = members.split((self.small, length - 1), 1)
        shared = small[:, :1]  # they come in random order, which both sets draw anew
        small = small.gather(1, uniform(batch, self.small).argsort(1))
        large = torch.cat([shared, others], 1).gather(1, uniform(batch, length).argsort(1))
        swapped = uniform(batch, 1) < {"small first": 0.0, "large first": 1.0, "either": 0.5}[self.order]
        first, second = small.new_full((batch, 1), FIRST), small.new_full((batch, 1), SECOND)
        sets = torch.where(
            swapped, torch.cat([first, large, second, small], 1), torch.cat([first, small, second, large], 1)
        )
        inputs = torch.cat([*[sets] * (2 if self.twice else 1), small.new_full((batch, 1), ASK)], 1)
        targets = torch.zeros_like(inputs)
        targets[:, -1:] = shared
        weight = torch.zeros(inputs.shape, device=device)
        weight[:, -1] = 1.0
        return Episode(inputs=inputs, targets=targets, weight=weight)
