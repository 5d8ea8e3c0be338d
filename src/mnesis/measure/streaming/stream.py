"""Streaming evaluation: read a stream of any length at constant memory, then ask what it held."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...core.files import write_json
from ...core.folders import alone, require_ours
from ...core.made_by import fingerprint
from ...core.memory import Memory
from ...core.task import Task
from ..lengths import format_length
from ..progress import Bar
from .reading import Reader, Scorer
from .records import Store, StreamRecord, stream_seed
from .summary import RESULTS, Results, summarize


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` found."""

    streams: list[StreamRecord]
    """One record a stream, each with its questions, by length and stream."""
    results: dict[str, Any]
    """What results.json holds: ``lengths`` (one summary a length), ``settings``, ``about``, ``samples``."""

    @property
    def lengths(self) -> list[dict[str, Any]]:
        """One summary a length; see :func:`mnesis.measure.streaming.summary.summarize`."""
        return self.results["lengths"]

    @property
    def questions(self) -> list[dict[str, Any]]:
        """One flat record a question: its length and stream, what was asked and said, whether right, bits."""
        return [
            {"length": record.length, "stream": record.stream, **vars(question)}
            for record in self.streams
            for question in record.questions
        ]


def evaluate(
    memory: Memory,
    task: Task,
    *,
    lengths: Sequence[int],
    streams: int | Mapping[int, int] = 100,
    questions: int | None = None,
    batch: int = 8,
    chunk: int = 512,
    seed: int = 0,
    decode: Callable[[list[int]], str] | None = None,
    scorers: Mapping[str, Scorer] | None = None,
    autocast: torch.dtype | None = None,
    store: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Evaluation:
    """Read streams of every length and ask the questions at their ends.

    Streams of one length are rows of a batch that advance together, ``chunk`` units at a time; no stream is ever held.
    Questions fork the reader's state, so that none is changed by another. Every question is also put to the same
    weights with a fresh state: the measured control. Stream i of every length has the same seed (for BABILong: the same
    story, laid out in more and more text), so lengths are compared on paired questions.

    The memory reported: before anything is measured, some of the shortest stream is read and asked, so that the process
    is warm; growth is the most resident memory beyond that point while a length was read and asked. It includes what
    the task itself holds, and a few megabytes of it are the allocator's.

    Args:
        memory: a network: token ids [B T] in, logits [B T V] out. It is put into eval mode and back.
        task: draws streams; its ``correct`` is the accuracy's scorer.
        lengths: units of the streams, as the task counts them.
        streams: how many streams a length, or per length.
        questions: ask at most the first so many of a stream's questions; None = all.
        batch: streams that are read side by side.
        chunk: units read at a time; made a whole number of the memory's periods where it has a grid.
        seed: of the streams; another seed is another test set.
        decode: token ids (without the end) to text; the ids as numbers if None.
        scorers: further ways to judge an answer, by name; they need ``decode``.
        autocast: dtype of the arithmetic; None = as the parameters are.
        store: the run's folder. Every finished stream is a line of its evaluation.jsonl, and streams found there are
            not read again, so a killed evaluation goes on where it was; results.json, written at the end, sums up all
            that the file holds.
        about: what else made this evaluation what it is (data, configuration), as JSON; kept in the results. With
            another one a store is another evaluation's; only its ``command`` may differ.
        progress: a bar with the time left on whatever takes more than two seconds.

    Raises:
        ValueError: nothing to do, a store of another evaluation, one that another process writes in or that holds
            somebody else's results.json, questions that the memory cannot be asked.
        TypeError: a task without streams.
    """
    counts = {length: streams if isinstance(streams, int) else streams[length] for length in sorted(set(lengths))}
    for name, value in (("batch", batch), ("chunk", chunk), ("streams", min(counts.values(), default=0))):
        if value < 1:
            raise ValueError(f"{name}={value}: give at least one length and 1 or more")
    if scorers and decode is None:
        raise ValueError(f"scorers {', '.join(scorers)} judge text; give decode, which makes text of token ids")
    reader = Reader(memory, task, questions, _whole_periods(memory, chunk), decode, scorers or {}, autocast)
    settings = {"seed": seed, "questions": questions, "scorers": sorted(scorers or {}), "task": describe_task(task)}
    identity = {"weights": fingerprint(memory), **settings, "about": {**(about or {}), "command": None}}
    folder = None if store is None else Path(store)
    if folder is not None:
        require_ours([folder / RESULTS], Results, mend="move it away, or give another folder")
    with nullcontext() if folder is None else alone(folder, RESULTS):
        kept = Store(folder, identity)
        was_training, began = memory.training, time.monotonic()
        memory.eval()
        try:
            with torch.no_grad():
                _read_missing(reader, kept, counts, batch, seed, progress)
        finally:
            memory.train(was_training)
        results = {
            "format": 1,
            "about": dict(about or {}),
            "settings": {**settings, "chunk": reader.chunk, "batch": batch, "autocast": autocast and str(autocast)},
            "seconds": time.monotonic() - began,
            **summarize(kept.all()),
        }
        if folder is not None:
            write_json(folder / RESULTS, results, indent=1)
    return Evaluation(kept.all(), results)


def _read_missing(
    reader: Reader, kept: Store, counts: Mapping[int, int], batch: int, seed: int, progress: bool
) -> None:
    """Read and keep every stream that is not kept yet, shortest first."""
    todo = [(length, kept.missing(length, count)) for length, count in counts.items()]
    with Bar(sum(max(length, 1) * len(rest) for length, rest in todo), progress) as bar:
        for length, rest in todo:
            bar.describe(f"{format_length(length)} units")
            for start in range(0, len(rest), batch):
                seeds = {index: stream_seed(seed, index) for index in rest[start : start + batch]}
                if not reader.warm_bytes:
                    reader.warm([reader.task.stream(min(counts), row_seed) for row_seed in seeds.values()])
                kept.add(reader.run(length, seeds, bar))


def describe_task(task: Task) -> dict[str, Any]:
    """The task's class and those of its options that are numbers, text or tuples of them."""
    plain = {key: value for key, value in vars(task).items() if not key.startswith("_") and _is_plain(value)}
    return {"class": type(task).__name__, **plain}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str, type(None)))


def _whole_periods(memory: Memory, chunk: int) -> int:
    return chunk if memory.period is None else max(1, chunk // memory.period) * memory.period
