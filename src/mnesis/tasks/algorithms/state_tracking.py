"""State tracking: multiply the elements of a group as they come, and say the product so far."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.task import Episode, Task

Permutation = tuple[int, ...]
LARGEST = 5040
"""Elements at most: the table of products has their square."""


class StateTracking(Task):
    """Words over a finite group: at every unit say the product of all elements so far.

    Ebrahimi and Memisevic 2025 (arXiv 2505.21749) ask recurrences for sums modulo a number, Grazzi et al. 2024 (arXiv
    2411.12537) and others for products of permutations. Sums modulo 2 are parity; groups that commute are sums in
    several such numbers, while permutations of five cannot be solved by constant depth, so far as anybody knows. One
    example of sums modulo 5::

        inputs   3 4 0 1 4
        targets  3 2 2 3 2

    Elements are permutations of ``order`` points, the identity first; the product so far is multiplied by the next
    element from the right, which permutes first. ``length`` counts elements. Chance is 1 / elements.

    Args:
        group: "cyclic" (turns of ``order`` points: sums modulo ``order``), "dihedral" (turns and reflections),
            "symmetric" (all permutations) or "alternating" (the even ones).
        order: points.
        generators_only: inputs are the identity and a few elements that generate the group, rather than all.
        every: False = only the last product is asked for.

    Raises:
        ValueError: an unknown group, too few points for it, or more than 5,040 elements.
    """

    def __init__(
        self, group: str = "symmetric", *, order: int = 3, generators_only: bool = False, every: bool = True
    ) -> None:
        generators = _generators(group, order)
        elements = _closure(generators, order)
        index = {element: number for number, element in enumerate(elements)}
        # The right one permutes first: (a b)(point) = a(b(point)).
        products = [[index[tuple(a[point] for point in b)] for b in elements] for a in elements]
        self.table = torch.tensor(products)
        """The number of a b in row a and column b."""
        self.group, self.order, self.every = group, order, every
        self.choices = torch.tensor([0, *(index[g] for g in generators)] if generators_only else range(len(elements)))
        self.vocabulary, self.chance = len(elements), 1 / len(elements)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` words of ``length`` elements, each as likely as any other.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device = generator.device
        drawn = torch.randint(len(self.choices), (batch, length), generator=generator, device=device)
        inputs = self.choices.to(device)[drawn]
        weight = torch.ones(batch, length, device=device)
        if not self.every:
            weight[:, :-1] = 0.0
        return Episode(inputs=inputs, targets=self.products(inputs), weight=weight)

    def products(self, elements: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Of all elements so far, by doubling: log2 T lookups."""
        table, products, reach = self.table.to(elements.device), elements, 1
        while reach < elements.shape[1]:
            longer = table[products[:, :-reach], products[:, reach:]]
            products = torch.cat([products[:, :reach], longer], 1)
            reach *= 2
        return products


def _generators(group: str, order: int) -> list[Permutation]:
    points = tuple(range(order))
    turn, swap = (*points[1:], *points[:1]), (*points[1::-1], *points[2:])
    least = {"cyclic": 2, "dihedral": 3, "symmetric": 2, "alternating": 3}
    if group not in least:
        raise ValueError(f"there is no group {group!r}; choose one of {', '.join(least)}")
    if order < least[group]:
        raise ValueError(f"order = {order}: a {group} group needs {least[group]} points or more")
    if group == "cyclic":
        return [turn]
    if group == "dihedral":
        return [turn, points[::-1]]
    if group == "symmetric":
        return [swap] if order == 2 else [swap, turn]
    # Three points in a ring, the last of which is any but the first two.
    return [tuple({0: 1, 1: last, last: 0}.get(point, point) for point in points) for last in range(2, order)]


def _closure(generators: list[Permutation], order: int) -> list[Permutation]:
    """All products, in the order in which they are found."""
    found = {tuple(range(order)): None}
    waiting = list(found)
    while waiting:
        element = waiting.pop(0)
        for generator in generators:
            product = tuple(element[point] for point in generator)
            if product not in found:
                found[product] = None
                waiting.append(product)
        if len(found) > LARGEST:
            raise ValueError(f"order = {order} makes more than {LARGEST:,} elements; give fewer points")
    return list(found)
