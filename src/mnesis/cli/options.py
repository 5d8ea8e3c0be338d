"""What several commands take: ``key=value`` pairs, names of the catalog, and common numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from ..core.amounts import parse_amount
from ..core.catalog import card
from ..core.domain import Between, Bound, nearest, shown, shown_text
from ..core.source import check_options, described
from ..measure.lengths import parse_pair

MOST = 10**9
"""Of anything that is counted: beyond it no machine would come to an end."""
Size = Annotated[int, Between(1, MOST)]
Count = Annotated[int, Between(0, MOST)]
Seed = Annotated[int, Between(0, 2**32 - 1)]
Threads = Annotated[int, Between(1, 1024)]
Width = Annotated[int, Between(1, 65_536)]
Depth = Annotated[int, Between(1, 1024)]
Side = Annotated[int, Between(12, 64)]
"""Pixels of a picture that is modelled."""
InkShare = Annotated[float, Bound(0, 1, open_low=True)]


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Pairs as a dictionary; values are JSON where they can be read as such, else text."""
    options = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise ValueError(f"{shown(pair)} is not an option; write key=value, such as segment=512")
        try:
            options[key] = json.loads(value)
        except (ValueError, RecursionError):  # no JSON, or numbers of thousands of digits
            options[key] = value
    return options


def check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a name that is not known, with the nearest.

    Raises:
        ValueError: there is one.
    """
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"no {what} is called {shown(name)}; {hint}")


def options_of(kind: str, name: str, pairs: Sequence[str], fixed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Options of a memory or task, examined against its constructor before anything is built.

    Args:
        kind: "memories" or "tasks".
        name: in the catalog, or of somebody's own class.
        pairs: as given.
        fixed: arguments that are given by other means, and by which.

    Raises:
        ValueError: an unknown name or option, with the nearest, or a value that it cannot have.
    """
    known, options = card(kind, name), parse_options(pairs)
    check_options(known, options, fixed=fixed)
    return options


def needed_options(kind: str, name: str, given: Mapping[str, Any], by: str) -> None:
    """Refuse a memory or task that lacks an argument which has no default.

    Args:
        kind: "memories" or "tasks".
        name: in the catalog, or of somebody's own class.
        given: its options.
        by: the option of the command that gives them.

    Raises:
        ValueError: it lacks one.
    """
    missing = [option.name for option in described(card(kind, name)).options.values() if not option.default]
    if missing := [key for key in missing if key not in given]:
        raise ValueError(
            f"{name} needs {', '.join(missing)}; give {by} {missing[0]}=... (mnesis show {name} tells what it is)"
        )


def refuse_present(option: str, path: Path | None, mend: str) -> None:
    """Refuse to replace a file.

    Raises:
        ValueError: it is there.
    """
    if path is not None and path.exists():
        raise ValueError(f"{path} exists; give another {option}, or {mend}")


def pairs_by_name(options: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """``MEMORY:key=value`` by memory; of one alone, ``key=value`` too. For file.py:Class, Class will do.

    Raises:
        ValueError: an option of none of these names, or of two.
    """
    given: dict[str, list[str]] = {name: [] for name in names}
    for option in options:
        before, separator, value = option.partition("=")
        own, _, key = before.rpartition(":")
        found = [name for name in given if own in (name, name.rpartition(":")[2]) or (not own and len(given) == 1)]
        if len(found) != 1:
            near = nearest(own, given) if own else None
            hint = f"did you mean {near}:{key}?" if near else "write MEMORY:key=value"
            raise ValueError(f"{shown_text(option)} is no option of one of the memories named; {hint}")
        given[found[0]].append(key + separator + value)
    return given


def training_lengths(task: str, length: str) -> int | tuple[int, int]:
    """Lengths of training episodes: ``16``, ``4-16``, or the catalog's.

    Args:
        task: in the catalog, or of somebody's own class.
        length: as given to --length; "" = the catalog's.

    Raises:
        ValueError: no such length, or none in the catalog.
    """
    if not length:
        low, high = card("tasks", task).training_lengths
        return low if low == high else (low, high)
    first, dash, last = length.strip().partition("-")
    if "," in length or (dash and not (first and last)):
        raise ValueError(
            f"--length {shown_text(length)} is no length; write one number or two with a dash, such as 4-16"
        )
    low = parse_amount(first, "length", least=1)
    high = parse_amount(last, "length", least=1) if dash else low
    if high < low:
        raise ValueError(f"--length {length}: {first} is above {last}; write the shorter first, {last}-{first}")
    return low if low == high else (low, high)


def parse_budget(text: str) -> tuple[str, int]:
    """``tokens=1M`` or ``updates=500``.

    Raises:
        ValueError: something else.
    """
    kind, amount = parse_pair(text, ("tokens", "updates"), "tokens=1M or updates=500", "budget")
    if amount < 1:
        raise ValueError(f"a budget of {amount} {kind} trains nothing; give more than 0")
    return kind, amount
