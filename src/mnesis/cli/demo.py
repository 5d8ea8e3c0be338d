"""The main job in one command: train a recurrent memory from scratch, stream a million tokens, open a report.

An ARMT with 0.9 million parameters learns to answer "Where is Mary?" from facts hidden in long text. Then it is
evaluated to 64,000 tokens, and beside it the reader that ships with mnesis to a million, both in constant memory.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..measure.lengths import parse_lengths
from .arguments import Named
from .options import Seed, Size, Threads
from .output import bold

if TYPE_CHECKING:
    from ..measure import Evaluation

KEPT = "what is trained and read is kept, and the same command goes on from there"


def run(
    folder: Annotated[Path, Named("FOLDER")] = Path("runs/demo"),
    /,
    lengths: str = "1k,4k,16k,64k",
    reader_lengths: str = "16k,64k,256k,1M",
    streams: Size = 40,
    long_streams: Size = 4,
    seed: Seed = 0,
    threads: Threads | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Train, stream, report.

    Args:
        folder: where the demo stands; the same command goes on where it was stopped.
        lengths: tokens of the streams that the fresh reader is evaluated on.
        reader_lengths: tokens of the streams that the shipped reader is evaluated on.
        streams: streams a length, up to 16k tokens; each is asked two or three questions.
        long_streams: streams a length beyond.
        seed: of weights and data.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        overwrite: start anew.
        quiet: show no progress bars.
    """
    own_lengths, shipped_lengths = parse_lengths(lengths, least=1), parse_lengths(reader_lengths, least=1)

    from ..core.folders import require_ours
    from ..measure import write_report
    from ..measure.pages.report import PAGE, require_place
    from ..tasks.stories.babilong.source import BABILongSource
    from .evaluate import show
    from .recipes import phases
    from .runs import shipped
    from .training import DESIGNS, ReaderDesign, train_reader

    for each in (folder / "fresh", folder / "reader"):
        require_place(each)
    require_ours([folder / PAGE], mend="move it away, or give another folder")
    began = time.monotonic()
    print(f"{bold('1')} training an ARMT from scratch on facts hidden in generated prose", flush=True)
    design = ReaderDesign(options=DESIGNS["armt"])
    _, result = train_reader(
        folder / "fresh",
        BABILongSource(),
        design,
        phases("demo", memory="armt", seed=seed),
        seed=seed,
        threads=threads,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not result.finished:
        print(f"stopped; {KEPT}")
        return 128 + (result.signal or 0)
    runs = [folder / "fresh"]
    print(f"{bold('2')} reading long streams with it in constant memory, and asking at their ends", flush=True)
    show(_evaluate(folder / "fresh", folder / "fresh", own_lengths, streams, long_streams, quiet))
    if "reader" in shipped():
        print(f"{bold('3')} the same with the reader that ships with mnesis, to a million tokens", flush=True)
        reader = folder / "reader"
        show(_evaluate("reader", reader, shipped_lengths, streams, long_streams, quiet))
        runs.append(reader)
    for path in runs:
        write_report([path])
    page = write_report(runs, folder / PAGE, labels=["fresh", "reader"][: len(runs)], title="mnesis demo")
    print(f"done in {(time.monotonic() - began) / 60:.1f} minutes; report: {bold(str(page))}")
    return 0


def _evaluate(
    model: str | Path, output: Path, lengths: list[int], streams: int, long_streams: int, quiet: bool
) -> Evaluation:
    from .evaluate import measure
    from .runs import open_run

    return measure(
        open_run(str(model)),
        lengths,
        streams=streams,
        long_streams=long_streams,
        questions=4,
        batch=8,
        chunk=512,
        seed=0,
        output=output,
        progress=not quiet,
    )
