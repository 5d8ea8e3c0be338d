"""Streaming evaluation: read a stream of any length at constant memory, then ask what it held."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import torch
from jaxtyping import Int
from torch import Tensor

from mnesis.core.memory import Memory
from mnesis.core.state import atomic_path, nbytes, take
from mnesis.core.task import Question, Stream, Task

from .asking import Reply, ask, bits
from .lengths import format_length
from .progress import Bar
from .records import Judged, QuestionRecord, Store, StreamRecord
from .summary import summarize

Scorer = Callable[[str, str, str, Sequence[str]], bool]
"""(output text, question text, answer text, choices) -> right or wrong."""

FORK_BYTES, FORKS, WARM_CHUNKS = 256 * 2**20, 64, 16


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` found."""

    streams: list[StreamRecord]
    """One record a stream, each with its questions, by length and stream."""
    results: dict[str, Any]
    """What results.json holds: ``lengths`` (one summary a length), ``settings``, ``about``, ``samples``."""

    @property
    def lengths(self) -> list[dict[str, Any]]:
        """One summary a length; see :func:`mnesis.measure.summary.summarize`."""
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
        about: kept in the results (configuration, command).
        progress: a bar with the time left on whatever takes more than two seconds.

    Raises:
        ValueError: nothing to do, a store of another evaluation, questions that the memory cannot be asked.
        TypeError: a task without streams.
    """
    counts = {length: streams if isinstance(streams, int) else streams[length] for length in sorted(set(lengths))}
    for name, value in (("batch", batch), ("chunk", chunk), ("streams", min(counts.values(), default=0))):
        if value < 1:
            raise ValueError(f"{name}={value}: give at least one length and 1 or more")
    if scorers and decode is None:
        raise ValueError(f"scorers {', '.join(scorers)} judge text; give decode, which makes text of token ids")
    reader = _Reader(memory, task, questions, _whole_periods(memory, chunk), decode, scorers or {}, autocast)
    settings = {"seed": seed, "questions": questions, "scorers": sorted(scorers or {}), "task": describe_task(task)}
    kept = Store(None if store is None else Path(store), {"weights": fingerprint(memory), **settings})
    todo = [(length, kept.missing(length, count)) for length, count in counts.items()]
    was_training, began = memory.training, time.monotonic()
    memory.eval()
    try:
        with torch.no_grad(), Bar(sum(max(n, 1) * len(rest) for n, rest in todo), progress) as bar:
            for length, rest in todo:
                bar.describe(f"{format_length(length)} units")
                for start in range(0, len(rest), batch):
                    chosen = {index: stream_seed(seed, index) for index in rest[start : start + batch]}
                    if not reader.warm_bytes:
                        reader.warm([task.stream(min(counts), row_seed) for row_seed in chosen.values()])
                    kept.add(reader.run(length, chosen, bar))
    finally:
        memory.train(was_training)
    records = kept.all()
    results = {
        "format": 1,
        "about": dict(about or {}),
        "settings": {**settings, "chunk": reader.chunk, "batch": batch, "autocast": autocast and str(autocast)},
        "seconds": time.monotonic() - began,
        **summarize(records),
    }
    if store is not None:
        with atomic_path(Path(store) / "results.json") as path:
            path.write_text(json.dumps(results, indent=1, allow_nan=False, default=str), encoding="utf-8")
    return Evaluation(records, results)


def stream_seed(seed: int, index: int) -> int:
    """The seed of stream ``index`` of a test set: far from the small seeds that people train with."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()) >> 2


def fingerprint(memory: Memory) -> str:
    """A short name for the values of all parameters and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(memory.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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


class _Reader:
    """Reads batches of streams, asks their questions, and watches the process."""

    def __init__(
        self,
        memory: Memory,
        task: Task,
        questions: int | None,
        chunk: int,
        decode: Callable[[list[int]], str] | None,
        scorers: Mapping[str, Scorer],
        autocast: torch.dtype | None,
    ) -> None:
        self.memory, self.task, self.questions, self.chunk = memory, task, questions, chunk
        self.decode, self.scorers, self.autocast = decode, scorers, autocast
        self.body, _ = memory.parts()
        self.device = next((p.device for p in memory.parameters()), torch.device("cpu"))
        self.process, self.warm_bytes, self.peak_bytes = psutil.Process(), 0, 0

    def warm(self, streams: list[Stream]) -> None:
        """Read a little of some streams and ask, so that caches, kernels and allocators have what they need."""
        state, _, _ = self._read(streams, None, WARM_CHUNKS)
        self._ask(streams, state)
        self.warm_bytes = self._resident()

    def run(self, length: int, seeds: Mapping[int, int], bar: Bar) -> list[StreamRecord]:
        self.peak_bytes = 0
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        streams = [self.task.stream(length, seed) for seed in seeds.values()]
        self._resident()
        state, units, seconds = self._read(streams, bar, None)
        asked = self._ask(streams, state)
        peak = max(self.peak_bytes, self._resident())
        return [
            StreamRecord(
                length=length,
                stream=index,
                seed=seed,
                units=units[row],
                seconds=seconds / len(streams),
                state_bytes=nbytes(state) // len(streams),
                peak_bytes=peak,
                growth_bytes=peak - self.warm_bytes,
                device_bytes=torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else 0,
                questions=tuple(asked[row]),
            )
            for row, (index, seed) in enumerate(seeds.items())
        ]

    def _read(self, streams: list[Stream], bar: Bar | None, chunks: int | None) -> tuple[Any, list[int], float]:
        """The state after the streams, the units read of each, and the seconds that the memory took."""
        units, seconds = [0] * len(streams), 0.0
        with self._arithmetic():
            dtype = self.body.compute_dtype(torch.zeros(1, 1, dtype=torch.long, device=self.device))
            state = self.body.initial_state(len(streams), device=self.device, dtype=dtype)
            for tokens, lengths in islice(_side_by_side(streams, self.chunk), chunks):
                tokens = tokens.to(self.device)
                ragged = None if min(lengths) == max(lengths) else torch.tensor(lengths, device=self.device)
                began = self._now()
                _, state = self.body(tokens, state, length=ragged)
                seconds += self._now() - began
                units = [told + count for told, count in zip(units, lengths, strict=True)]
                self._resident()
                if bar is not None:
                    bar.advance(sum(lengths))
        return state, units, seconds

    def _ask(self, streams: list[Stream], state: Any) -> list[list[QuestionRecord]]:
        pairs = [
            (row, question) for row, stream in enumerate(streams) for question in stream.questions[: self.questions]
        ]
        records: list[list[QuestionRecord]] = [[] for _ in streams]
        forks = max(1, min(FORKS, FORK_BYTES * len(streams) // max(1, nbytes(state))))
        for start in range(0, len(pairs), forks):
            rows, questions = zip(*pairs[start : start + forks], strict=True)
            with self._arithmetic():
                replies = ask(self.memory, take(state, rows), questions, self.device)
                controls = ask(self.memory, None, questions, self.device)
            for row, question, reply, control in zip(rows, questions, replies, controls, strict=True):
                depth = None if math.isnan(question.depth) else question.depth
                judged = self._judge(question, reply), self._judge(question, control)
                records[row].append(QuestionRecord(question.text, question.answer_text, depth, *judged))
        self._resident()
        return records

    def _judge(self, question: Question, reply: Reply) -> Judged:
        said = [token for token in reply.output if token != int(question.answer[-1])]
        text = self.decode(said) if self.decode else " ".join(map(str, said))
        asked = (text, question.text, question.answer_text, question.choices)
        return Judged(
            output=text,
            correct=bool(self.task.correct(question, reply.output)),
            bits=bits(reply.log2_probability, question, self.task.vocabulary),
            scores={name: bool(scorer(*asked)) for name, scorer in self.scorers.items()},
        )

    def _arithmetic(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _resident(self) -> int:
        resident = self.process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, resident)
        return resident


def _side_by_side(streams: Sequence[Stream], size: int) -> Iterator[tuple[Int[Tensor, "B T"], list[int]]]:
    """Chunks of several streams as rows, and how many units of each row are real."""
    readers = [stream.chunks(size) for stream in streams]
    while True:
        parts = [next(reader, None) for reader in readers]
        lengths = [0 if part is None else len(part) for part in parts]
        if not any(lengths):
            return
        tokens = torch.zeros(len(parts), max(lengths), dtype=torch.long)
        for row, part in enumerate(parts):
            if part is not None:
                tokens[row, : len(part)] = part
        yield tokens, lengths
