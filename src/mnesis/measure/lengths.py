"""Lengths as people write them, ``1k,4k,1M`` with 1k = 1000 as in BABILong's nominal lengths; times, ``3 h 20 min``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..core.amounts import parse_amount


def parse_lengths(text: str, *, least: int = 0) -> list[int]:
    """Whole numbers of units from a list such as ``"0,512,1k,4k,1.5M"``: sorted, each once.

    Args:
        text: numbers parted by commas or spaces; ``k``, ``M`` and ``G`` (either case) multiply by 10^3, 10^6 and 10^9.
        least: what each must be at least.

    Raises:
        ValueError: no number, something that is none, or a length that is not a whole number of units in its range.
    """
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if not words:
        raise ValueError("no length was given; write some such as 1k,4k,16k (1k = 1000, 1M = 1,000,000)")
    return sorted({parse_amount(word, "length", least=least) for word in words})


def parse_pair(text: str, kinds: Sequence[str], example: str, what: str) -> tuple[Any, int]:
    """A kind and an amount of it, such as ``tokens=2M``; what it is stands in the sentence that refuses others."""
    kind, separator, amount = text.partition("=")
    if not separator or kind not in kinds:
        raise ValueError(f"{text!r} is neither {' nor '.join(kinds)}; write {example}")
    return kind, parse_amount(amount, what)


def format_length(length: float | int) -> str:
    """The short form that ``parse_lengths`` reads back exactly: 1000 is "1k", 1_500_000 "1.5M", 1024 "1024"."""
    for factor, letter in ((1_000_000, "M"), (1_000, "k")):
        if length >= factor and length % (factor // 10) == 0:
            return f"{length / factor:.12g}{letter}"
    return f"{length:g}" if length < 1_000_000 else f"{length:.0f}"


def format_duration(seconds: float | int) -> str:
    """A time as it is told: 40 s, 12 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"
