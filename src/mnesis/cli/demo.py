"""The main job in one command: train a recurrent memory from scratch, stream a million tokens, open a report.

An ARMT with 0.9 million parameters learns to answer "Where is Mary?" from facts hidden in long text. Then it is
evaluated to 64,000 tokens, and beside it the reader that ships with mnesis to a million, both in constant memory.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from rich.console import Console

from ..measure import Evaluation, parse_lengths, write_report
from ..tasks.babilong_source import BABILongSource
from .evaluate import measure, show
from .recipes import phases
from .runs import fast_products, open_run, shipped
from .training import DESIGNS, ReaderDesign, train_reader


def run(
    folder: Path = Path("runs/demo"),
    /,
    lengths: str = "1k,4k,16k,64k",
    reader_lengths: str = "16k,64k,256k,1M",
    streams: int = 40,
    long_streams: int = 4,
    seed: int = 0,
    threads: int = 2,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Train, stream, report.

    Args:
        folder: of the run; the same command goes on where it was stopped.
        lengths: at which the fresh reader is evaluated.
        reader_lengths: at which the shipped reader is evaluated.
        streams: streams a length, up to 16k tokens; each is asked two or three questions.
        long_streams: streams a length beyond.
        seed: of weights and data.
        threads: of the processor.
        overwrite: start anew.
        quiet: no progress bars.
    """
    torch.set_num_threads(threads)
    console, began = Console(), time.monotonic()
    console.print("[bold]1[/] training an ARMT from scratch on facts hidden in generated prose")
    design = ReaderDesign(options=DESIGNS["armt"])
    with fast_products():
        _, result = train_reader(
            folder / "fresh",
            BABILongSource(),
            design,
            phases("demo", memory="armt", seed=seed),
            seed=seed,
            overwrite=overwrite,
            progress=not quiet,
        )
    if not result.finished:
        console.print("stopped; the same command goes on from there")
        return 128 + (result.signal or 0)
    runs = [folder / "fresh"]
    console.print("[bold]2[/] reading long streams with it in constant memory, and asking at their ends")
    show(_evaluate(folder / "fresh", folder / "fresh", lengths, streams, long_streams, quiet))
    if "reader" in shipped():
        console.print("[bold]3[/] the same with the reader that ships with mnesis, to a million tokens")
        reader = folder / "reader"
        show(_evaluate("reader", reader, reader_lengths, streams, long_streams, quiet))
        runs.append(reader)
    for path in runs:
        write_report([path])
    page = write_report(runs, folder / "report.html", labels=["fresh", "reader"][: len(runs)], title="mnesis demo")
    console.print(f"done in {(time.monotonic() - began) / 60:.1f} minutes; report: [bold]{page}[/]")
    return 0


def _evaluate(
    model: str | Path, output: Path, lengths: str, streams: int, long_streams: int, quiet: bool
) -> Evaluation:
    return measure(
        open_run(str(model)),
        parse_lengths(lengths),
        streams=streams,
        long_streams=long_streams,
        questions=4,
        batch=8,
        chunk=512,
        seed=0,
        output=output,
        progress=not quiet,
    )
