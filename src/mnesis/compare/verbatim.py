"""What of a sequence stands verbatim in a memory, and windows shorter than what a comparison trains on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch

from ..core.catalog import Card, card, list_memories, memory_called
from ..core.expressions import evaluate_for
from ..core.memory import Memory
from ..core.task import Task
from ..nets.for_task import usual_heads
from .design import Size, build, shared
from .setting import TEST_SEED, Setting

SHARE, LEAST = 4, 8
"""A window that nobody asked for holds this part of a sequence that is trained on, and at least so much."""
ROWS = 64
"""Sequences that are drawn to see how long they are."""


class Seen(NamedTuple):
    """What a network's memories hold as it was read."""

    sees: int | None
    """Units; None where no memory keeps any so."""
    inside: tuple[int, ...]
    """Tested lengths at which whole sequences stood there, or all that is asked of them: what is recalled of them says
    nothing of a memory."""


def limited(setting: Setting, task: Task, memory: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a memory in a comparison: a window of which nothing was said is shorter than what is trained on.

    It holds a quarter of the shortest training sequence, at least 8 units, which the arguments that limit it share
    evenly; where that would hold all of the shortest, a quarter of the longest. Where answers depend on the latest
    units alone, it is a quarter of these. Nothing is chosen where even that would hold all, nor what a comparison at
    equal bytes chooses.
    """
    known = next((each for each in list_memories() if each.name == memory), None)
    by_bytes = setting.match is not None and setting.match.kind == "state"
    if known is None or not known.limits or by_bytes or any(name in options for name in known.limits):
        return dict(options)
    trained = (_needed(task, length, min(_lengths(task, length, ROWS, 0))) for length in setting.lengths)
    hiding = (units for whole in trained if (units := max(whole // SHARE, LEAST)) < whole)
    if (units := next(hiding, None)) is None:
        return dict(options)
    chosen = {**options, **shared(units, known.limits)}
    try:
        there = sees(build(setting, task, memory, Size(setting.dim, None, usual_heads(memory, setting.dim, chosen))))
    except Exception:  # whoever tries every memory says so
        return dict(options)
    return chosen if there is not None else dict(options)


def sees(network: Memory[Any]) -> int | None:
    """Units that stand verbatim in a memory of a network, the most of any; None where none keeps any so.

    A stack of memories that the catalog has, such as Griffin's, sees what these do: it may be too shallow for a window.
    """
    found: dict[Memory[Any], Card] = {}
    for part in network.modules():
        if isinstance(part, Memory) and (known := memory_called(f"{type(part).__module__}:{type(part).__qualname__}")):
            found[part] = known
    made = {inside for part in found for inside in part.modules() if inside is not part and inside in found}
    single = [part for part in found if part in made or not made.intersection(part.modules())]
    seen = [round(evaluate_for(part, found[part].sees)) for part in single if found[part].sees]
    return max(seen, default=None)


def seen(setting: Setting, task: Task, network: Memory[Any]) -> Seen:
    """What stands verbatim in a network's memories, and at which tested lengths that is all there is."""
    units = sees(network)
    if units is None:
        return Seen(None, ())
    tested, rows = task.unseen("test"), min(setting.sequences, ROWS)
    longest = {each: _needed(tested, each, max(_lengths(tested, each, rows, TEST_SEED))) for each in setting.tests}
    return Seen(units, tuple(each for each in setting.tests if longest[each] <= units))


def seen_by(cell: Mapping[str, Any]) -> Seen:
    """The same of a cell; of one that was filled before cells said so it is worked out."""
    if "sees" in cell:
        return Seen(cell["sees"], tuple(cell["inside"]))
    asked = cell.get("asked")
    try:
        known = card("memories", cell["memory"])
    except ValueError:  # a class that is gone
        return Seen(None, ())
    if asked is None or "dim" not in cell or not known.sees:
        return Seen(None, ())
    named = [cell["memory"], asked["setting"], cell["dim"], cell["hidden"], cell["options"]]
    return _worked_out(json.dumps(named))


@cache
def _worked_out(text: str) -> Seen:
    memory, values, *size = json.loads(text)
    setting = Setting.from_json(values)
    task = setting.create_task()
    return seen(setting, task, build(setting, task, memory, Size(*size)))


def _needed(task: Task, length: int, units: int) -> int:
    """Units of a sequence that its answers depend on, of so many."""
    return min(units, task.span(length) or units)


def _lengths(task: Task, length: int, rows: int, seed: int) -> list[int]:
    """Units of each of so many sequences."""
    episode = task.episodes(rows, length, torch.Generator().manual_seed(seed))
    if episode.length is None:
        return [episode.inputs.shape[1]]
    return episode.length.tolist()
