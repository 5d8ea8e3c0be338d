"""What makes a process fast beside others: waiting threads, kept memory, matrix products, free cores.

:func:`tune` is all of it in one call; the commands do it themselves. Nothing here imports torch before it is needed.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""By any of these somebody has said how threads wait."""
SPINS = "1000"
"""Turns of libgomp's loop before a thread sleeps: some microseconds, which save two sleeps an operation on an idle
machine and cost next to nothing on a busy one (docs/results/speed.md)."""
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1
"""M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h."""
USUAL = 2
"""Threads at most, where nobody asked for more."""
_ROWS, _WIDEST, _TURNS = 512, 512, 15
"""Vectors of the products that are timed, the width at most, and how often."""
_WORTH = 1.3
"""From this gain on products go through oneDNN; processors have a tenth or a factor of two."""
_LOOK = 0.1
"""Seconds for which the load of the cores is watched."""


class Tuned(NamedTuple):
    """What :func:`tune` did, a sentence each."""

    waiting: str
    memory: str
    products: str

    def __str__(self) -> str:
        return "; ".join(self)


def tune() -> Tuned:
    """Make this process fast beside others; once, and before torch is imported where that can be.

    Threads that wait for work sleep after a moment instead of spinning, which beside any other work costs most of the
    speed. glibc keeps what memory is freed instead of handing it back and getting it anew, zeroed, at every use, so the
    process does not shrink again. Matrix products in float32 go through oneDNN (in full float32; where they would be
    rounded to bfloat16 it is left alone) where that is measured to be faster for networks 256 wide.

    Returns:
        What was done, and what was not and why.
    """
    return Tuned(_WAITED[wait_passively()], _KEPT[keep_memory()], _MULTIPLIED[_multiply_fast(256)])


_WAITED = {
    None: "threads wait as they did: torch is loaded, and it cannot be changed any more; call tune() before it is",
    False: "threads wait as the environment says",
    True: "threads sleep when they have waited for a moment",
}
_KEPT = {True: "freed memory is kept", False: "freed memory is handed back as before: this is not glibc"}
_MULTIPLIED = {
    True: "float32 products go through oneDNN",
    False: "float32 products as before: here oneDNN would not be faster in full float32",
}


def wait_passively() -> bool | None:
    """Let threads of OpenMP sleep while they wait, after a moment.

    Returns:
        Whether it was done; False where the environment says how they wait, None where torch is loaded, which has read
        the environment.
    """
    if any(name in os.environ for name in _WAITING):
        return False
    # Also for what this process starts. libgomp takes the second, others the first.
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT=SPINS)
    return None if "torch" in sys.modules else True


def keep_memory() -> bool:
    """Let glibc keep what is freed; whether it could be done.

    Blocks of many megabytes are otherwise mapped anew, and zeroed page by page, every time that they are needed.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))


def prepare(threads: int | None) -> int:
    """What every command does before it computes: keep memory, and take some threads.

    Args:
        threads: as asked for; None = as many as are free now, at most two, since small networks gain little from more.

    Returns:
        How many.
    """
    import torch

    count = threads or min(free_cores(), USUAL)
    keep_memory()
    torch.set_num_threads(count)
    return count


@contextmanager
def fast_products(width: int) -> Iterator[None]:
    """Matrix products through oneDNN, in full float32, where that is faster for networks this wide.

    Some processors gain a factor of two, others nothing, and small products lose (docs/results/speed.md).
    """
    with products_kept():
        _multiply_fast(width)
        yield


@contextmanager
def products_kept() -> Iterator[None]:
    """Leave the choice of matrix products as it was, whatever is chosen inside."""
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def take_products(chosen: str) -> None:
    """Multiply as a training that is resumed did, since other products round otherwise.

    Where that would round to bfloat16, as its own processor did not, products stay as they are.
    """
    import torch

    if chosen == "highest" or not torch.cpu._is_amx_tile_supported():
        torch.set_float32_matmul_precision(chosen)


def width(network: nn.Module) -> int:
    """What most matrices of a network are wide; 1 without any, where there is nothing to multiply."""
    widths = Counter(weight.shape[-1] for weight in network.parameters() if weight.ndim == 2)
    return widths.most_common(1)[0][0] if widths else 1


def _multiply_fast(width: int) -> bool:
    import torch

    # with AMX units the same setting would round products to bfloat16
    if torch.cpu._is_amx_tile_supported() or _gain(min(width, _WIDEST)) < _WORTH:
        return False
    torch.set_float32_matmul_precision("medium")
    return True


@cache
def _gain(width: int) -> float:
    """How many times as fast products of a network this wide are through oneDNN; takes some hundredths of a second."""
    import torch

    x, weight = torch.full((_ROWS, width), 0.5), torch.full((width, width), 0.5)
    best = {"highest": math.inf, "medium": math.inf}
    before = torch.get_float32_matmul_precision()
    for _ in range(_TURNS):
        for precision in best:
            torch.set_float32_matmul_precision(precision)
            torch.nn.functional.linear(x, weight)  # the first one after a change prepares what the next ones use
            began = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            best[precision] = min(best[precision], time.perf_counter() - began)
    torch.set_float32_matmul_precision(before)
    return best["highest"] / best["medium"]


def end_with_parent() -> None:
    """Let SIGTERM end this process once the one that started it is gone: nobody would read what it goes on to train."""
    import multiprocessing  # which help and refusals have no use for

    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_cores() -> int:
    """Cores that this process may use and nobody else does now; at least one. Takes a tenth of a second."""
    import psutil

    own = psutil.Process()
    before = sum(own.cpu_times()[:2])
    busy = psutil.cpu_percent(_LOOK) / 100 * (psutil.cpu_count() or 1)
    others = busy - (sum(own.cpu_times()[:2]) - before) / _LOOK
    return max(1, min(cores(), round((psutil.cpu_count() or 1) - others)))
