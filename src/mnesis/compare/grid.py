"""All cells of a comparison, several at a time; each cell has a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from ..core.catalog import card
from ..core.machine import fast_products, prepare
from ..core.task import Episode
from ..measure.progress import Bar
from .cell import RESULT, Cell, Interrupted, discard, read_cell, run_cell, stood
from .cluster import by_ray
from .design import Options
from .names import labels
from .place import Filled, Place, failed
from .setting import Setting


def places(settings: Sequence[Setting], memories: Mapping[str, Options], folder: Path) -> list[Place]:
    """Every memory on every task, in folders ``TASK/MEMORY``; of classes of your own the names alone.

    Where two classes have one name, the folder says more of one that does not stand there already.
    """
    tasks = labels(setting.task for setting in settings)
    found = []
    for setting in settings:
        own = folder / tasks[setting.task]
        standing = {cell["memory"]: path.parent.name for path, cell in _filled(own, f"*/{RESULT}")}
        told = labels([*memories, *standing])
        found += [
            Place(setting, memory, options, own / standing.get(memory, told[memory]))
            for memory, options in memories.items()
        ]
    return found


def _filled(folder: Path, pattern: str) -> list[tuple[Path, Cell]]:
    """Cells that stand in a folder, with their files, in the order of their names."""
    paths = sorted(folder.glob(pattern))
    return [(path, read_cell(path)) for path in paths]


def standing(folder: Path, but: Sequence[Cell] = ()) -> list[Cell]:
    """Cells that stand filled in a folder, by whatever command, in the order of their names.

    Those of classes that cannot be found any more, such as of a file that was moved, are left out.
    """
    known = {(cell["task"], cell["memory"]) for cell in but}
    found = [cell for _, cell in _filled(folder, f"*/*/{RESULT}")]
    return [cell for cell in found if (cell["task"], cell["memory"]) not in known and _is_known(cell)]


def _is_known(cell: Cell) -> bool:
    try:
        card("tasks", cell["task"])
        card("memories", cell["memory"])
    except ValueError:
        return False
    return True


def run_grid(
    settings: Sequence[Setting],
    memories: Mapping[str, Options],
    folder: Path,
    *,
    workers: int = 1,
    ray: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Cell]:
    """Fill all cells, and return them in order. What stands finished is read back; what was begun goes on.

    A cell whose process breaks down says so (``status`` "failed"), and is tried again by the next call; the others go
    on.

    Args:
        settings: one a task.
        memories: names in the catalog, or ``file.py:Class``, and their constructor arguments.
        folder: of the comparison.
        workers: processes at a time, each with one thread.
        ray: address of a Ray cluster that fills the cells in place of this machine's processes (see
            :func:`~mnesis.compare.cluster.by_ray`); with a budget of tokens the figures are the same.
        overwrite: remove these cells first, and nothing else that stands in their folders.
        progress: a bar over cells.

    Raises:
        ValueError: no worker, two settings of one task, a task or lengths that cannot be, or cells of another setting.
        Interrupted: a signal ended the work; the same call goes on.
    """
    if workers < 1:
        raise ValueError(f"workers={workers} fill no cell; give 1 or more")
    names = [setting.task for setting in settings]
    if len(set(names)) < len(names):
        raise ValueError(f"tasks {', '.join(names)}: name each once")
    for setting in settings:
        _try(setting)
    waiting = places(settings, memories, folder)
    order = [place.folder for place in waiting]
    if overwrite:
        for path in order:
            discard(path)
    cells = {place.folder: cell for place in waiting if (cell := stood(*place)) is not None}
    waiting = [place for place in waiting if place.folder not in cells]
    if waiting:
        with Bar(len(order), progress) as bar:
            bar.advance(len(cells))
            filled = by_processes(waiting, workers, bar.describe) if ray is None else by_ray(waiting, ray)
            with closing(filled):
                for place, cell in filled:
                    cells[place.folder] = cell
                    bar.advance(1)
    return [cells[path] for path in order]


def by_processes(places: Sequence[Place], workers: int, describe: Callable[[str], object]) -> Generator[Filled]:
    """Fill cells on this machine, so many at a time, in a process each; they come as they are done.

    A process that breaks down leaves a cell that says so. Closing the generator ends trainings with a checkpoint.

    Raises:
        ValueError, Interrupted: as a cell raises them.
    """
    waiting, context = list(places), multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[Place, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                place = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(place, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = (place, process)
            describe(", ".join(f"{place.memory} on {place.setting.task}" for place, _ in running.values()))
            for ours in wait(list(running)):
                assert isinstance(ours, Connection)
                place, process = running[ours]
                cell = _received(place, process, ours)
                del running[ours]
                yield Filled(place, cell)
    finally:
        for _, process in running.values():
            process.terminate()  # ends its training after the present update, with a checkpoint
        for _, process in running.values():
            process.join()


def _received(place: Place, process: Any, ours: Connection) -> Cell:
    """What a process sent, or what became of it."""
    try:
        found = ours.recv()
    except EOFError:
        found = None
    process.join()
    if isinstance(found, Exception):
        raise found
    if found is not None:
        return found
    return failed(place, f"its process ended with exit code {process.exitcode}")


def _work(place: Place, theirs: Connection) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a cell has a process of its own"

    def follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # nobody would read what this process goes on to train

    threading.Thread(target=follow, daemon=True).start()
    prepare(1)
    try:
        with fast_products(place.setting.dim):
            found: Cell | Exception = run_cell(place.setting, place.memory, place.options, place.folder)
    except (ValueError, Interrupted) as error:
        found = error
    with suppress(BrokenPipeError):  # whoever asked for it is gone; it stands in its folder
        theirs.send(found)


def _try(setting: Setting) -> None:
    """Draw the shortest and longest episodes, so that impossible settings are refused before anything is trained."""
    task = setting.create_task()
    for name in ("vocabulary", "chance"):
        if not isinstance(getattr(task, name, None), (int, float)):
            raise ValueError(f"{setting.task} says no {name}; set self.{name} to a number, as mnesis.Task describes it")
    for length in (*setting.lengths, *setting.tests):
        episode = task.episodes(1, length, torch.Generator().manual_seed(0))
        if not isinstance(episode, Episode):
            raise ValueError(
                f"{setting.task} draws a {type(episode).__name__} and no Episode; return mnesis.Episode(inputs, "
                "targets, weight) from episodes()"
            )
