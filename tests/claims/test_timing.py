"""What calls cost: medians of those that take turns, and the memory of one alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mnesis.claims.timing import alone, taking_turns

MEBIBYTE = 2**20


def filled(size: int) -> Callable[[], object]:
    """A call that brings so many bytes along and copies them."""
    return np.ones(size, np.uint8).copy


def test_calls_take_turns() -> None:
    called: list[str] = []
    found = taking_turns({name: partial(called.append, name) for name in "ab"}, 2)
    assert called == ["a", "b", "a", "b", "a", "b"], "each once before it is timed"
    assert list(found) == ["a", "b"]
    assert min(found.values()) >= 0


def test_the_memory_of_a_call_is_what_it_brings_along_and_what_it_makes() -> None:
    seconds, held = alone(partial(filled, 64 * MEBIBYTE), partial(filled, 1), 1)
    assert seconds >= 0
    assert 100 * MEBIBYTE < held < 160 * MEBIBYTE
