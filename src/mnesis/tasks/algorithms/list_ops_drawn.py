"""Random nested expressions of ListOps, grown level by level, many at once."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

SYMBOLS = (*"0123456789", "]", "[MIN", "[MAX", "[MED", "[SM", "[FIRST", "[LAST")
"""By token id."""
CLOSE, MIN, OPERATORS = 10, 11, 4
"""The closing bracket, the first operator, and how many are drawn: FIRST and LAST come in files alone."""
NESTED = 0.25
"""Probability that an argument is an expression and no digit."""
SHORTEST = 4
"""An operator, two digits and a bracket."""
COMMON = 256
"""Symbols, at most, of the expressions whose values make chance."""
IN_VAIN, FOUND = 2**18, 16
"""After so many expressions with fewer of the right length among them there will hardly be more."""
AT_ONCE = 2**22
"""Symbols of the expressions that grow side by side, at most."""


@cache
def values(shortest: int, longest: int, depth: int, arguments: int) -> Int[Tensor, " N"]:
    """Of expressions that are always the same."""
    count = min(max(2**20 // longest, 512), 2**14)
    return torch.from_numpy(drawn(count, shortest, longest, depth, arguments, np.random.default_rng(0))[2])


class _Level(NamedTuple):
    """All operators at one depth of many expressions, with their arguments in order."""

    tree: np.ndarray
    """Of each operator, as the next two."""
    operator: np.ndarray
    many: np.ndarray
    """Arguments."""
    parent: np.ndarray
    """Of each argument, as the next."""
    digit: np.ndarray
    nested: np.ndarray
    """The arguments that are the operators of the next level, in their order."""


def drawn(
    batch: int, shortest: int, longest: int, depth: int, arguments: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expressions of more than ``shortest`` symbols and at most ``longest``, how many they have, and their values."""
    parts, found, tried, count = [], 0, 0, 8 * batch
    while found < batch:
        count = min(max(count, 64), max(AT_ONCE // longest, 64))
        size, levels = _grown(count, longest, depth, arguments, generator)
        right = np.flatnonzero((size > shortest) & (size <= longest))[: batch - found]
        if len(right):
            parts.append(_written(size[right], _of(levels, right, count), longest))
        found, tried = found + len(right), tried + count
        if tried >= IN_VAIN and found < FOUND:
            raise ValueError(
                f"{found} of {tried:,} expressions have {shortest + 1} to {longest} symbols with depth = {depth}, "
                f"arguments = {arguments}; give more of these, or another length"
            )
        count = (batch - found) * tried * 5 // (4 * max(found, 1))
    tokens, units, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return tokens, units, values


def _grown(
    trees: int, longest: int, depth: int, arguments: int, generator: np.random.Generator
) -> tuple[np.ndarray, list[_Level]]:
    """Expressions level by level, all at once, and their sizes; what is too long for sure grows no further."""
    levels, size, tree = [], np.full(trees, SHORTEST), np.arange(trees)
    for level in range(1, depth):
        if not len(tree):
            break
        operator = generator.integers(OPERATORS, size=len(tree))
        many = generator.integers(2, arguments + 1, size=len(tree))
        parent = np.arange(len(tree)).repeat(many)
        digit = generator.integers(10, size=len(parent))
        nested = generator.random(len(parent)) < (NESTED if level < depth - 1 else 0)
        own = tree[parent]
        # Two digits were counted for what an operator still lacked: what it has is told now.
        size += np.bincount(own, minlength=trees) - 2 * np.bincount(tree, minlength=trees)
        size += (SHORTEST - 1) * np.bincount(own[nested], minlength=trees)
        inner = np.flatnonzero(nested & (size <= longest)[own])
        levels.append(_Level(tree, operator, many, parent, digit, inner))
        tree = own[inner]
    return size, levels


def _of(levels: list[_Level], chosen: np.ndarray, trees: int) -> list[_Level]:
    """Some of the expressions, numbered anew."""
    rank, kept = np.full(trees, -1), []
    rank[chosen] = np.arange(len(chosen))
    for tree, operator, many, parent, digit, nested in levels:
        new = rank[tree]
        here = new >= 0
        there = here[parent]
        place, at = here.cumsum() - 1, there.cumsum() - 1
        inner = at[nested[there[nested]]]
        kept.append(_Level(new[here], operator[here], many[here], place[parent[there]], digit[there], inner))
    return kept


def _written(size: np.ndarray, levels: list[_Level], longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symbols of expressions, how many, and the values."""
    sizes, value, inner = [], np.zeros(0, int), np.zeros(0, int)
    for level in reversed(levels):
        worth, wide = level.digit.copy(), np.ones_like(level.digit)
        worth[level.nested], wide[level.nested] = value, inner
        value = _computed(level, worth)
        inner = 2 + np.bincount(level.parent, wide, len(level.many)).astype(int)
        sizes.append((inner, wide))
    tokens, at = np.zeros((len(size), longest), int), np.zeros(len(size), int)
    for level, (own, wide) in zip(levels, reversed(sizes), strict=True):
        tokens[level.tree, at], tokens[level.tree, at + own - 1] = MIN + level.operator, CLOSE
        before, first = wide.cumsum() - wide, level.many.cumsum() - level.many
        place = (at - before[first])[level.parent] + 1 + before
        tokens[level.tree[level.parent], place] = level.digit  # of nested ones too, until the next level
        at = place[level.nested]
    return tokens, size, value


def _computed(level: _Level, worth: np.ndarray) -> np.ndarray:
    """The values of operators, from how many of their arguments are 0, 1, .. 9."""
    count = np.bincount(10 * level.parent + worth, minlength=10 * len(level.many)).reshape(-1, 10)
    below, last = count.cumsum(1), level.many - 1

    def ranked(place: np.ndarray) -> np.ndarray:
        return (below <= place[:, None]).sum(1)

    median = (ranked(last // 2) + ranked((last + 1) // 2)) // 2
    values = np.stack([ranked(0 * last), ranked(last), median, count @ np.arange(10) % 10])
    return values[level.operator, np.arange(len(last))]
