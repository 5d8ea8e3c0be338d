"""``key=value`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Pairs as a dictionary; values are JSON where they can be read as such, else text."""
    options = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise ValueError(f"{pair!r} is not an option; write key=value, such as segment=512")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = value
    return options
