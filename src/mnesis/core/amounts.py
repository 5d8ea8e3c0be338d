"""Amounts as people write them: 512, 4k or 1M, where 1k = 1000, and sizes of files such as 2GB."""

from __future__ import annotations

import re
from decimal import Decimal

from .domain import shown

_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_MOST = 2**53
"""Beyond it units would not be counted exactly."""


def parse_amount(word: str, what: str, *, least: int = 0, example: str = "512, 4k or 1M") -> int:
    """A whole number of units; ``what`` it is, and an example, stand in the sentence that refuses others.

    Args:
        word: a number, which ``k``, ``M`` and ``G`` (either case) multiply by 10^3, 10^6 and 10^9.
        what: as a word of the sentence.
        least: what it must be at least.
        example: of what may be written.

    Raises:
        ValueError: something else, or what is not a whole number of units in its range.
    """
    told = repr(word if len(word) <= 40 else f"{word[:40]}...")
    match = re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?)([kKmMgG]?)", word[:400])
    if match is None:
        raise ValueError(f"{told} is not a {what}; write a number such as {example} (1k = 1000, 1M = 1,000,000)")
    value = Decimal(match[1].replace("_", "")) * _FACTORS[match[2].lower()]
    if value > _MOST:
        raise ValueError(f"{told} is beyond the longest {what} of {_MOST:,}; write a smaller one such as {example}")
    if value != int(value):
        raise ValueError(f"{told} is {value} units, which is not whole; write a whole number such as 512 or 1.5k")
    if value < least:
        raise ValueError(f"a {what} of {told} is below {least}; write a number such as {example}")
    return int(value)


def parse_bytes(size: int | str, name: str) -> int:
    """A number of bytes, or text such as ``500MB`` and ``2 GB``.

    Raises:
        ValueError: something else, or less than a byte.
    """
    try:
        words = re.sub(r"\s*[bB]?$", "", size.strip(), count=1).replace(" ", "") if isinstance(size, str) else str(size)
        return parse_amount(words, name, least=1)
    except ValueError:
        raise ValueError(
            f"{name}={shown(size)} is not a number of bytes; give one, or text such as 500MB or 2GB"
        ) from None
