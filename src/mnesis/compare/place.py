"""A cell of a comparison before and after it is filled."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .cell import Cell
from .design import Options
from .setting import Setting


class Place(NamedTuple):
    """A cell to be filled."""

    setting: Setting
    memory: str
    options: Options
    folder: Path


class Filled(NamedTuple):
    """A cell, and what it holds."""

    place: Place
    cell: Cell


def failed(place: Place, reason: str) -> Cell:
    """A cell that could not be filled."""
    return {"task": place.setting.task, "memory": place.memory, "status": "failed", "reason": reason}
