"""Read any text through a trained reader in constant memory, ask it, and keep where it stands.

    mnesis stream book.txt --model reader --ask "Where is Mary?"
    mnesis stream part1.txt --model reader --save mary.safetensors
    mnesis stream part2.txt --model reader --resume mary.safetensors --ask "Where is Mary?"
    cat book.txt | mnesis stream - --ask "Where is John?"

The state that --save writes is all there is to go on from: a text read in parts gives what it gives in one. With
--save, Ctrl-C saves and stops, and the same command with the same text goes on where it stopped.

A reader answers what it was trained to answer. The one that ships says where Daniel, John, Mary or Sandra is, from a
text that says where they went: "Where is Mary?" Case, blanks and a missing question mark do not matter. A question of
another form, about another name, or about somebody of whom the text has not spoken is answered too, and marked: that
answer means nothing. Behind every answer stands the probability that the reader gives to it, its end included, among
all that it could say: how sure the reader is, not how often it is right. What is no text is no answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.machine import fast_products, prepare, width
from ..tasks.language.plain_text import PlainText
from .answering import Answer, answer, written
from .arguments import Named
from .bookmark import alone, beside, check_place
from .interruptible import Reading
from .options import Size, Threads

KEPT = "what --save had kept before is kept"
"""What a second Ctrl-C leaves, or one before the reading has begun."""

if TYPE_CHECKING:
    from ..nets.generating import Generating
    from ..tasks.stories.kinds import Asks
    from .runs import OpenRun


def run(
    text: Annotated[str, Named("TEXT")],
    /,
    model: str = "reader",
    ask: tuple[str, ...] = (),
    save: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    chunk: Size = 512,
    threads: Threads | None = None,
    trust: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Read a text.

    Args:
        text: a text in UTF-8: a file, a pipe, or - for standard input. Words of more than 4,096 characters are cut.
        model: a run's folder, or the name of a reader that ships with mnesis.
        ask: questions to put at the end, such as "Where is Mary?"; the reader's state is forked, so that none changes
            what it has read.
        save: file for the reader's state after the text (safetensors); an interrupted reading leaves FILE.partial.
        resume: a state that --save wrote; reading goes on from there.
        overwrite: replace an existing --save file.
        chunk: tokens read at a time.
        threads: of the processor; as many as are free when it begins, at most two, if not given.
        trust: let the run's files name classes outside the catalog, whose code then runs.
        as_json: tokens, speed, state and answers, for scripts.
    """
    questions = [written(question) for question in ask]
    if save is not None:
        check_place(save, overwrite)
    from ..core.shipped import find

    find(model)
    with alone(save), PlainText(text) as source:
        if save is not None and source.same_as(save):
            raise ValueError(f"{save} is the text itself; give another --save")
        return _read(source, model, questions, save, resume, overwrite, chunk, threads, trust, as_json)


def _read(
    source: PlainText,
    model: str,
    questions: list[str],
    save: Path | None,
    resume: Path | None,
    overwrite: bool,
    chunk: int,
    threads: int | None,
    trust: bool,
    as_json: bool,
) -> int:
    import torch

    from ..learn.signals import StopSignals
    from .runs import open_run

    prepare(threads)
    opened = open_run(model, trust=trust)
    network = _language_model(opened)
    asks = opened.asks
    reading = Reading(network, opened.tokenizer, chunk, save, resume, overwrite, asks.names if asks else ())
    if source.typed:
        print(f"type or paste a text, and end it with Ctrl-D on a line of its own; {_offer(asks)}", file=sys.stderr)
    with torch.no_grad(), fast_products(width(network)), StopSignals() as signals:
        with _progress(source) as show:
            finished = reading.read(source, lambda: signals.received is not None, show)
        if not finished:
            return _stop(reading, save, signals.received or 0)
        said = [
            answer(network, opened.tokenizer, reading.state, question, asks=asks, mentions=reading.mentions)
            for question in questions
        ]
        reading.finish()
    _show(reading, said, asks, save, as_json)
    return 0


def _offer(asks: Asks | None) -> str:
    """What the reader can be asked, in one sentence."""
    if asks is None:
        return "the reader's folder does not say what it was trained to answer, so no answer is marked"
    return f"this reader answers {asks}"


def _language_model(opened: OpenRun) -> Generating:
    from ..nets.generating import Generating

    network = opened.network
    if not isinstance(network, Generating):
        raise ValueError(f"{opened.folder} holds a {type(network).__name__}, which cannot answer in words")
    return network


@contextmanager
def _progress(source: PlainText) -> Iterator[Any]:
    """A bar on a terminal: what was read of a text whose size is known, and tokens of any."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), TextColumn("{task.fields[tokens]:,} tokens"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=source.size, tokens=0)
        yield lambda tokens: bar.update(task, completed=source.read, tokens=tokens)


def _stop(reading: Reading, save: Path | None, signal: int) -> int:
    """Keep what was read, if it is to be kept; the exit code."""
    if save is None:
        told = (
            f"after {reading.tokens:,} tokens; nothing was kept: with --save FILE the same command goes on another time"
        )
    elif reading.looking:
        told = f"before it came to where it stood; the same command goes on from token {reading.looking:,}"
    elif reading.tokens == 0:
        told = "before anything was read; the same command begins anew"
    else:
        reading.keep()
        told = f"after {reading.tokens:,} tokens, kept in {beside(save)}; the same command and text go on from there"
    print(f"stopped {told}", file=sys.stderr)
    return 128 + signal


def _show(reading: Reading, said: list[Answer], asks: Asks | None, save: Path | None, as_json: bool) -> None:
    from ..core.state import nbytes

    size = nbytes(reading.state)
    if as_json:
        facts = {
            "tokens": reading.tokens,
            "tokens_in_all": reading.tokens_in_all,
            "seconds": reading.seconds,
            "tokens_per_second": reading.speed,
            "state_bytes": size,
        }
        trained = None if asks is None else asks.templates
        facts |= {"answers": [asdict(reply) for reply in said], "trained_to_answer": trained, "asks": _offer(asks)}
        print(json.dumps(facts))
        return
    speed = "" if reading.speed is None else f" ({reading.speed:,.0f} tokens/s)"
    lines = [f"read {reading.tokens:,} tokens in {reading.seconds:.1f} s{speed}; state {size / 1024:.0f} KiB"]
    if reading.tokens_in_all not in (None, reading.tokens):
        lines.append(f"{reading.tokens_in_all:,} tokens in all parts")
    lines += map(str, said)
    if not said or any(reply.remark for reply in said) or asks is None:
        lines.append(_offer(asks))
    if save is not None:
        lines.append(f"state saved: {save}")
    print("\n".join(lines))
