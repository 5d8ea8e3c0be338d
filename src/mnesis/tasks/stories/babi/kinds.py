"""Which questions each of the twenty bAbI tasks asks."""

from __future__ import annotations

from ..kinds import QuestionKind
from . import moving, people_world, places, reasons

_KINDS = {
    task: kinds
    for simulator in (moving, people_world, places, reasons)
    for task, kinds in simulator.QUESTION_KINDS.items()
}


def question_kinds(task: int) -> tuple[QuestionKind, ...]:
    """What a task asks; nothing where there is no such task."""
    return _KINDS.get(task, ())
