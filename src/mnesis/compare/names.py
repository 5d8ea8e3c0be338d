"""What memories and tasks are called in tables and folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable


def short(name: str) -> str:
    """Of a class in a file, its name; of the catalog's, the same."""
    return name.rpartition(":")[2]


def labels(names: Iterable[str]) -> dict[str, str]:
    """Short names that tell all of these apart: where two classes have one name, with the files that hold them."""
    names = list(dict.fromkeys(names))
    told = {}
    for name in names:
        namesakes = [other for other in names if other != name and short(other) == short(name)]
        told[name] = short(name) if not namesakes else next(iter(_longer(name, namesakes)))
    return told


def _longer(name: str, namesakes: list[str]) -> Iterable[str]:
    """The name behind as many folders as it takes, then behind what no other name has."""
    parts, others = _parts(name), [_parts(other) for other in namesakes]
    for count in range(2, len(parts) + 1):
        if all(other[-count:] != parts[-count:] for other in others):
            yield ".".join(parts[-count:])
    yield f"{short(name)}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


def _parts(name: str) -> list[str]:
    """``own/a.py:Mine`` as own, a, Mine."""
    place, _, own = name.rpartition(":")
    return [*re.findall(r"[^./\\]+", place.removesuffix(".py")), own]
