"""Prose of docstrings as a page shows it: letters and indices of formulas set, and what Sphinx calls roles."""

from __future__ import annotations

import re
from html import unescape

ROLE = re.compile(r":(?:class|func|meth|mod|attr):`~?(?P<target>[\w.]+)`")
"""A reference to something of the code by its name."""

_LETTER = re.compile(r"(?<![\w`.])(?:alpha|beta|gamma|theta|[lL]ambda|nu|phi|omega)(?![^\W_])")
_INDEX = re.compile(r"((?<!\w)[^\W\d_]+['~]?|(?<=\)))_(?:\{([^{}]+)\}|([^\W_]+|\+))")
_POWER = re.compile(r"(?<=[\w)>'|])\^(?:\{([^{}]+)\}|(\((?:[^()]|\([^()]*\))*\))|(-?\w+(?:/\w+)?))")
_LITERAL = re.compile(r"(``[^`]*``|`[^`]*`|^ {4}[^\n]*$)", re.MULTILINE)


def typeset(text: str) -> str:
    """Indices below, powers above, letters in Greek: ``h_{t-1}`` and ``lambda^2``; code stays as it is."""
    return "".join(part if number % 2 else _set(part) for number, part in enumerate(_LITERAL.split(text)))


def _set(text: str) -> str:
    text = _INDEX.sub(_lowered, _LETTER.sub(lambda found: unescape(f"&{found[0]};"), text))
    return _POWER.sub(lambda found: f"<sup>{found[1] or found[2] or found[3]}</sup>", text).replace("<-", "←")


def _lowered(found: re.Match[str]) -> str:
    base, below = found[1], found[2] or found[3]
    if found[3] and len(base.rstrip("'~")) > 1 and len(below) > 2:
        return found[0]  # the name of an option: key_expansion
    return f"{base}<sub>{unescape(f'&{below};') if _LETTER.fullmatch(below) else below}</sub>"
