"""How long calls take, and how much memory, for claims about cost."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Mapping

import psutil
import torch

from ..core.machine import prepare

Call = Callable[[], object]


def taking_turns(calls: Mapping[str, Call], repeats: int) -> dict[str, float]:
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


def alone(make: Callable[[], Call], warm: Callable[[], Call], repeats: int) -> tuple[float, int]:
    """Median seconds of a call, and the most bytes it took, in a process that does nothing else.

    Args:
        make: makes the call with all that it needs, which counts among its bytes. It must be picklable.
        warm: makes a call that is done first: what the first call of a process loads is no cost.
        repeats: of what is timed.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_cost, (make, warm, repeats, torch.get_num_threads()))


def _cost(make: Callable[[], Call], warm: Callable[[], Call], repeats: int, threads: int) -> tuple[float, int]:
    prepare(threads)
    warm()()
    gc.collect()
    process = psutil.Process()
    before = highest = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.001):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    make()()
    done.set()
    watcher.join()
    return taking_turns({"": make()}, repeats)[""], highest - before
