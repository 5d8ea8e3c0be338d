"""Reading streams side by side, asking their questions, and watching the process meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ...core.memory import Memory
from ...core.state import nbytes, take
from ...core.task import Question, Stream, Task
from ..progress import Bar
from ..resident import own_bytes
from .asking import Reply, ask, bits
from .records import Judged, QuestionRecord, StreamRecord

Scorer = Callable[[str, str, str, Sequence[str]], bool]
"""(output text, question text, answer text, choices) -> right or wrong."""

FORK_BYTES, FORKS, WARM_CHUNKS = 256 * 2**20, 64, 16
"""A state is forked into at most so many bytes and rows at a time; so many chunks warm the process up."""


class Reader:
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
        self.warm_bytes, self.peak_bytes = 0, 0

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
        resident = own_bytes()
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
