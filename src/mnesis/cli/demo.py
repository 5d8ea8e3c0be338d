"""The main job in one command: read a million tokens in constant memory, and train a memory that learns to.

    mnesis demo
    mnesis demo --book dracula.txt
    mnesis demo --full

First the reader that ships with mnesis reads a million tokens of generated prose, or of your book, in which Mary,
John, Daniel and Sandra go from room to room, and says where they are. Then an ARMT with 0.9 million parameters learns
the same from scratch, and is asked 600 questions and more at every length, beside the same weights whose state is made
fresh before every question. Five to eight minutes on two cores; --full trains for a quarter of an hour and reads more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..measure.lengths import format_length, parse_lengths
from .arguments import Named
from .options import Seed, Size, Threads
from .output import bold, print_table

if TYPE_CHECKING:
    from ..measure import Evaluation
    from .live import LiveCurve
    from .recipes import Phase

KEPT = "what is trained and read is kept, and the same command goes on from there"
PHASES = ("facts in one segment", "facts some segments ago", "long lives", "longer lives")


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Args:
        recipe: of the fresh reader.
        lengths: that it is evaluated at.
        streams: a length, up to 16k tokens; each is asked two or three questions.
        long_streams: beyond.
        reader_lengths: that the shipped reader reads.
        reader_streams: a length.
        minutes: of the steps, on two idle cores.
    """

    recipe: str
    lengths: str
    streams: int
    long_streams: int
    reader_lengths: str
    reader_streams: int
    minutes: tuple[int, int, int]


SHORT = Plan("quick", "1k,4k", 210, 4, "1M", 1, (1, 5, 1))
FULL = Plan("demo", "1k,4k,16k,64k", 40, 4, "16k,64k,256k,1M", 4, (1, 16, 4))


def run(
    folder: Annotated[Path, Named("FOLDER")] = Path("runs/demo"),
    /,
    book: Path | None = None,
    full: bool = False,
    lengths: str = "",
    reader_lengths: str = "",
    streams: Size | None = None,
    long_streams: Size | None = None,
    seed: Seed = 0,
    threads: Threads | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Read, train, ask, report.

    Args:
        folder: where the demo stands; the same command goes on where it was stopped.
        book: a text file that the shipped reader reads, again and again until it is long enough, in place of generated
            prose.
        full: train for a quarter of an hour and read more: to 64k tokens with the fresh reader, and twelve questions at
            each of 16k to 1M tokens with the one that ships.
        lengths: tokens of the streams that the fresh reader is evaluated on; 1k,4k if not given.
        reader_lengths: tokens of the streams that the shipped reader is evaluated on; 1M if not given.
        streams: streams a length, up to 16k tokens; 210 if not given, each with two or three questions.
        long_streams: streams a length beyond; 1 for the shipped reader and 4 for the fresh one, if not given.
        seed: of weights and data.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        overwrite: start anew.
        quiet: show neither bars nor the curve.
    """
    plan = FULL if full else SHORT
    own_lengths = parse_lengths(lengths or plan.lengths, least=1)
    shipped_lengths = parse_lengths(reader_lengths or plan.reader_lengths, least=1)
    if book is not None and not (book.is_file() and book.suffix == ".txt"):
        raise ValueError(f"--book {book} is no .txt file; give the path of one")

    from ..core.folders import require_ours
    from ..measure import write_report
    from ..measure.pages.report import PAGE, require_place
    from ..tasks.stories.babilong.source import BABILongSource
    from .designs import DESIGNS, ReaderDesign
    from .evaluate import show
    from .recipes import phases
    from .training import kept_tokenizer, train_reader

    source, fresh, reader = BABILongSource(), folder / "fresh", folder / "reader"
    # Whatever refuses to write there does it before the long reading.
    kept_tokenizer(fresh, source, overwrite)
    for each in (fresh, reader):
        require_place(each)
    require_ours([folder / PAGE], mend="move it away, or give another folder")
    began = time.monotonic()
    _tell(
        1,
        f"the reader that ships with mnesis reads {_most(shipped_lengths)} tokens in constant memory",
        plan.minutes[0],
    )
    found = _evaluate(
        "reader",
        reader,
        shipped_lengths,
        plan.streams if streams is None else streams,
        plan.reader_streams if long_streams is None else long_streams,
        quiet,
        book,
    )
    _answers(found)
    _tell(2, "an ARMT learns it from scratch", plan.minutes[1])
    course = phases(plan.recipe, memory="armt", seed=seed)
    curve = _curve(fresh, course, quiet)
    with curve or nullcontext():
        _, result = train_reader(
            fresh,
            source,
            ReaderDesign(options=DESIGNS["armt"]),
            course,
            seed=seed,
            threads=threads,
            overwrite=overwrite,
            progress=not quiet and curve is None,
            trackers=[] if curve is None else [curve],
        )
    if not result.finished:
        print(f"stopped; {KEPT}", file=sys.stderr)
        return 128 + (result.signal or 0)
    _tell(3, f"what it remembers of {lengths or plan.lengths} tokens", plan.minutes[2])
    show(
        _evaluate(
            str(fresh),
            fresh,
            own_lengths,
            plan.streams if streams is None else streams,
            plan.long_streams if long_streams is None else long_streams,
            quiet,
        )
    )
    for path in (reader, fresh):
        write_report([path])
    page = write_report([fresh, reader], folder / PAGE, labels=["fresh", "reader"], title="mnesis demo")
    print(f"done in {(time.monotonic() - began) / 60:.1f} minutes; report: {bold(str(page))}")
    print(f"ask them yourself: mnesis stream BOOK.txt --model {fresh} --ask 'Where is Mary?'")
    return 0


def _tell(step: int, what: str, minutes: int) -> None:
    print(
        f"{bold(f'{step} of 3')}  {what} (about {minutes} minute{'s' if minutes > 1 else ''} on two idle cores)",
        flush=True,
    )


def _most(lengths: Sequence[int]) -> str:
    longest = max(lengths)
    return "a million" if longest == 1_000_000 else format_length(longest)


def _answers(found: Evaluation) -> None:
    """What the longest streams were asked, what was said, and what the same weights say of the question alone."""
    longest = max(row["length"] for row in found.lengths)
    asked = [question for question in found.questions if question["length"] == longest]
    rows = [
        (
            each["question"],
            each["reply"].output.strip(),
            "right" if each["reply"].correct else f"wrong: {each['answer']}",
            "" if each["depth"] is None else f"{round((1 - each['depth']) * longest):,} tokens ago",
            each["control"].output.strip(),
        )
        for each in asked
    ]
    summary = next(row for row in found.lengths if row["length"] == longest)
    caption = (
        f"state: {summary['state_bytes'] / 2**20:.1f} MB however long the text; {summary['units_per_second']:,.0f} "
        "tokens/s; last column: the same weights, which have read nothing but the question"
    )
    print_table(("asked", "it says", "", "was said", "without memory"), rows, caption=caption)


def _curve(folder: Path, course: Sequence[Phase], quiet: bool) -> LiveCurve | None:
    """A curve where there is a terminal to draw it on."""
    from rich.console import Console

    from .live import LiveCurve

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return None
    return LiveCurve(folder, PHASES[: len(course)], [phase.recipe.steps for phase in course], console)


def _evaluate(
    model: str, output: Path, lengths: list[int], streams: int, long_streams: int, quiet: bool, book: Path | None = None
) -> Evaluation:
    from .evaluate import measure
    from .runs import open_run

    return measure(
        open_run(model),
        lengths,
        streams=streams,
        long_streams=long_streams,
        questions=4,
        batch=8,
        chunk=512,
        seed=0,
        background=None if book is None else str(book.parent),
        files=() if book is None else (book.name,),
        output=output,
        progress=not quiet,
    )
