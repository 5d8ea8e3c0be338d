"""All cells of a comparison: which stand, which are tried and filled, and in what order they come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import torch

from ..core.catalog import card
from ..core.reason import reason_for
from ..core.task import Episode
from ..learn.trackers import require_trackers
from .cell import RESULT, Cell, discard, read_cell, stood
from .cluster import by_ray, require_ray
from .design import Options
from .names import labels
from .place import Place
from .plan import Planned, plan, told
from .processes import Processes, refuse_again
from .setting import Setting
from .verbatim import limited
from .watch import Watch


def places(
    settings: Sequence[Setting], memories: Mapping[str, Options], folder: Path, doublings: int = 0
) -> list[Place]:
    """Every memory on every task, in folders ``TASK/MEMORY``; of classes of your own the names alone.

    Windows of which nothing is said are shorter than what is trained on (:func:`~mnesis.compare.verbatim.limited`).
    Where two classes have one name, the folder says more of one that does not stand there already.
    """
    tasks = labels(setting.task for setting in settings)
    found = []
    for setting in settings:
        own = folder / tasks[setting.task]
        standing = {cell["memory"]: path.parent.name for path, cell in _filled(own, f"*/{RESULT}")}
        told, task = labels([*memories, *standing]), setting.create_task()
        found += [
            Place(
                setting,
                memory,
                limited(setting, task, memory, options),
                own / standing.get(memory, told[memory]),
                doublings,
            )
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
    doublings: int = 0,
    workers: int = 1,
    ray: str | None = None,
    overwrite: bool = False,
    progress: bool | Watch = True,
    trackers: Sequence[str] = (),
) -> list[Cell]:
    """Fill all cells, and return them in order. What stands finished is read back; what was begun goes on.

    Before anything is trained every memory is built, and takes some updates on every task. A cell whose memory raises
    something later, or whose process breaks down, says so (``status`` "failed"; a traceback stands in its error.txt),
    and is tried again by the next call; the others go on.

    Args:
        settings: one a task.
        memories: names in the catalog, or ``file.py:Class``, and their constructor arguments.
        folder: of the comparison.
        doublings: of the budget of each cell, as long as they raise what is held (:mod:`mnesis.compare.growth`).
        workers: processes at a time, each with one thread.
        ray: address of a Ray cluster that fills the cells in place of this machine's processes (see
            :func:`~mnesis.compare.cluster.by_ray`); with a budget of tokens the figures are the same.
        overwrite: remove these cells once every memory has been tried, and nothing else that stands in their folders.
        progress: how far it is, on standard error; or whom to tell.
        trackers: of accelerate, which every training tells what it does.

    Raises:
        ValueError: no worker, two settings of one task, a task or lengths that cannot be, a memory that cannot be built
            or trained, cells of another setting, or a script that every process would run again.
        Interrupted: a signal ended the work; the same call goes on.
    """
    refuse_again()
    if workers < 1:
        raise ValueError(f"workers={workers} fill no cell; give 1 or more")
    require_trackers(trackers)
    if ray is not None:
        require_ray()
    waiting, cells, order = _wanted(settings, memories, folder, doublings, overwrite)
    if isinstance(progress, Watch):
        _fill(waiting, cells, len(order), progress, workers, ray, trackers, overwrite)
    elif waiting:
        with Watch(progress) as watch:
            _fill(waiting, cells, len(order), watch, workers, ray, trackers, overwrite)
    return [cells[path] for path in order]


def plan_grid(
    settings: Sequence[Setting],
    memories: Mapping[str, Options],
    folder: Path,
    *,
    doublings: int = 0,
    workers: int = 1,
    overwrite: bool = False,
    watch: Watch,
) -> list[Planned]:
    """What ``run_grid`` would train, and how long that takes; arguments and errors as there. Nothing is trained."""
    waiting, *_ = _wanted(settings, memories, folder, doublings, overwrite)
    if not waiting:
        return []
    with Processes(min(workers, len(waiting)), watch) as processes:
        watch.trying(len(waiting))
        return plan(waiting, processes.try_all(waiting), anew=overwrite)


def _wanted(
    settings: Sequence[Setting], memories: Mapping[str, Options], folder: Path, doublings: int, overwrite: bool
) -> tuple[list[Place], dict[Path, Cell], list[Path]]:
    """Cells that are to be trained, those that stand by their folders, and the folders of all in order."""
    names = [setting.task for setting in settings]
    if len(set(names)) < len(names):
        raise ValueError(f"tasks {', '.join(names)}: name each once")
    for setting in settings:
        _try(setting)
    wanted = places(settings, memories, folder, doublings)
    cells: dict[Path, Cell] = {}
    if not overwrite:
        cells = {place.folder: cell for place in wanted if (cell := stood(*place)) is not None}
    return [place for place in wanted if place.folder not in cells], cells, [place.folder for place in wanted]


def _fill(
    waiting: Sequence[Place],
    cells: dict[Path, Cell],
    total: int,
    watch: Watch,
    workers: int,
    ray: str | None,
    trackers: Sequence[str],
    overwrite: bool,
) -> None:
    """Try what waits, say how long it will take, then fill it, into ``cells`` by their folders."""
    if not waiting:
        return
    with Processes(min(workers, len(waiting)), watch, trackers) as processes:
        watch.trying(len(waiting))
        speeds = processes.try_all(waiting)
        watch.say(told(plan(waiting, speeds, anew=overwrite), workers))
        filled = processes.fill(waiting) if ray is None else by_ray(waiting, ray, trackers)
        for place in waiting if overwrite else ():
            discard(place.folder)
        watch.training(total, len(cells))
        with closing(filled):
            for place, cell in filled:
                cells[place.folder] = cell
                watch.counted(place)


def _try(setting: Setting) -> None:
    """Draw the shortest and longest episodes, so that impossible settings are refused before anything is trained."""
    task = setting.create_task()
    for name in ("vocabulary", "chance"):
        if not isinstance(getattr(task, name, None), (int, float)):
            raise ValueError(f"{setting.task} says no {name}; set self.{name} to a number, as mnesis.Task describes it")
    for length in (*setting.lengths, *setting.tests):
        try:
            episode = task.episodes(1, length, torch.Generator().manual_seed(0))
        except ValueError:
            raise
        except Exception as error:  # of somebody's own
            raise ValueError(f"{setting.task} draws no episodes: {reason_for(error)}; mend it there") from error
        if not isinstance(episode, Episode):
            raise ValueError(
                f"{setting.task} draws a {type(episode).__name__} and no Episode; return mnesis.Episode(inputs, "
                "targets, weight) from episodes()"
            )
