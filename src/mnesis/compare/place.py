"""A cell of a comparison before and after it is filled, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .setting import Setting

if TYPE_CHECKING:
    from .design import Options


class Place(NamedTuple):
    """A cell to be filled."""

    setting: Setting
    memory: str
    options: Options
    folder: Path
    doublings: int = 0
    """Of the budget, as long as they raise what is held (:mod:`mnesis.compare.growth`)."""

    @property
    def cell(self) -> tuple[Setting, str, Options, Path]:
        """Without them."""
        return self[:4]


class Filled(NamedTuple):
    """A cell, and what it holds."""

    place: Place
    cell: dict[str, Any]


class Told(NamedTuple):
    """How far a cell is."""

    training: int
    """From 1."""
    trainings: int
    """As many as there will be at most, the search among them."""
    update: int
    updates: int

    @property
    def share(self) -> float:
        """Of the cell, from 0 to 1."""
        return (self.training - 1 + self.update / max(self.updates, 1)) / self.trainings


def failed(place: Place, reason: str) -> dict[str, Any]:
    """A cell that could not be filled."""
    return {"task": place.setting.task, "memory": place.memory, "status": "failed", "reason": reason}
