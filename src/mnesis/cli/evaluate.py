"""Accuracy, bits and memory of a run at any length, beside chance and a control. Killed, it goes on where it was.

    mnesis evaluate runs/copy-gru
    mnesis evaluate runs/copy-gru --lengths 16,64,256 --csv copy.csv
    mnesis evaluate runs/babilong-armt --lengths 1k,4k,16k,64k
    mnesis evaluate reader --lengths 1M,10M --long-streams 4 --output runs/reader

A run of any task is asked on unseen sequences, by default of its longest trained length and its doubles up to 64 times
that, as far as the task goes. A reader of BABILong reads streams in constant memory, facts hidden in background text,
and is asked at their ends by forking its state. The control is the same weights, their state fresh before every
question.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.amounts import parse_amount
from ..core.catalog import card, catalog_alone
from ..core.files import atomic_path
from ..core.machine import fast_products, prepare, width
from ..core.run_files import CONFIG, read_config
from ..core.shipped import find
from ..core.specification import TaskSpecification, task_in
from ..measure.lengths import format_length, parse_lengths
from .arguments import Named
from .options import Count, Seed, Size, Threads, options_of, refuse_present
from .output import print_table
from .runs import (
    background_of,
    is_of_pictures,
    is_reader,
    kept_threads,
    open_network,
    open_run,
    refuse_files,
    refuse_sources,
)

if TYPE_CHECKING:
    from ..measure import Evaluation
    from ..measure.metering.scores import Examined
    from .runs import OpenRun

KEPT = "what is read is kept, and the same command goes on from there"
SHORT = 16_000
"""Up to here ``streams`` are read, beyond it ``long_streams``."""
LENGTHS = [1000, 4000, 16_000]
"""Of a reader's streams; below, how many there are, and how they are read."""
STREAMS, LONG_STREAMS, QUESTIONS, BATCH, CHUNK = 100, 10, 4, 8, 512
FARTHEST = 64
"""Times the trained length, where nothing else is asked for."""


def run(
    model: Annotated[str, Named("RUN")],
    /,
    lengths: str = "",
    sequences: Size | None = None,
    task: str = "",
    task_options: tuple[str, ...] = (),
    streams: Size | None = None,
    long_streams: Size | None = None,
    questions: Size | None = None,
    batch: Size | None = None,
    chunk: Size | None = None,
    seed: Seed | None = None,
    stories: str | None = None,
    background: str | None = None,
    files: tuple[str, ...] = (),
    maximum_facts: Count | None = None,
    within: Size | None = None,
    output: Path | None = None,
    csv: Path | None = None,
    threads: Threads | None = None,
    trust: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Evaluate.

    Args:
        model: a run's folder, or the name of a reader that ships with mnesis.
        lengths: lengths in the task's own unit, such as 16,64,256 (k = 1,000), or 8x, the longest trained length and
            its doubles up to so many times; 64x if not given. Of a reader tokens of its streams; 1k,4k,16k if not
            given.
        sequences: how many a length; up to 256 if not given, fewer where they are long. Not of readers.
        task: what to ask, where the run does not say what it was trained on, or another task; of the catalog, or your
            own (path/to/file.py:MyTask). Not of readers.
        task_options: constructor arguments of that task as key=value.
        streams: of readers alone: streams a length, up to 16k tokens; 100 if not given.
        long_streams: of readers alone: streams a length beyond; 10 if not given.
        questions: of readers alone: asked at the end of a stream of simulated stories (fewer where the story has no
            more), 4 if not given; stories from files have one.
        batch: of readers alone: streams read side by side; 8 if not given.
        chunk: of readers alone: tokens read at a time; 512 if not given.
        seed: of the test set.
        stories: of readers alone: bAbI files, or "simulated"; as in training if not given.
        background: of readers alone: folder of .txt files, or "prose"; as in training if not given.
        files: of readers alone: those of that folder that are read; the run's held-out files if not given.
        maximum_facts: of readers alone: stories of more facts are left out, so that short samples hold them.
        within: of readers alone: facts stand among the first so many tokens of a stream; anywhere if not given.
        output: folder for what is found and report.html; if not given, the run's own, or runs/NAME for a reader that
            ships with mnesis.
        csv: file for the figures as a table, one line a length.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        trust: let the run's files name classes outside the catalog, whose code then runs.
        overwrite: replace an evaluation of other weights or questions, and a file that stands at --csv.
        quiet: show no progress bar.
        as_json: print the results, for scripts.
    """
    asked = _lengths(lengths)
    refuse_present("--csv", None if overwrite else csv, "--overwrite")
    folder = find(model)
    reading = {
        "streams": streams, "long_streams": long_streams, "questions": questions, "batch": batch, "chunk": chunk,
        "stories": stories, "background": background, "files": files, "maximum_facts": maximum_facts,
        "within": within,
    }  # fmt: skip
    reader = is_reader(folder) and not task
    _refuse_foreign(model, {"sequences": sequences, "task_options": task_options} if reader else reading, reader=reader)
    place = output or (folder if folder == Path(model) else Path("runs") / model)
    common: dict[str, Any] = {"output": place, "progress": not quiet}
    if reader:
        given = {key: value for key, value in reading.items() if value not in (None, ())}
        results, table = _of_reader(model, asked, given, threads, trust, seed=seed or 0, **common)
    else:
        wanted = _task(folder, task, task_options)
        common |= {"sequences": sequences, "seed": seed, "overwrite": overwrite}
        results, table = _of_task(folder, wanted, asked, threads, trust, named=bool(task), **common)

    from ..measure import write_report
    from ..measure.pages.report import lengths_csv
    from ..measure.pages.runs import load_run

    page = write_report([place])
    if csv is not None:
        with atomic_path(csv) as temporary:
            temporary.write_text(lengths_csv(load_run(place)), encoding="utf-8")
    if as_json:
        print(json.dumps(results, default=str))
    else:
        table()
        print(f"report: {page}")


def _of_reader(
    model: str,
    asked: list[int] | int | None,
    given: dict[str, Any],
    threads: int | None,
    trust: bool,
    **common: Any,
) -> tuple[Any, Callable[[], None]]:
    """Evaluate a reader of BABILong: results as plain values, and what prints them."""
    if isinstance(asked, int):
        raise ValueError(
            f"--lengths {asked}x counts in trained lengths, and a reader was trained on lives of many; give 1k,4k"
        )
    background = given.get("background")
    refuse_sources(given.get("stories", "simulated"), background or "prose")
    if "files" in given:
        refuse_files("--files", given["files"], background or background_of(find(model)))

    from ..measure.pages.report import require_place

    prepare(threads)
    opened = open_run(model, trust=trust)
    require_place(common["output"])
    found = measure(opened, asked or LENGTHS, **given, **common)
    return found.results, lambda: show(found)


def _of_task(
    folder: Path,
    wanted: TaskSpecification,
    asked: list[int] | int | None,
    threads: int | None,
    trust: bool,
    *,
    named: bool,
    output: Path,
    sequences: int | None,
    seed: int | None,
    overwrite: bool,
    progress: bool,
) -> tuple[Any, Callable[[], None]]:
    """Put the questions of a task to a run: results as plain values, and what prints them."""
    config = str(folder / CONFIG)
    with nullcontext() if trust or named else catalog_alone(config):
        card("tasks", wanted.name)  # somebody's own is refused before anything heavy is done

    from ..measure.metering.scores import SEED, doubles, examine_lengths
    from ..measure.pages.report import require_place

    require_place(output)
    prepare(threads or kept_threads(folder))
    opened = open_network(folder, trust=trust)
    task = wanted.build(config, trust=trust or named).unseen("test")
    if isinstance(asked, list):
        lengths = asked
    else:
        reach = doubles(task, opened.trained_length, asked or FARTHEST)
        lengths = reach.lengths
        if not lengths:
            raise ValueError(f"{wanted.name}, length {opened.trained_length}: {reach.limit}; give other --lengths")
        if reach.limit and progress:
            print(f"{wanted.label} goes to length {format_length(lengths[-1])}: {reach.limit}", file=sys.stderr)
    with fast_products(width(opened.network)):
        found = examine_lengths(
            opened.network,
            task,
            lengths,
            sequences=sequences,
            seed=SEED if seed is None else seed,
            folder=output,
            about={"task": wanted.as_json()},
            overwrite=overwrite,
            progress=progress,
        )
    rows = [{**each.score.as_json(), "units": each.units, "seconds": each.seconds} for each in found]
    return {"folder": str(output), "task": wanted.as_json(), "lengths": rows}, lambda: _show_scores(wanted, found)


def _lengths(text: str) -> list[int] | int | None:
    """Lengths as they are, or so many times the trained one at most; None = the usual ones."""
    if not text:
        return None
    if not text.strip().endswith("x"):
        return parse_lengths(text, least=1)
    return parse_amount(text.strip()[:-1], "multiple of the trained length", least=1, example="4, for --lengths 4x")


def _refuse_foreign(model: str, foreign: Mapping[str, Any], *, reader: bool) -> None:
    given = next((key for key, value in foreign.items() if value not in (None, "", ())), None)
    if given is not None:
        option = f"--{given.replace('_', '-')}"
        told = "is a reader of BABILong, and there is no such thing" if reader else "is no reader of BABILong"
        raise ValueError(f"{model} {told}; leave {option} out")


def _task(folder: Path, named: str, pairs: tuple[str, ...]) -> TaskSpecification:
    """What is asked: what the run was trained on, or another task.

    Raises:
        ValueError: neither is named.
    """
    if named:
        return TaskSpecification(named, options_of("tasks", named, pairs) or dict(card("tasks", named).example))
    config = read_config(folder, mend="train the run anew")
    if is_of_pictures(config):
        raise ValueError(
            f"{folder} is a model of pictures, which answers no questions; mnesis generate {folder} says what a "
            "drawing costs and which class it is of"
        )
    if (found := task_in(config)) is None:
        raise ValueError(
            f"{folder} does not say what it was trained on (a task built from objects, or an earlier version); give "
            "--task NAME and its --task-options"
        )
    return found._replace(options={**found.options, **options_of("tasks", found.name, pairs)}) if pairs else found


def measure(
    opened: OpenRun,
    lengths: list[int],
    *,
    streams: int = STREAMS,
    long_streams: int = LONG_STREAMS,
    questions: int = QUESTIONS,
    batch: int = BATCH,
    chunk: int = CHUNK,
    seed: int = 0,
    stories: str | None = None,
    background: str | None = None,
    files: tuple[str, ...] = (),
    maximum_facts: int | None = None,
    within: int | None = None,
    output: Path,
    progress: bool,
) -> Evaluation:
    """Evaluate an opened run, on other stories or another background than it was trained on if asked to."""
    from ..measure import evaluate
    from ..tasks.stories import scoring

    source = opened.source
    if background is not None:
        kept = source.held_out if background == source.background else ()
        source = dataclasses.replace(source, background=background, held_out=kept, from_file=False)
    source = dataclasses.replace(source, stories=stories or source.stories, held_out=files or source.held_out)
    asked = questions if source.stories == "simulated" else 1
    limits = {"maximum_facts": maximum_facts, "within": within}
    task = source.open(opened.tokenizer, split="test", questions=asked, **limits)
    about = {"model": str(opened.folder.name), "source": source.as_json()}
    about |= {name: limit for name, limit in limits.items() if limit is not None}
    with fast_products(width(opened.network)):
        return evaluate(
            opened.network,
            task,
            lengths=lengths,
            streams={length: streams if length <= SHORT else long_streams for length in lengths},
            batch=batch,
            chunk=chunk,
            seed=seed,
            decode=opened.tokenizer.decode,
            scorers={"official": scoring.official, "whole_word": scoring.whole_word},
            store=output,
            about=about,
            progress=progress,
        )


def _show_scores(wanted: TaskSpecification, found: list[Examined]) -> None:
    """One row a length."""
    from ..measure.pages.page import format_bytes

    measure = found[0].score.measure
    form = (lambda value: f"{value:.3f}") if measure == "R2" else (lambda value: f"{value:.1%}")
    header = ("length", measure, "95 %", "answers", "bits", "control", "chance", "state")
    rows = [
        (
            format_length(score.length),
            form(score.accuracy),
            f"{form(score.accuracy_interval[0])} to {form(score.accuracy_interval[1])}",
            f"{score.answers:,}",
            f"{score.bits:.2f}",
            form(score.control),
            form(score.chance),
            format_bytes(score.state_bytes),
        )
        for score in (each.score for each in found)
    ]
    caption = "control: the same weights, their state fresh before every question; state: of a sequence at its end"
    print_table(header, rows, title=f"{wanted.label}, on unseen sequences", caption=caption, right=header)


def show(found: Evaluation) -> None:
    """One row a length."""
    caption = (
        "reset: the same weights, their state reset just before the question; growth: of the process, since the start"
    )
    header = ("tokens", "accuracy", "95 %", "asked", "bits", "reset", "state", "tokens/s", "growth")
    rows = []
    for row in found.lengths:
        low, high = row["accuracy"]["interval"]
        rows.append(
            (
                format_length(row["length"]),
                f"{row['accuracy']['mean']:.1%}",
                f"{low:.0%}-{high:.0%}",
                str(row["questions"]),
                f"{row['bits']['mean']:.2f}",
                f"{row['control_accuracy']['mean']:.0%}",
                f"{row['state_bytes'] / 2**20:.1f}M",
                f"{row['units_per_second']:,.0f}",
                f"{row['growth_bytes'] / 2**20:.1f}M",
            )
        )
    print_table(header, rows, caption=caption, right=header)
