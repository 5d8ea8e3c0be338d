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
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from ..compare.cell import Interrupted
from ..compare.grid import run_grid, standing
from ..compare.leaderboard import HEADER, Line, effort, leaderboard, markdown, table
from ..compare.page import write_page
from ..compare.setting import Budget, Match, Setting
from ..core.catalog import card, create_task, list_memories
from ..core.files import atomic_path
from ..measure.lengths import parse_lengths
from .options import parse_options


def run(
    tasks: tyro.conf.Positional[tuple[str, ...]],
    /,
    memories: str = "",
    budget: str = "tokens=1M",
    match: str = "",
    length: str = "",
    tests: str = "4x",
    task_options: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    dim: int = 64,
    depth: int = 2,
    convolution: int = 4,
    batch: int = 32,
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3),
    seeds: int = 3,
    sequences: int = 256,
    folder: Path = Path("runs/compare"),
    threads: int = 1,
    ray: str = "",
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Compare.

    Args:
        tasks: of the catalog (mnesis list tasks), or your own (path/to/file.py:MyTask).
        memories: of the catalog, or your own (path/to/file.py:MyMemory), with commas; all of the catalog if none is
            named.
        budget: of each training: tokens=1M (units read), or seconds=60 (of CPU time, which no machine repeats).
        match: what else is made equal within 5 %: parameters=100k, by widths; or state=16k (bytes), by what the catalog
            names for it. --dim for all if not given.
        length: of training episodes, one number or two with a dash (drawn between them); the catalog's if not given.
        tests: lengths that are reported, with commas; or 64x, the longest training length and its doubles up to so
            many times, as far as the task goes.
        task_options: constructor arguments of the task as key=value; the catalog's if none is given.
        options: constructor arguments of memories, as MEMORY:key=value.
        dim: width.
        depth: blocks.
        convolution: width of the causal convolution before every memory; 0 = without. Whole stacks that have no place
            for one go without.
        batch: rows of an update.
        rates: learning rates to search; the search goes on once beyond an end that is best.
        seeds: trainings with the best rate.
        sequences: of validation, and of every test.
        folder: of the comparison.
        threads: processes at a time, each with one thread.
        ray: address of a Ray cluster that shares the folder ("auto" for the one that this machine belongs to, "local"
            for one of its own), in place of --threads; pip install 'mnesis[ray]'.
        overwrite: fill cells anew that stand in the folder.
        quiet: no progress.
        as_json: the leaderboard, a list of lines.
    """
    if not tasks:
        raise ValueError("name a task to compare on; mnesis list tasks shows them")
    chosen = [name for name in memories.split(",") if name] or [entry.name for entry in list_memories()]
    given = _options(options, chosen)
    settings = []
    for task in tasks:
        task_given = parse_options(task_options) or dict(card("tasks", task).example)
        trained = _trained(task, length)
        settings.append(
            Setting(
                task,
                trained,
                _tests(task, trained, task_given, tests),
                Budget.parse(budget),
                task_given,
                Match.parse(match) if match else None,
                dim,
                depth,
                convolution or None,
                batch,
                rates,
                seeds,
                sequences,
            )
        )
    torch.set_num_threads(1)
    try:
        cells = run_grid(
            settings, given, folder, workers=threads, ray=ray or None, overwrite=overwrite, progress=not quiet
        )
    except Interrupted as stop:
        Console(stderr=True).print("stopped; the same command goes on from there")
        return 128 + stop.number
    cells += standing(folder, cells)
    lines = leaderboard(cells)
    text = json.dumps([each.as_json() for each in lines], indent=2) + "\n"
    for name, content in (("leaderboard.json", text), ("leaderboard.md", markdown(lines, effort(cells)))):
        with atomic_path(folder / name) as path:
            path.write_text(content, encoding="utf-8")
    page = write_page(folder, cells)
    if as_json:
        print(text, end="")
    else:
        _show(lines, page)
    return 0


def _show(lines: list[Line], page: Path) -> None:
    console = Console()
    told = [at for at, heading in enumerate(HEADER) if console.width >= 100 or heading not in ("weights", "mult-adds")]
    for task in dict.fromkeys(each.task for each in lines):
        shown = Table(title=task)
        for at in told:
            shown.add_column(HEADER[at], no_wrap=not at, justify="right" if at else "left")
        for row in table([each for each in lines if each.task == task], ranges=False):
            shown.add_row(*(row[at] for at in told))
        console.print(shown)
    console.print(f"page: {page}")


def _options(options: tuple[str, ...], memories: list[str]) -> dict[str, dict[str, Any]]:
    """By memory; unknown ones are refused here."""
    given: dict[str, dict[str, Any]] = {name: {} for name in memories}
    for name in memories:
        card("memories", name)
    for option in options:
        before, separator, value = option.partition("=")
        name, _, key = before.rpartition(":")
        pair = key + separator + value
        if name not in given:
            raise ValueError(f"{option!r} is no option of a compared memory; write MEMORY:key=value")
        given[name] |= parse_options((pair,))
    return given


def _trained(task: str, length: str) -> int | tuple[int, int]:
    if length:
        ends = parse_lengths(length.replace("-", ","))
        return ends[0] if len(ends) == 1 else (ends[0], ends[-1])
    low, high = card("tasks", task).training_lengths
    return low if low == high else (low, high)


def _tests(task: str, trained: int | tuple[int, int], options: dict[str, Any], tests: str) -> tuple[int, ...]:
    """Lengths as they are, or multiples as far as the task goes."""
    if not tests.endswith("x"):
        return tuple(parse_lengths(tests))
    most = parse_lengths(tests[:-1])[-1]
    longest = trained if isinstance(trained, int) else trained[1]
    created, possible = create_task(task, **options), []
    for times in (2**power for power in range(most.bit_length())):
        try:
            created.episodes(1, times * longest, torch.Generator().manual_seed(0))
        except ValueError:
            break
        possible.append(times * longest)
    return tuple(possible or [longest])
