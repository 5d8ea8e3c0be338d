"""Processes that try cells and fill them, each in its own: what one breaks is its own alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.machine import end_with_parent
from .place import Filled, Place, Told, failed

if TYPE_CHECKING:
    from .watch import Watch

OFTEN = 0.3
"""Seconds between two words of how far a cell is."""
_UNGUARDED = 86
"""Exit code of a process that met the comparison which had started it."""
_GUARD = (
    'the script that compares is run again by every process of the comparison; put the call behind if __name__ == "'
    '__main__": in a file'
)


def refuse_again() -> None:
    """End this process if a comparison has started it, and it is still reading the script that asked for one.

    Nobody but the comparison is to hear of it: that says what to do.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(_UNGUARDED)


class _Worker:
    """A process, and what it is doing."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.place: Place | None = None
        self.begun = False

    def do(self, what: str, place: Place, *more: Any) -> None:
        self.place = place
        with suppress(BrokenPipeError):  # that it has ended is heard below
            self.ours.send((what, place, *more))

    def heard(self) -> tuple[str, Any]:
        """The next that it says; ``ended`` with how, where it has broken down."""
        try:
            said, value = self.ours.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return "ended", f"its process ended with exit code {self.process.exitcode}"
        self.begun = True
        return said, value

    def require_begun(self, how: str) -> None:
        """
        Raises:
            ValueError: it has ended before it could do anything.
        """
        if self.begun:
            return
        if self.process.exitcode == _UNGUARDED:
            raise ValueError(_GUARD)
        raise ValueError(f"a process of the comparison cannot begin ({how}); {_GUARD}")


class Processes:
    """So many processes at a time, for a ``with`` statement. Closing it ends trainings with a checkpoint.

    Args:
        count: how many.
        watch: whom to tell how far they are.
        trackers: of accelerate, for the trainings.
    """

    def __init__(self, count: int, watch: Watch, trackers: Sequence[str] = ()) -> None:
        self.count, self.watch, self.trackers = count, watch, tuple(trackers)
        self.workers: list[_Worker] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.process.terminate()  # ends its training after the present update, with a checkpoint
        for worker in self.workers:
            worker.process.join()

    def try_all(self, places: Sequence[Place]) -> dict[Path, float | None]:
        """Build every memory and give it some updates on every task.

        Returns:
            Units trained a second of CPU time, by the cells' folders; None where nobody knows.

        Raises:
            ValueError: one cannot be compared; the sentence names it.
        """
        speeds: dict[Path, float | None] = {}
        for place, said, value in self._each("try", places):
            if said == "ended":
                raise ValueError(
                    f"{place.memory} cannot be trained on {place.setting.task}: {value}; mend it, or leave it out of "
                    "--memories"
                )
            if value.fault is not None:
                raise ValueError(f"{value.fault} (nothing has been trained)")
            speeds[place.folder] = value.speed
            self.watch.tried()
        return speeds

    def fill(self, places: Sequence[Place]) -> Generator[Filled]:
        """Fill cells; they come as they are done. A process that breaks down leaves a cell that says so.

        Raises:
            ValueError, Interrupted: as a cell raises them.
        """
        for place, said, value in self._each("fill", places, self.trackers):
            if said == "raised":
                raise value
            cell = failed(place, value) if said in ("broken", "ended") else value
            yield Filled(place, cell)

    def _each(self, what: str, places: Sequence[Place], *more: Any) -> Generator[tuple[Place, str, Any]]:
        """Have all of them done, and what was said of each in the end."""
        waiting = list(places)
        while waiting or any(worker.place for worker in self.workers):
            while waiting and (worker := self._free()) is not None:
                self.watch.begun(waiting[0])
                worker.do(what, waiting.pop(0), *more)
            for ours in wait([worker.ours for worker in self.workers if worker.place]):
                worker = next(worker for worker in self.workers if worker.ours is ours)
                said, value = worker.heard()
                assert worker.place is not None
                if said == "told":
                    self.watch.told(worker.place, value)
                    continue
                place, worker.place = worker.place, None
                if said == "ended":
                    worker.require_begun(value)
                if said == "ended" or what == "fill":  # a cell has its process for itself
                    self.workers.remove(worker)
                    worker.process.join()
                yield place, said, value

    def _free(self) -> _Worker | None:
        """One that has nothing to do; None where all that there may be are at work."""
        idle = next((worker for worker in self.workers if worker.place is None), None)
        if idle is None and len(self.workers) < self.count:
            idle = _Worker()
            self.workers.append(idle)
        return idle


def work(theirs: Connection) -> None:
    """What a process does: try what it is given, or fill a cell and end."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who was asked to stop asks this process
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # whoever asked is gone; it stands in its folder
        from ..core.machine import prepare

        theirs.send(("told", None))
        prepare(1)
        while True:
            what, place, *more = theirs.recv()
            if what == "fill":
                theirs.send(_filled(place, theirs, *more))
                return
            from .trial import tried

            theirs.send(("tried", tried(place)))


def _filled(place: Place, theirs: Connection, trackers: Sequence[str]) -> tuple[str, Any]:
    from .filling import fill

    last = 0.0

    def tell(told: Told) -> None:
        nonlocal last
        if time.monotonic() - last >= OFTEN or told.update == 0:
            last = time.monotonic()
            with suppress(BrokenPipeError):
                theirs.send(("told", told))

    return fill(place, tell, trackers)
