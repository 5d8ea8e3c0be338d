"""All prefixes of any associative operation, in about 2 log2 T vector steps and 2 T applications.

Odd places are combined with their left neighbours, scanned at half the length, and even places follow from the odd ones
before them (Blelloch 1990, as in jax.lax.associative_scan). For research: a memory whose state can be summed up by a
monoid needs nothing else to be computed in parallel. On a CPU the forms that go in chunks are several times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

E = TypeVar("E")


def associative_scan(combine: Callable[[E, E], E], elements: E, dim: int = 1) -> E:
    """e_1, e_1 * e_2, e_1 * e_2 * e_3, ...

    Args:
        combine: (earlier, later) -> both; associative, and elementwise along ``dim``.
        elements: a tree of tensors, all of the same length along ``dim``.
        dim: of time.

    Raises:
        ValueError: no tensors, no elements, or lengths that differ.
    """
    lengths = {leaf.shape[dim] for leaf in tree_flatten(elements)[0]}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"elements of lengths {sorted(lengths)} along dim {dim} cannot be scanned; give one length, at least 1"
        )
    return _scan(combine, elements, dim, lengths.pop())


def _scan(combine: Callable[[E, E], E], elements: E, dim: int, length: int) -> E:
    if length == 1:
        return elements
    earlier, later = _every_second(elements, dim, 0, length // 2), _every_second(elements, dim, 1, length // 2)
    odd = _scan(combine, combine(earlier, later), dim, length // 2)
    first = tree_map(lambda leaf: leaf.narrow(dim, 0, 1), elements)
    rest = (length - 1) // 2
    if not rest:
        return _interleave(first, odd, dim)
    before = tree_map(lambda leaf: leaf.narrow(dim, 0, rest), odd)
    even = combine(before, _every_second(elements, dim, 2, rest))
    return _interleave(_map(lambda a, b: torch.cat([a, b], dim), first, even), odd, dim)


def _every_second(elements: E, dim: int, start: int, count: int) -> E:
    def pick(leaf: Tensor) -> Tensor:
        stop = start + 2 * count - 1
        return leaf[(slice(None),) * (dim % leaf.ndim) + (slice(start, stop, 2),)]

    return tree_map(pick, elements)


def _interleave(even: E, odd: E, dim: int) -> E:
    """Even places are as many as odd ones, or one more."""

    def weave(a: Tensor, b: Tensor) -> Tensor:
        axis, count = dim % a.ndim, b.shape[dim]
        pairs = torch.stack([a.narrow(axis, 0, count), b], axis + 1).flatten(axis, axis + 1)
        return torch.cat([pairs, a.narrow(axis, count, a.shape[axis] - count)], axis)

    return _map(weave, even, odd)


def _map(function: Callable[[Tensor, Tensor], Tensor], a: E, b: E) -> E:
    left, form = tree_flatten(a)
    return tree_unflatten([function(x, y) for x, y in zip(left, tree_flatten(b)[0], strict=True)], form)
