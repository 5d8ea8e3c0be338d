"""The catalog's entries: what mnesis holds, by name. Adding a memory, a task or a claim is one card here, in its file.

Every card names a class as ``module:Class``; nothing is imported before it is asked for.
"""

from __future__ import annotations

from ..card import Card
from .claims import CLAIMS
from .memories import MEMORIES
from .tasks import TASKS

CATALOG: dict[str, tuple[Card, ...]] = {"memories": MEMORIES, "tasks": TASKS, "claims": CLAIMS}
