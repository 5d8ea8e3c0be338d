"""Damaged and hostile inputs, drawn from seeds: every one is read rightly or refused in one sentence.

A module here has ``inputs(seed)``, an endless or long iterator of :class:`Input`; ``make fuzz`` draws from all in turn.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 20
"""No input may take longer."""
BYTES = 2 * 2**30
"""No process may grow beyond."""
REFUSALS = (ValueError, FileNotFoundError)


class WrongSuccess(AssertionError):  # noqa: N818 - a verdict
    """What should have been refused was read, or read as something else."""


@dataclass(frozen=True)
class Input:
    """One input.

    Args:
        label: what it is, with the seed that draws it again.
        make: writes it below an empty folder and returns what ``read`` takes.
        read: reads it; raises WrongSuccess where it was taken for what it is not.
    """

    label: str
    make: Callable[[Path], Any]
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Outcome:
    """What became of an input: ``read``, ``refused``, ``traceback``, ``wrong success``, ``hang`` or ``memory``."""

    label: str
    kind: str
    said: str
    seconds: float
    largest: int
    """Bytes of the process at its largest."""


def in_process(given: Input, folder: Path) -> tuple[str, str]:
    """Kind and words of what reading gives, here and now."""
    made = given.make(folder)
    try:
        given.read(made)
    except WrongSuccess as error:
        return "wrong success", str(error)
    except REFUSALS as error:
        sentence = str(error)
        return ("refused" if sentence.strip() and "\n" not in sentence else "traceback"), sentence
    except SystemExit as error:
        return ("refused" if error.code in (1, 2) else "read"), f"exit {error.code}"
    except BaseException:
        return "traceback", traceback.format_exc()
    return "read", ""


def in_child(given: Input, folder: Path) -> Outcome:
    """The same in a forked process, which is stopped where it takes too long."""
    told = folder / ".outcome"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))
            kind, said = in_process(given, folder)
            told.write_text(f"{kind}\n{said}", encoding="utf-8", errors="replace")
        os._exit(0)
    kind, used = _waited(child, began)
    said = ""
    if kind == "done":
        kind, _, said = told.read_text(encoding="utf-8").partition("\n") if told.exists() else ("traceback", "", "died")
    largest = used.ru_maxrss * 1024
    if largest > BYTES and kind in ("read", "refused"):
        kind = "memory"
    return Outcome(given.label, kind, said, time.monotonic() - began, largest)


def _waited(child: int, began: float) -> tuple[str, resource.struct_rusage]:
    while True:
        pid, _, used = os.wait4(child, os.WNOHANG)
        if pid:
            return "done", used
        if time.monotonic() - began > SECONDS:
            os.killpg(child, signal.SIGKILL)
            return "hang", os.wait4(child, 0)[2]
        time.sleep(0.002)


def broken(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that must not be."""
    return [outcome for outcome in outcomes if outcome.kind not in ("read", "refused")]


def show(outcome: Outcome) -> None:
    """One that must not be, on standard error."""
    print(f"{outcome.kind}: {outcome.label} ({outcome.seconds:.1f} s)\n{outcome.said}\n", file=sys.stderr)
