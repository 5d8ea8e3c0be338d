"""How long calls take, for claims about cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def taking_turns(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, in CPU time of the process, which a shared machine disturbs least."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.process_time()
            call()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
