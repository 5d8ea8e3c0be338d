"""What an evaluation found out, question by question, and the file that lets a killed one go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

from ...core.domain import Between, Count, Share, Size
from ...core.files import differences, read_lines, told
from ...core.run_files import Amount

FILE = "evaluation.jsonl"
FORMAT = 1
MEND = "remove the file to evaluate anew, or give another folder"
Units = Annotated[int, Between(0, 1 << 53)]
Bytes = Annotated[int, Between(-(1 << 53), 1 << 53)]


@dataclass(frozen=True)
class Judged:
    """One answer: what was said, whether it is right, and how many bits it shows."""

    output: str
    correct: bool
    """By the task's own scorer."""
    bits: float
    scores: dict[str, bool] = field(default_factory=dict)
    """By the other scorers."""


@dataclass(frozen=True)
class QuestionRecord:
    """One question: the answer after the stream, and that of the same weights with a fresh state."""

    question: str
    answer: str
    depth: Share | None
    """Where the last supporting fact stands, 0..1; None where the task does not say."""
    reply: Judged
    control: Judged


@dataclass(frozen=True)
class StreamRecord:
    """One stream read to its end."""

    length: Units
    """As asked for."""
    stream: Count
    """0, 1, ...: which of the streams of that length."""
    seed: int
    units: Units
    """As read: a task may have a longer shortest stream than asked for."""
    seconds: Amount
    """This row's share of the time that its batch was read in; generating the stream is not counted."""
    state_bytes: Units
    peak_bytes: Units
    """Most memory of its own that the process held while the batch was read and asked (libraries' pages left out)."""
    growth_bytes: Bytes
    """The same, less what the warm process held."""
    device_bytes: Units
    """Most memory that tensors took on the accelerator; 0 without one."""
    questions: tuple[QuestionRecord, ...]


class _Head(TypedDict):
    """The first line of the file."""

    format: Size
    identity: dict[str, Any]


class Store:
    """The stream records of one evaluation, kept in ``folder/evaluation.jsonl``: a header, then a line a stream.

    A last line torn by a kill is cut off before the next one is written; who writes must be alone in the folder
    (:func:`~mnesis.core.folders.alone`). Without a folder the records are only held.

    Args:
        folder: the run's folder; None = nothing is written.
        identity: what must be the same for records to belong together (weights, task, seed, ...).

    Raises:
        ValueError: the file belongs to another evaluation, or is no such file.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any]) -> None:
        self.path = None if folder is None else folder / FILE
        self.identity = json.loads(json.dumps(identity))
        self.records: dict[tuple[int, int], StreamRecord] = {}
        self.whole: int | None = None
        """Bytes of the file that hold whole lines, before the first one is added."""
        if self.path is not None:
            found, records, self.whole = _read(self.path)
            if found is not None:
                self._check(found)
            for record in records:
                self._keep(record)

    def missing(self, length: int, streams: int) -> list[int]:
        """Which of the first ``streams`` streams of a length are still to be read."""
        return [stream for stream in range(streams) if (length, stream) not in self.records]

    def add(self, records: Iterable[StreamRecord]) -> None:
        """Keep the records and put them on disk."""
        records = list(records)
        for record in records:
            self._keep(record)
        if self.path is None:
            return
        lines: list[Mapping[str, Any]] = [asdict(record) for record in records]
        with told(self.path):
            if self.whole is not None and self.path.exists():
                os.truncate(self.path, self.whole)
            if self.whole == 0:
                lines.insert(0, {"format": FORMAT, "identity": self.identity})
            self.whole = None
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())

    def all(self) -> list[StreamRecord]:
        """Every record, by length and stream."""
        return [self.records[key] for key in sorted(self.records)]

    def _keep(self, record: StreamRecord) -> None:
        other = next(iter(self.records.values()), record)
        if bool(other.questions) != bool(record.questions):
            quiet = record if other.questions else other
            raise ValueError(
                f"stream {quiet.stream} of length {quiet.length} asks nothing where others do; "
                + (f"{self.path}: {MEND}" if self.path else "give a task that asks at the end of every stream")
            )
        self.records[record.length, record.stream] = record

    def _check(self, found: dict[str, Any]) -> None:
        now = self.identity
        different = [key for key in {**found, **now} if found.get(key) != now.get(key)]
        if different:
            parts = {key: found.get(key) for key in different}, {key: now.get(key) for key in different}
            raise ValueError(
                f"{self.path} holds an evaluation with another {' and '.join(different)} "
                f"({'; '.join(differences(*parts))}); {MEND}"
            )


def read_records(folder: Path) -> list[StreamRecord]:
    """The records in a run's folder, by length and stream; empty where there is no evaluation.

    Raises:
        ValueError: a line that is no record.
    """
    records = {(record.length, record.stream): record for record in _read(folder / FILE)[1]}
    return [records[key] for key in sorted(records)]


def stream_seed(seed: int, index: int) -> int:
    """The seed of stream ``index`` of a test set: far from the small seeds that people train with."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()) >> 2


def _read(path: Path) -> tuple[dict[str, Any] | None, list[StreamRecord], int]:
    """Whose records they are, the records, and how many bytes of whole lines hold them."""
    found = read_lines(path, StreamRecord, mend=MEND, head=(_Head, FORMAT))
    if not found.entries:
        return None, [], found.whole
    head, *records = found.entries
    identity = head["identity"]
    for number, record in enumerate(records, 2):
        if "seed" in identity and record.seed != stream_seed(identity["seed"], record.stream):
            raise ValueError(
                f"line {number} of {path} cannot be read: seed={record.seed} is not that of stream {record.stream}; "
                + MEND
            )
    for length in {record.length for record in records}:
        streams = {record.stream for record in records if record.length == length}
        if absent := set(range(max(streams))) - streams:  # they are read in order
            raise ValueError(
                f"{path} cannot be read: of length {length} it holds stream {max(streams)} and not stream "
                f"{min(absent)}; {MEND}"
            )
    return identity, records, found.whole
