"""Accuracy, bits and memory of a run at any length, read in constant space. A killed evaluation goes on where it was.

    mnesis evaluate runs/qa1 --lengths 1k,4k,16k,64k
    mnesis evaluate reader --lengths 1M,10M --long-streams 4 --output runs/reader

Facts are hidden in background text by BABILong's rule; streams are read in chunks and never held; questions are asked
at the end by forking the reader's state.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..core.machine import fast_products, prepare, width
from ..measure.lengths import format_length, parse_lengths
from .arguments import Named
from .options import Count, Seed, Size, Threads
from .output import print_table
from .runs import background_of, find, open_run, refuse_files, refuse_sources

if TYPE_CHECKING:
    from ..measure import Evaluation
    from .runs import OpenRun

KEPT = "what is read is kept, and the same command goes on from there"
SHORT = 16_000
"""Up to here ``streams`` are read, beyond it ``long_streams``."""


def run(
    model: Annotated[str, Named("RUN")],
    /,
    lengths: str = "1k,4k,16k",
    streams: Size = 100,
    long_streams: Size = 10,
    questions: Size = 4,
    batch: Size = 8,
    chunk: Size = 512,
    seed: Seed = 0,
    stories: str | None = None,
    background: str | None = None,
    files: tuple[str, ...] = (),
    maximum_facts: Count | None = None,
    output: Path | None = None,
    threads: Threads | None = None,
    trust: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Evaluate.

    Args:
        model: a run's folder, or the name of a reader that ships with mnesis.
        lengths: tokens of the streams, such as 1k,64k,1M (k = 1,000).
        streams: streams a length, up to 16k tokens.
        long_streams: streams a length beyond.
        questions: asked at the end of a stream of simulated stories (fewer where the story has no more); stories from
            files have one.
        batch: streams read side by side.
        chunk: tokens read at a time.
        seed: of the test set.
        stories: bAbI files, or "simulated"; as in training if not given.
        background: folder of .txt files, or "prose"; as in training if not given.
        files: those of that folder that are read; the run's held-out files if not given.
        maximum_facts: stories of more facts are left out, so that short samples hold them.
        output: folder for evaluation.jsonl, results.json and report.html; if not given, the run's own, or runs/NAME for
            a reader that ships with mnesis.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        trust: let the run's files name classes outside the catalog, whose code then runs.
        quiet: show no progress bar.
        as_json: print the results, for scripts.
    """
    read = parse_lengths(lengths, least=1)
    folder = find(model)
    refuse_sources(stories or "simulated", background or "prose")
    if files:
        refuse_files("--files", files, background or background_of(folder))

    from ..measure import write_report
    from ..measure.pages.report import require_place

    prepare(threads)
    opened = open_run(model, trust=trust)
    output = output or (opened.folder if opened.folder == Path(model) else Path("runs") / model)
    require_place(output)
    found = measure(
        opened,
        read,
        streams=streams,
        long_streams=long_streams,
        questions=questions,
        batch=batch,
        chunk=chunk,
        seed=seed,
        stories=stories,
        background=background,
        files=files,
        maximum_facts=maximum_facts,
        output=output,
        progress=not quiet,
    )
    page = write_report([output])
    if as_json:
        print(json.dumps(found.results, default=str))
    else:
        show(found)
        print(f"report: {page}")


def measure(
    opened: OpenRun,
    lengths: list[int],
    *,
    streams: int,
    long_streams: int,
    questions: int,
    batch: int,
    chunk: int,
    seed: int,
    stories: str | None = None,
    background: str | None = None,
    files: tuple[str, ...] = (),
    maximum_facts: int | None = None,
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
    task = source.open(opened.tokenizer, split="test", questions=asked, maximum_facts=maximum_facts)
    about = {"model": str(opened.folder.name), "source": source.as_json()}
    if maximum_facts is not None:
        about["maximum_facts"] = maximum_facts
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
