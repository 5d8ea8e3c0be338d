"""How much memory this process holds."""

from __future__ import annotations

import ctypes
import gc

import psutil


def own_bytes() -> int:
    """Resident memory that no file stands behind: what the process itself has asked for and touched.

    Pages of libraries are left out where they can be told (Linux): the system drops them and brings them back as it
    pleases, a hundred megabytes within a minute.
    """
    found = psutil.Process().memory_info()
    return found.rss - getattr(found, "shared", 0)


def give_back() -> None:
    """Hand what is not in use any more back to the system, as far as that is possible (glibc).

    What the allocator keeps for later would serve some calls unseen, and be touched little by little by others.
    """
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
