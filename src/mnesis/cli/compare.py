"""Memories side by side on a task: equal budgets, equal networks, learning rates searched, seeds repeated.

    mnesis compare multi-query-recall --memories gru,linear-attention,delta-rule
    mnesis compare multi-query-recall state-tracking --budget tokens=500k --match parameters=100k --threads 2
    mnesis compare my_task.py:MyTask --memories gru,my_memory.py:MyMemory --length 1-8
    mnesis compare copy --memories lstm,window --options window:window=64 --length 4-16 --tests 16,32,64
    mnesis compare multi-query-recall --memories gla,mamba2 --budget tokens=500k --doublings 3 --plan
    mnesis compare multi-query-recall --setting zoology-64 --memories gla,mamba2 --dim 128 --plan

Every training stands in a run folder below FOLDER/TASK/MEMORY; Ctrl-C saves, and the same command goes on. In the end
the folder holds leaderboard.html, .json and .md of all cells that stand in it, those of earlier commands too. Figures
are medians over seeds, at the longest trained length: right answers in %, bits an answer, bits of all stored items
together (held), bytes of a sequence's state, held bits for each of them, weights of the network, multiply-adds of
reading a unit, and units trained a second of CPU time.

With --doublings two columns more: units until half of the accuracy that a memory comes to, above chance (learning), and
bits with the budget that is enough for it (holding; > where twice as much may raise them still).

Windows and segments of which no option says how long they are hold a quarter of the shortest training sequence, or of
the longest where the shortest is too short to hide any of it. A mark says that the whole sequence, or all that is asked
of it, stood verbatim in the memory (†), or that an earlier revision was measured (‡): such figures win nothing. Exit
code 1 if a cell failed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..compare.processes import refuse_again
from ..compare.rows import require_rows, write_rows
from ..compare.setting import Budget, Match, Setting
from ..core.amounts import parse_amount
from ..core.card import Published
from ..core.catalog import card, create_task, list_memories
from ..core.domain import Between, Positive, nearest, shown_text
from ..core.machine import free_cores, prepare
from ..measure.lengths import parse_lengths
from .arguments import Named
from .options import Count, Depth, Size, Threads, Width, options_of, pairs_by_name, training_lengths
from .output import print_table

if TYPE_CHECKING:
    from ..compare.leaderboard import Line
    from ..compare.plan import Planned

RATES = (3e-4, 1e-3, 3e-3)
KEPT = "what is trained is kept, and the same command goes on from there"


def run(
    tasks: Annotated[tuple[str, ...], Named("TASK")] = (),
    /,
    memories: str = "",
    setting: str = "",
    budget: str = "",
    match: str = "",
    length: str = "",
    tests: str = "",
    task_options: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    dim: Width = 64,
    depth: Depth = 2,
    convolution: Count = 4,
    batch: Size | None = None,
    rates: tuple[Positive, ...] = (),
    seeds: Size = 3,
    doublings: Annotated[int, Between(0, 20)] = 0,
    sequences: Size | None = None,
    folder: Path = Path("runs/compare"),
    threads: Threads | None = None,
    ray: str = "",
    overwrite: bool = False,
    plan: bool = False,
    quiet: bool = False,
    trackers: tuple[str, ...] = (),
    redraw: bool = False,
    csv: Path | None = None,
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Compare.

    Args:
        tasks: tasks of the catalog (mnesis list tasks), or your own (path/to/file.py:MyTask).
        memories: memories of the catalog, or your own (path/to/file.py:MyMemory), with commas between them; all of the
            catalog if none is named.
        setting: of one TASK as a paper has it learned, such as zoology-64 (mnesis show TASK names them): its length,
            options, budget, batch, rates and sequences, where no other is given. The network is ours.
        budget: what each training may use: tokens=1M (units read, the default), or seconds=60 (of CPU time, which no
            machine repeats).
        match: what else is made equal within 5 %: parameters=100k, by widths; or state=16k (bytes), by what the catalog
            names for it. --dim for all if not given.
        length: units of training episodes, one number or two with a dash (drawn between them); the catalog's if not
            given.
        tests: lengths that are reported, with commas; or 64x, the longest training length and its doubles up to so
            many times, as far as the task goes.
        task_options: constructor arguments of the task as key=value; the catalog's if none is given.
        options: constructor arguments of memories, as MEMORY:key=value.
        dim: width of the networks.
        depth: blocks of a network.
        convolution: units that the causal convolution before every memory sees; 0 = without. Whole stacks that have no
            place for one go without.
        batch: rows of an update; 32 if not given.
        rates: learning rates to search; 0.0003, 0.001 and 0.003 if none is given. The search goes on once beyond an end
            that is best.
        seeds: trainings with the best rate.
        doublings: of the budget, as long as twice as much raises what is held by more than its interval; two more seeds
            confirm the budget that is enough. At most one for memories below 5,000 units a second.
        sequences: how many of them validate, and are in every test; 256 if not given.
        folder: where everything of the comparison stands.
        threads: processes at a time, each with one thread; as many as cores are free when it begins, if not given.
        ray: address of a Ray cluster that shares the folder ("auto" for the one that this machine belongs to, "local"
            for one of its own), in place of --threads; pip install 'mnesis[ray]'.
        overwrite: fill cells anew that stand in the folder, once every memory has been tried.
        plan: say what would be trained and how many hours of CPU time that takes, and train nothing.
        quiet: show no progress.
        trackers: of accelerate, such as tensorboard or wandb, which every training tells what it does.
        redraw: draw the leaderboards of the cells that stand in the folder, and train nothing; without a TASK.
        csv: write the results into this file too, a row for every memory, task, length and seed.
        as_json: print the leaderboard, a list of lines.
    """
    refuse_again()
    if redraw:
        return _redraw(folder, tasks, csv, as_json)
    if not tasks:
        raise ValueError("TASK is missing; give one or more, or --redraw what stands in --folder")
    chosen = [name for name in memories.split(",") if name] or [entry.name for entry in list_memories()]
    given = _options(options, chosen)
    published = _published(tasks, setting)
    if published is not None:
        budget = budget or f"tokens={published.tokens}"
        length = length or str(published.length)
        batch, rates, sequences = batch or published.batch, rates or published.rates, sequences or published.sequences
    limit, matched = Budget.parse(budget or "tokens=1M"), Match.parse(match) if match else None
    tested = _tests(tests or "4x")
    around = (matched, dim, depth, convolution or None, batch or 32, rates or RATES, seeds, sequences or 256)
    wanted = {task: (training_lengths(task, length), options_of("tasks", task, task_options)) for task in tasks}
    if len(wanted) < len(tasks):
        raise ValueError(f"tasks {', '.join(tasks)}: name each once")

    require_rows(csv)
    from ..compare.watch import Watch

    with Watch(not quiet) as watch:
        from ..compare.grid import plan_grid, run_grid
        from ..compare.page import require_boards
        from ..compare.ways import Interrupted

        settings = []
        for task, (trained, task_given) in wanted.items():
            if published is not None:
                task_given = {**published.options, **task_given}
            task_given = task_given or dict(card("tasks", task).example)
            lengths = tested if isinstance(tested, tuple) else _doubles(task, trained, task_given, tested)
            settings.append(Setting(task, trained, lengths, limit, task_given, *around))
        require_boards(folder)
        prepare(1)
        workers = threads or free_cores()
        if plan:
            how = {"doublings": doublings, "workers": workers, "overwrite": overwrite}
            return _plan(plan_grid(settings, given, folder, watch=watch, **how), workers, as_json)
        try:
            cells = run_grid(
                settings,
                given,
                folder,
                doublings=doublings,
                workers=workers,
                ray=ray or None,
                overwrite=overwrite,
                progress=watch,
                trackers=trackers,
            )
        except Interrupted as stop:
            print(f"stopped; {KEPT}", file=sys.stderr)
            return 128 + stop.number
    _tell(folder, cells, csv, as_json)
    return int(any(cell["status"] == "failed" for cell in cells))


def _published(tasks: tuple[str, ...], setting: str) -> Published | None:
    """The setting of that name; None where none was asked for."""
    if not setting:
        return None
    task, *others = tasks
    if others:
        raise ValueError(f"--setting {shown_text(setting)} is one task's; name it alone, not {' '.join(tasks)}")
    known = card("tasks", task).published
    if setting not in known:
        near = nearest(setting, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}"
        raise ValueError(f"{task} has no setting {shown_text(setting)}; {hint}")
    return known[setting]


def _redraw(folder: Path, tasks: tuple[str, ...], csv: Path | None, as_json: bool) -> int:
    if tasks:
        raise ValueError(f"--redraw draws all that stands in {folder}; leave {' '.join(tasks)} out")
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the --folder of a comparison")
    require_rows(csv)
    _tell(folder, [], csv, as_json)
    return 0


def _plan(planned: list[Planned], workers: int, as_json: bool) -> int:
    """What would be trained, a line a task."""
    from ..compare.plan import told, total

    tasks = {task: [each for each in planned if each.place.setting.task == task] for task in _tasks(planned)}
    if as_json:
        values = [
            {"task": each.place.setting.task, "memory": each.place.memory, "units_per_second": each.speed}
            | {"least_seconds": each.takes.least, "most_seconds": each.takes.most}
            for each in planned
        ]
        print(json.dumps(values, indent=2))
        return 0
    rows = [[task, str(len(own)), *(f"{each / 3600:.2f}" for each in total(own))] for task, own in tasks.items()]
    headings = ["task", "cells", "hours at least", "at most"]
    print_table(headings, rows, title="CPU time", right=headings[1:], caption=told(planned, workers))
    return 0


def _tasks(planned: list[Planned]) -> list[str]:
    return list(dict.fromkeys(each.place.setting.task for each in planned))


def _tell(folder: Path, cells: list[dict[str, Any]], csv: Path | None, as_json: bool) -> None:
    """Write and print what was found, and what stood in the folder."""
    from ..compare.grid import standing
    from ..compare.page import write_boards

    lines, page = write_boards(folder, cells)
    if csv is not None:
        write_rows(csv, [*cells, *standing(folder, cells)])
    if as_json:
        print(json.dumps([each.as_json() for each in lines], indent=2))
    else:
        _show(lines, page)


def _show(lines: list[Line], page: Path) -> None:
    from ..compare.leaderboard import header, notes, table

    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= 110
    for task in dict.fromkeys(each.task for each in lines):
        own = [each for each in lines if each.task == task]
        headings = header(own)
        told = [at for at, heading in enumerate(headings) if wide or heading not in ("weights", "mult-adds")]
        rows = [[row[at] for at in told] for row in table(own, ranges=False)]
        print_table([headings[at] for at in told], rows, title=task, right=headings[1:], caption=notes(own))
    print(f"page: {page}")


def _options(options: tuple[str, ...], memories: list[str]) -> dict[str, dict[str, Any]]:
    """By memory; unknown ones are refused here."""
    pairs = pairs_by_name(options, memories)
    if len(pairs) < len(memories):
        raise ValueError(f"memories {','.join(memories)}: name each once")
    return {name: options_of("memories", name, own, {"dim": "--dim"}) for name, own in pairs.items()}


def _tests(tests: str) -> tuple[int, ...] | int:
    """Lengths as they are, or so many times the trained one at most."""
    if not tests.endswith("x"):
        return tuple(parse_lengths(tests, least=1))
    return parse_amount(tests[:-1], "multiple of the trained length", least=1, example="4, for --tests 4x")


def _doubles(task: str, trained: int | tuple[int, int], options: dict[str, Any], most: int) -> tuple[int, ...]:
    """The longest trained length and its doubles, as far as the task goes."""
    import torch

    longest = trained if isinstance(trained, int) else trained[1]
    created, possible = create_task(task, **options), []
    for times in (2**power for power in range(most.bit_length())):
        try:
            created.episodes(1, times * longest, torch.Generator().manual_seed(0))
        except ValueError:
            break
        possible.append(times * longest)
    return tuple(possible or [longest])
