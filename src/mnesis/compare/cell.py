"""One memory on one task: a search for the learning rate, trainings with it, and what they hold."""

from __future__ import annotations

import json
import math
import platform
import re
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import torch

from ..core.domain import Count, Positive, Size, fault
from ..core.files import lack_of_room, read_json, shown_differences, write_json
from ..core.folders import alone, is_ours, remove_empty, tidy, write_page
from ..core.made_by import made_by
from ..core.memory import Memory
from ..core.reason import reason_for
from ..core.run_files import Amount
from ..core.task import Task
from ..learn.folder import discard as discard_run
from ..measure.metering.meter import Score, examine
from ..measure.metering.work import work
from .design import Options, Unfit, count_parameters, matched
from .growth import GROWTH, grow, has_grown, read_growth
from .pace import pace, updating
from .place import Told
from .setting import TEST_SEED, VALIDATION_SEED, Setting
from .verbatim import seen
from .ways import SEARCH_SEED, TIMED, Choice, Interrupted, Way, revisions, way_for

RESULT, STEPS, ERROR = "cell.json", "steps.json", "error.txt"
_FILES = (RESULT, STEPS, ERROR, GROWTH)
_RUNS = re.compile(r"search-.*|([0-9]+x-)?seed-[0-9]+")
"""Folders of a cell's trainings."""
_MEND = "remove it to fill the cell anew, or give another --folder"
_REFUSING = tuple(
    f"mnesis.{module}" for module in ("core.files", "core.folders", "learn.fit", "learn.folder", "learn.checkpoint")
)
"""Modules that refuse folders and what is asked of them, which no memory can help."""
Cell = dict[str, Any]
"""What ``run_cell`` finds, as plain values."""


class _Asked(TypedDict):
    memory: str
    options: dict[str, Any]
    setting: dict[str, Any]
    revisions: NotRequired[dict[str, Size]]
    """Those that are not the first: of the memory, and of the training loop."""


class _Known(TypedDict):
    """What every cell says."""

    asked: _Asked
    task: str
    memory: str
    machine: NotRequired[str]
    status: Literal["done", "unfit", "failed"]


class _Unfit(_Known):
    reason: str


class _Tried(TypedDict):
    rate: NotRequired[Positive]
    options: NotRequired[dict[str, Any]]
    folder: str
    bits: float | None
    broke: NotRequired[str]


class _Searched(_Known):
    dim: Size
    hidden: Size | None
    options: dict[str, Any]
    made_by: NotRequired[dict[str, Any]]
    sees: NotRequired[Size | None]
    inside: NotRequired[list[Size]]
    parameters: Count
    multiply_adds: Amount | None
    steps: Size
    search: list[_Tried]
    search_seconds: Amount


class _Failed(_Searched):
    reason: str


class _Training(TypedDict):
    seed: int
    folder: str
    units: Count
    seconds: Amount
    scores: list[Score]


class _Done(_Searched):
    rate: Positive | None
    trainings: list[_Training]
    units_per_second: Amount


_SHAPES = {"done": _Done, "unfit": _Unfit, "failed": _Failed}


class Broken(Exception):  # noqa: N818 (of what it was caused by)
    """What a memory or a task raised while its cell was filled, in one line; the traceback stands in the folder."""


def stood(setting: Setting, memory: str, options: Options, folder: Path, doublings: int = 0) -> Cell | None:
    """A cell that stands filled, its budget doubled as far as asked, else None. Arguments as of ``run_cell``.

    Raises:
        ValueError: the folder holds a cell of another setting.
    """
    found = _filled(setting, memory, options, folder)
    return found if found is not None and has_grown(found, found.get("growth"), doublings) else None


def _filled(setting: Setting, memory: str, options: Options, folder: Path) -> Cell | None:
    if not (folder / RESULT).exists():
        return None
    found, asked = read_cell(folder / RESULT), _asked(setting, memory, options)
    if told := stale(found):
        raise ValueError(
            f"{folder} holds a cell {told}: its figures are stale; --overwrite it, or give another --folder"
        )
    if shown := shown_differences(found["asked"], asked):
        raise ValueError(f"{folder} holds a cell of another setting ({shown}); give another --folder, or --overwrite")
    tidy(folder, *_FILES)
    return found


def stale(cell: Cell) -> str:
    """By what figures are out of date, such as "made with revision 1 of gla, which is at 2"; "" where they are not."""
    if "asked" not in cell:
        return ""
    before = cell["asked"].get("revisions", {})
    try:
        now = revisions(cell["memory"]).get("revisions", {})
    except ValueError:  # a class that is gone
        return ""
    for name in sorted({*before, *now}):
        if before.get(name, 1) != now.get(name, 1):
            return f"made with revision {before.get(name, 1)} of {name}, which is at {now.get(name, 1)}"
    return ""


def read_cell(path: Path) -> Cell:
    """A cell's file, and beside it under ``growth`` what doubled budgets gave (:mod:`mnesis.compare.growth`).

    Raises:
        ValueError: it is none, or beside it is another cell's growth.json.
    """
    found: Cell = read_json(path, dict[str, Any], mend=_MEND)
    status = found.get("status")
    wrong = None if status is None else fault(status, Literal["done", "unfit", "failed"], "status")
    wrong = wrong or fault(found, _SHAPES.get(str(status), _Known))
    if not wrong and any(not training["scores"] for training in found.get("trainings", [])):
        wrong = "a training has no scores"
    if not wrong and found["status"] == "done" and not found["trainings"]:
        wrong = "it is done and has no trainings"
    if wrong:
        raise ValueError(f"{path} cannot be read: {wrong}; {_MEND}")
    if "asked" in found and (growth := read_growth(path.parent, found["asked"])) is not None:
        found["growth"] = growth
    return found


def discard(folder: Path) -> None:
    """Remove a cell and its trainings, and no file of anybody else.

    Raises:
        ValueError: cell.json is none, or another process is writing there.
    """
    if not folder.is_dir():
        return
    with alone(folder, *_FILES):
        if (folder / RESULT).exists():
            read_cell(folder / RESULT)
        for each in sorted(folder.iterdir()):
            if each.is_dir() and _RUNS.fullmatch(each.name):
                discard_run(each)
        for file in (RESULT, GROWTH, STEPS):
            (folder / file).unlink(missing_ok=True)
        _forget_error(folder)
    remove_empty(folder)


def _asked(setting: Setting, memory: str, options: Options) -> dict[str, Any]:
    """As it reads when it comes back from a file."""
    asked = {"memory": memory, "options": dict(options), "setting": setting.as_json(), **revisions(memory)}
    return json.loads(json.dumps(asked))


def run_cell(
    setting: Setting,
    memory: str,
    options: Options,
    folder: Path,
    *,
    doublings: int = 0,
    progress: bool | Callable[[Told], object] = False,
    trackers: Sequence[str] = (),
) -> Cell:
    """Fill a cell, or read it back where it stands finished.

    Its folder holds a run for every training, and in the end cell.json:

    - ``status`` "done", or "unfit" or "failed" with the ``reason``;
    - ``dim``, ``hidden``, ``options``, ``parameters``, ``multiply_adds`` of reading a unit (None where they cannot be
      counted); ``steps`` of each training; ``units_per_second`` of CPU time, which other processes disturb least, of
      some updates at the longest training length, or of whole trainings without gradient;
    - ``made_by``: every option of the memory, defaults included, and revisions (:func:`mnesis.core.made_by.made_by`);
    - ``search``: ``{rate, bits, folder}`` for every rate tried, ``bits`` None where it broke down; of a memory
      that is not trained by gradient ``options`` in place of the rate; ``rate``: the best, else None;
    - ``trainings``: one a seed, with ``seed``, ``folder``, ``seconds``, ``units`` and ``scores``, one a tested length;
    - ``sees``: units that stand verbatim in the memory, None where none do; ``inside``: tested lengths at which whole
      sequences stand there (:mod:`mnesis.compare.verbatim`);
    - ``search_seconds``: what the search took; ``machine``: on which.

    Args:
        setting: what is equal for all.
        memory: name in the catalog, or ``file.py:Class``.
        options: its constructor arguments.
        folder: of the cell.
        doublings: of the budget, as long as they raise what is held (:func:`mnesis.compare.growth.grow`); what they
            give stands in growth.json, and under ``growth``.
        progress: a bar for every training; or what is called after every update with how far the cell is.
        trackers: of accelerate, which every training tells what it does.

    Raises:
        ValueError: the folder holds a cell of another setting or an earlier revision, another process fills it, a
            budget too small for one update, or a memory that cannot be built.
        Broken: the memory or the task raised something; its traceback stands in error.txt.
        Interrupted: a signal ended a training; the same call goes on.
    """
    if (found := stood(setting, memory, options, folder, doublings)) is not None:
        return found
    with alone(folder, *_FILES):
        if (found := stood(setting, memory, options, folder, doublings)) is not None:
            return found
        task = setting.create_task()
        found = _filled(setting, memory, options, folder)
        if found is None:
            found = _fill(setting, task, memory, options, folder, progress, trackers)
            write_json(folder / RESULT, found)
        with _contained(folder, setting.task, memory):
            grow(found, setting, folder, doublings, progress=progress, trackers=trackers)
        _forget_error(folder)
    return read_cell(folder / RESULT)


def _fill(
    setting: Setting,
    task: Task,
    memory: str,
    options: Options,
    folder: Path,
    progress: bool | Callable[[Told], object],
    trackers: Sequence[str],
) -> Cell:
    try:
        size = matched(setting, task, memory, options)
    except Unfit as reason:
        measured = {"status": "unfit", "reason": str(reason)}
    else:
        way = way_for(setting, task, memory, size)
        way.progress, way.trackers = progress, trackers
        steps = _steps(setting, task, way.network(SEARCH_SEED), folder)
        with _contained(folder, setting.task, memory):
            measured = _measure(way, steps, folder)
    asked = _asked(setting, memory, options)
    return {"asked": asked, "task": setting.task, "memory": memory, "machine": _machine(), **measured}


@contextmanager
def _contained(folder: Path, task: str, memory: str) -> Iterator[None]:
    """Keep what a memory or a task raises, and let through what the library refuses, and signals."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        if _is_refusal(error):
            raise
        raise Broken(_kept_error(folder, task, memory, error)) from error


def _is_refusal(error: Exception) -> bool:
    """Whether the library says no to what it was asked, or a disk is full: no fault of a memory."""
    if lack_of_room(error) is not None:
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    return isinstance(error, ValueError) and bool(frames) and frames[-1][0].f_globals.get("__name__") in _REFUSING


def _kept_error(folder: Path, task: str, memory: str, error: Exception) -> str:
    """What was raised, in one line; all of it is written down."""
    reason = reason_for(error)
    trace = "".join(traceback.format_exception(error))
    with suppress(ValueError):  # somebody else's file of that name
        write_page(folder / ERROR, f"{memory} on {task}: {reason}\n\n{trace}", mend=_MEND)
    return reason


def _forget_error(folder: Path) -> None:
    if is_ours(folder / ERROR):
        (folder / ERROR).unlink()


def _machine() -> str:
    """The processor, and torch."""
    name = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{name}, torch {torch.__version__}"


def _measure(way: Way, steps: int, folder: Path) -> dict[str, Any]:
    setting, task, size = way.setting, way.task, way.size
    search: list[dict[str, Any]] = []
    began = time.process_time()

    def tried(choice: Choice) -> None:
        entry: dict[str, Any] = {**choice, "folder": f"search-{way.name(choice)}", "bits": None}
        try:
            trained, _ = way.trained(choice, steps, SEARCH_SEED, folder / entry["folder"])
            score = examine(
                trained, task.unseen("valid"), setting.lengths[1], sequences=setting.sequences, seed=VALIDATION_SEED
            )
            entry["bits"] = score.bits if math.isfinite(score.bits) else None
        except FloatingPointError as error:
            entry["broke"] = str(error)
        search.append(entry)

    for choice in way.choices():
        tried(choice)
    best = _best(search)
    if best is not None and (further := way.beyond(best)):
        tried(further)
        best = _best(search)
    spent = time.process_time() - began
    network = way.network(SEARCH_SEED)
    about = {
        "dim": size.dim,
        "hidden": size.hidden,
        "options": {**size.options, **(best or {}).get("options", {})},
        "made_by": made_by(network),
        **seen(setting, task, network)._asdict(),
        "parameters": count_parameters(network),
        "multiply_adds": _multiply_adds(setting, task, network),
        "steps": steps,
        "search": search,
        "search_seconds": round(spent, 1),
    }
    if best is None:
        return {"status": "failed", "reason": "every learning rate of the search broke down", **about}
    trainings = []
    for seed in range(1, setting.seeds + 1):
        own = folder / f"seed-{seed}"
        try:
            trained, result = way.trained(best, steps, seed, own)
        except FloatingPointError as error:
            return {"status": "failed", "reason": f"seed {seed} broke down: {error}", **about}
        scores = [_examined(setting, task, trained, length).as_json() for length in setting.tests]
        if wrong := fault(scores, list[Score], "scores"):
            return {"status": "failed", "reason": f"seed {seed} answers in no finite numbers: {wrong}", **about}
        trainings.append(
            {
                "seed": seed,
                "folder": own.name,
                "units": result.units,
                "seconds": round(result.seconds, 1),
                "scores": scores,
            }
        )
    speed = {"units_per_second": round(way.units_per_second(trainings), 1)}
    return {"status": "done", "rate": best.get("rate"), "trainings": trainings, **about, **speed}


def _best(search: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max((entry for entry in search if entry["bits"] is not None), key=lambda entry: entry["bits"], default=None)


def _examined(setting: Setting, task: Task, network: Memory[Any], length: int) -> Score:
    return examine(network, task.unseen("test"), length, sequences=setting.sequences, seed=TEST_SEED)


def _multiply_adds(setting: Setting, task: Task, network: Memory[Any]) -> float | None:
    try:
        return work(network, task.episodes(1, setting.lengths[1], torch.Generator().manual_seed(0))).multiply_adds
    except NotImplementedError:  # a class of one's own may run what no rule counts
        return None


def _steps(setting: Setting, task: Task, network: Memory[Any], folder: Path) -> int:
    """Updates that the budget allows; kept where they were timed, so that a cell goes on as it began."""
    if setting.budget.kind == "tokens":
        steps = int(setting.budget.amount / setting.units(task))
    else:
        if (folder / STEPS).exists():
            return read_json(folder / STEPS, Size, mend=_MEND)
        low, high = setting.lengths
        lengths = [low + (high - low) * index // TIMED for index in range(TIMED + 1)]
        timed = pace(task, updating(network), setting.batch, lengths)
        steps = int(setting.budget.amount / statistics.median(seconds for _, seconds in timed))
    if steps < 1:
        raise ValueError(
            f"a budget of {setting.budget.amount:,} {setting.budget.kind} does not suffice for one update of "
            f"{setting.batch} rows ({setting.units(task):,.0f} units); raise it, or give a smaller --batch"
        )
    if setting.budget.kind == "seconds":
        write_json(folder / STEPS, steps)
    return steps
