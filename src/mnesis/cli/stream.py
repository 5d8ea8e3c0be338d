"""Read any text through a trained reader in constant memory, ask it, and keep where it stands.

    mnesis stream book.txt --model reader --ask "Where is Mary?"
    mnesis stream part1.txt --model reader --save mary.safetensors
    mnesis stream part2.txt --model reader --resume mary.safetensors --ask "Where is Mary?"
    cat book.txt | mnesis stream - --ask "Where is John?"

The state that --save writes is all there is to go on from: a text read in parts gives what it gives in one.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from .arguments import Named
from .runs import OpenRun, fast_products, open_run

if TYPE_CHECKING:
    from ..nets import LanguageModel
    from ..tasks.tokenizer import Tokenizer

BLOCK = 1 << 16
"""Characters read at a time."""


@dataclass(frozen=True)
class Answer:
    """What the reader says to a question."""

    question: str
    answer: str
    probability: float
    """Of the answer's tokens, each given those before it."""


def run(
    text: Annotated[str, Named("TEXT")],
    /,
    model: str = "reader",
    ask: tuple[str, ...] = (),
    save: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    chunk: int = 512,
    threads: int = 2,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Read a text.

    Args:
        text: a file of text in UTF-8, or - for standard input.
        model: a run's folder, or the name of a reader that ships with mnesis.
        ask: questions to put at the end; the reader's state is forked, so that none changes what it has read.
        save: file for the reader's state after the text (safetensors).
        resume: a state that --save wrote; reading goes on from there.
        overwrite: replace an existing --save file.
        chunk: tokens read at a time.
        threads: of the processor.
        as_json: tokens, speed, state and answers, for scripts.
    """
    import torch
    from rich.console import Console

    from ..core.state import load_state, nbytes, save_state
    from ..nets import LanguageModel

    torch.set_num_threads(threads)
    if save is not None and save.exists() and not overwrite:
        raise ValueError(f"{save} exists; give another --save or --overwrite")
    opened = open_run(model)
    if not isinstance(opened.network, LanguageModel):
        raise ValueError(f"{opened.folder} holds a {type(opened.network).__name__}, which cannot answer in words")
    about = {"reader": _fingerprint(opened)}
    state = None if resume is None else load_state(resume, about=about)
    began = time.monotonic()
    with torch.no_grad(), fast_products():
        tokens, state = _read(opened, text, state, chunk)
        seconds = time.monotonic() - began
        answers = [answer(opened.network, opened.tokenizer, state, question) for question in ask]
    if save is not None:
        save_state(state, save, about=about)
    if as_json:
        facts = {"tokens": tokens, "seconds": seconds, "state_bytes": nbytes(state)}
        print(json.dumps({**facts, "answers": [asdict(said) for said in answers]}))
        return
    console = Console()
    speed = f"{tokens / max(seconds, 1e-9):,.0f} tokens/s"
    console.print(f"read {tokens:,} tokens in {seconds:.1f} s ({speed}); state {nbytes(state) / 1024:.0f} KiB")
    for said in answers:
        console.print(f"{said.question} [bold]{said.answer}[/] ({said.probability:.0%})")
    if save is not None:
        console.print(f"state saved: {save}")


def answer(network: LanguageModel, tokenizer: Tokenizer, state: Any, question: str, most: int = 8) -> Answer:
    """Put a question to a fork of the state; the answer is the likeliest continuation up to its end."""
    if not question.strip():
        raise ValueError("an empty question has no answer; write --ask 'Where is Mary?'")
    import torch

    prompt = torch.tensor([tokenizer.encode(" " + question.strip())])
    body, readout = network.parts()
    y, state = body(prompt, state)
    logits, said, probability = readout(y[:, -1]), [], 1.0
    for _ in range(most):
        token = int(logits.argmax(-1))
        if token == tokenizer.end:
            break
        probability *= float(logits.softmax(-1).max())
        said.append(token)
        logits, state = network.step(torch.tensor([token]), state)
    return Answer(question, tokenizer.decode(said).strip(), probability)


def _read(opened: OpenRun, text: str, state: Any, chunk: int) -> tuple[int, Any]:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    body, _ = opened.network.parts()
    size = None if text == "-" else Path(text).stat().st_size if Path(text).is_file() else None
    if text != "-" and size is None:
        raise FileNotFoundError(f"no file at {text}; give the path of a text, or - for standard input")
    columns = (TextColumn("reading"), BarColumn(), TextColumn("{task.fields[tokens]:,} tokens"), TimeRemainingColumn())
    total = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size, tokens=0)
        for tokens, characters in _tokens(text, opened.tokenizer, chunk):
            _, state = body(torch.tensor([tokens]), state)
            total += len(tokens)
            bar.update(task, advance=characters, tokens=total)
    if total == 0:
        raise ValueError(f"{text} holds no text; give a file with at least one word")
    return total, state


def _tokens(text: str, tokenizer: Tokenizer, chunk: int) -> Iterator[tuple[list[int], int]]:
    """Tokens in chunks, with the characters that they took; white space counts as one space, as in training."""
    waiting: list[int] = []
    for words, characters in _words(text):
        waiting.extend(tokenizer.encode(words))
        whole = len(waiting) // chunk * chunk
        for start in range(0, whole, chunk):
            yield waiting[start : start + chunk], characters * chunk // max(1, whole)
        waiting = waiting[whole:]
    if waiting:
        yield waiting, 0


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Blocks of whole words, each word with a space before it."""
    stream: TextIO = sys.stdin if text == "-" else open(text, encoding="utf-8")  # noqa: SIM115
    rest = ""
    try:
        with stream:
            while block := stream.read(BLOCK):
                whole, _, rest = (rest + block).rpartition(" ")
                if words := whole.split():
                    yield " " + " ".join(words), len(block)
    except UnicodeDecodeError as error:
        raise ValueError(f"{text} is not UTF-8 text ({error.reason} at byte {error.start}); convert it first") from None
    if words := rest.split():
        yield " " + " ".join(words), 0


def _fingerprint(opened: OpenRun) -> str:
    """Names weights and tokens: a state is of use to the reader that made it alone."""
    import torch

    digest = hashlib.blake2b(opened.tokenizer.serialize().encode(), digest_size=8)
    for name, value in sorted(opened.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
