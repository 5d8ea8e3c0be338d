"""The law ``rollback``: going back some units gives what the stream without them gives."""

from __future__ import annotations

from typing import Any

import torch

from ..adapt import Adapted
from ..history import History
from ..pieces import map_leaves
from ..state import leaves, put, take
from .subject import Subject, difference, joined

EVERY, KEEP = 5, 4
ROWS, UNITS, MORE = 3, 21, 6
READ = (UNITS, 16, 9)
"""Units of each row that are real."""
BACK = (3, 11, 0)
"""Units that each row goes back: behind a kept state, on one, and not at all."""


def rollback(subject: Subject) -> float:
    """Outputs and states after going back are those of the stream without the units that were taken back.

    Rows of different lengths that stand at different places of the grid go back together, each by its own number of
    units, across a reset too; a state that was kept comes back bit for bit.
    """
    x, later = subject.draw(ROWS, UNITS), subject.draw(ROWS, MORE)
    with torch.no_grad():
        if isinstance(subject.memory, Adapted):  # which takes neither lengths nor resets
            return _together(subject, x, later)
        return max(_together(subject, x, later), _row_by_row(subject, x, later))


def _together(subject: Subject, x: Any, later: Any) -> float:
    """All rows go back by one number: to a state that was kept, and behind one."""
    history, state = History(subject.memory, every=EVERY, keep=KEEP), subject.started(ROWS)
    _, kept = history.read(_units(x, 0, 2 * EVERY), state)
    bits = [leaf.clone() for leaf in leaves(kept)]
    history.read(_units(x, 2 * EVERY, UNITS))
    if not all(map(torch.equal, bits, leaves(history.rollback(UNITS - 2 * EVERY)))):
        return float("inf")
    history.read(_units(x, 2 * EVERY, UNITS))
    history.rollback(UNITS - 2 * EVERY - 3)
    without = joined([_units(x, 0, 2 * EVERY + 3), later])
    return _gap(subject, history.read(later), subject.memory(without, state))


def _row_by_row(subject: Subject, x: Any, later: Any) -> float:
    memory, state = subject.memory, subject.started(ROWS)
    if memory.period is not None:
        state = put(state, [1], memory(subject.draw(1, 3), take(state, [1]))[1])
    history, length, reset = History(memory, every=EVERY, keep=KEEP), torch.tensor(READ), torch.zeros(ROWS, UNITS) > 0
    reset[0, 19] = reset[1, 2] = reset[1, 8] = True
    history.read(_units(x, 0, 9), state, reset[:, :9])
    history.read(_units(x, 9, UNITS), None, reset[:, 9:], length - 9)
    history.rollback(BACK)
    stands = length - torch.tensor(BACK)
    place = torch.arange(UNITS + MORE)
    source = torch.where(place < stands[:, None], place, UNITS + (place - stands[:, None]).clamp(max=MORE - 1))
    row = torch.arange(ROWS)[:, None]
    without = map_leaves(joined([x, later]), lambda leaf: leaf[row, source])
    flags = torch.cat([reset, torch.zeros(ROWS, MORE) > 0], 1)[row, source]
    y, after = memory(without, state, reset=flags, length=stands + MORE)
    y = map_leaves(y, lambda leaf: leaf[row, stands[:, None] + torch.arange(MORE)])
    return _gap(subject, history.read(later), (y, after))


def _gap(subject: Subject, found: tuple[Any, Any], expected: tuple[Any, Any]) -> float:
    """Of the last outputs, and of the states where numbers are fine enough to compare them."""
    outputs = difference(map_leaves(expected[0], lambda leaf: leaf[:, -MORE:]), found[0])
    return outputs if subject.dtype is torch.bfloat16 else max(outputs, difference(expected[1], found[1]))


def _units(x: Any, begin: int, end: int) -> Any:
    return map_leaves(x, lambda leaf: leaf[:, begin:end])
