"""Memories side by side on a task: equal budgets, equal networks, learning rates searched, seeds repeated.

    mnesis compare multi-query-recall --memories gru,linear-attention,delta-rule
    mnesis compare multi-query-recall state-tracking --budget tokens=500k --match parameters=100k --threads 2
    mnesis compare my_task.py:MyTask --memories gru,my_memory.py:MyMemory --length 1-8
    mnesis compare copy --memories lstm,window --options window:window=64 --length 4-16 --tests 16,32,64

Every training stands in a run folder below FOLDER/TASK/MEMORY; Ctrl-C saves, and the same command goes on. In the end
the folder holds leaderboard.html, .json and .md of all cells that stand in it, those of earlier commands too. Figures
are medians over seeds, at the longest trained length: right answers in %, bits an answer, bits of all stored items
together (held), bytes of a sequence's state, held bits for each of them, weights of the network, multiply-adds of
reading a unit, and units trained a second of CPU time.

Windows and segments of which no option says how long they are hold a quarter of the shortest training sequence. A mark
says that the whole sequence stood verbatim in the memory (†), or that an earlier revision was measured (‡): such
figures win nothing. Exit code 1 if a cell failed.
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
from ..core.catalog import card, create_task, list_memories
from ..core.domain import Positive
from ..core.machine import free_cores, prepare
from ..measure.lengths import parse_amount, parse_lengths
from .arguments import Named
from .options import Count, Depth, Size, Threads, Width, options_of, pairs_by_name, training_lengths
from .output import print_table

if TYPE_CHECKING:
    from ..compare.leaderboard import Line

KEPT = "what is trained is kept, and the same command goes on from there"


def run(
    tasks: Annotated[tuple[str, ...], Named("TASK")] = (),
    /,
    memories: str = "",
    budget: str = "tokens=1M",
    match: str = "",
    length: str = "",
    tests: str = "4x",
    task_options: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    dim: Width = 64,
    depth: Depth = 2,
    convolution: Count = 4,
    batch: Size = 32,
    rates: tuple[Positive, ...] = (3e-4, 1e-3, 3e-3),
    seeds: Size = 3,
    sequences: Size = 256,
    folder: Path = Path("runs/compare"),
    threads: Threads | None = None,
    ray: str = "",
    overwrite: bool = False,
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
        budget: what each training may use: tokens=1M (units read), or seconds=60 (of CPU time, which no machine
            repeats).
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
        batch: rows of an update.
        rates: learning rates to search; the search goes on once beyond an end that is best.
        seeds: trainings with the best rate.
        sequences: how many of them validate, and are in every test.
        folder: where everything of the comparison stands.
        threads: processes at a time, each with one thread; as many as cores are free when it begins, if not given.
        ray: address of a Ray cluster that shares the folder ("auto" for the one that this machine belongs to, "local"
            for one of its own), in place of --threads; pip install 'mnesis[ray]'.
        overwrite: fill cells anew that stand in the folder, once every memory has been tried.
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
    limit, matched = Budget.parse(budget), Match.parse(match) if match else None
    tested = _tests(tests)
    wanted = {task: (training_lengths(task, length), options_of("tasks", task, task_options)) for task in tasks}
    if len(wanted) < len(tasks):
        raise ValueError(f"tasks {', '.join(tasks)}: name each once")

    require_rows(csv)
    from ..compare.watch import Watch

    with Watch(not quiet) as watch:
        from ..compare.grid import run_grid
        from ..compare.page import require_boards
        from ..compare.ways import Interrupted

        settings = []
        for task, (trained, task_given) in wanted.items():
            task_given = task_given or dict(card("tasks", task).example)
            lengths = tested if isinstance(tested, tuple) else _doubles(task, trained, task_given, tested)
            around = (matched, dim, depth, convolution or None, batch, rates, seeds, sequences)
            settings.append(Setting(task, trained, lengths, limit, task_given, *around))
        require_boards(folder)
        prepare(1)
        try:
            cells = run_grid(
                settings,
                given,
                folder,
                workers=threads or free_cores(),
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


def _redraw(folder: Path, tasks: tuple[str, ...], csv: Path | None, as_json: bool) -> int:
    if tasks:
        raise ValueError(f"--redraw draws all that stands in {folder}; leave {' '.join(tasks)} out")
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the --folder of a comparison")
    require_rows(csv)
    _tell(folder, [], csv, as_json)
    return 0


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
    from ..compare.leaderboard import HEADER, notes, table

    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= 100
    told = [at for at, heading in enumerate(HEADER) if wide or heading not in ("weights", "mult-adds")]
    for task in dict.fromkeys(each.task for each in lines):
        own = [each for each in lines if each.task == task]
        rows = [[row[at] for at in told] for row in table(own, ranges=False)]
        print_table([HEADER[at] for at in told], rows, title=task, right=HEADER[1:], caption=notes(own))
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
    return parse_amount(tests[:-1], "multiple of the trained length", least=1)


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
