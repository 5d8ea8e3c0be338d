"""What an evaluation found out, question by question, and the file that lets a killed one go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = "evaluation.jsonl"
FORMAT = 1


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
    depth: float | None
    """Where the last supporting fact stands, 0..1; None where the task does not say."""
    reply: Judged
    control: Judged


@dataclass(frozen=True)
class StreamRecord:
    """One stream read to its end."""

    length: int
    """As asked for."""
    stream: int
    """0, 1, ...: which of the streams of that length."""
    seed: int
    units: int
    """As read: a task may have a longer shortest stream than asked for."""
    seconds: float
    """This row's share of the time that its batch was read in; generating the stream is not counted."""
    state_bytes: int
    peak_bytes: int
    """Most memory of its own that the process held while the batch was read and asked (libraries' pages left out)."""
    growth_bytes: int
    """The same, less what the warm process held."""
    device_bytes: int
    """Most memory that tensors took on the accelerator; 0 without one."""
    questions: tuple[QuestionRecord, ...]


class Store:
    """The stream records of one evaluation, kept in ``folder/evaluation.jsonl``: a header, then a line a stream.

    A last line torn by a kill is dropped. Without a folder the records are only held.

    Args:
        folder: the run's folder; None = nothing is written.
        identity: what must be the same for records to belong together (weights, task, seed, ...).

    Raises:
        ValueError: the file belongs to another evaluation, or is no such file.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any]) -> None:
        self.path = None if folder is None else folder / FILE
        self.records: dict[tuple[int, int], StreamRecord] = {}
        identity = json.loads(json.dumps(identity))
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = _whole_lines(self.path)
        if not lines:
            _append(self.path, [{"format": FORMAT, "identity": identity}])
            return
        self._check(lines[0], identity)
        for line in lines[1:]:
            self._keep(_record(line))

    def missing(self, length: int, streams: int) -> list[int]:
        """Which of the first ``streams`` streams of a length are still to be read."""
        return [stream for stream in range(streams) if (length, stream) not in self.records]

    def add(self, records: Iterable[StreamRecord]) -> None:
        """Keep the records and put them on disk."""
        records = list(records)
        if self.path is not None:
            _append(self.path, [asdict(record) for record in records])
        for record in records:
            self._keep(record)

    def all(self) -> list[StreamRecord]:
        """Every record, by length and stream."""
        return [self.records[key] for key in sorted(self.records)]

    def _keep(self, record: StreamRecord) -> None:
        self.records[record.length, record.stream] = record

    def _check(self, header: dict[str, Any], identity: Mapping[str, Any]) -> None:
        if header.get("format") != FORMAT or "identity" not in header:
            raise ValueError(
                f"{self.path} has format {header.get('format')}, this mnesis reads {FORMAT}; "
                "remove the file or give another folder"
            )
        found = header["identity"]
        different = [key for key in {**found, **identity} if found.get(key) != identity.get(key)]
        if different:
            raise ValueError(
                f"{self.path} holds an evaluation with another {' and '.join(different)} "
                f"({', '.join(f'{found.get(key)} there, {identity.get(key)} now' for key in different)}); "
                "remove the file to evaluate anew, or give another folder"
            )


def read_records(folder: Path) -> list[StreamRecord]:
    """The records in a run's folder, by length and stream; empty where there is no evaluation.

    Raises:
        ValueError: a line that is no record.
    """
    records = {}
    for line in _read(folder / FILE)[0][1:]:
        record = _record(line)
        records[record.length, record.stream] = record
    return [records[key] for key in sorted(records)]


def _record(line: dict[str, Any]) -> StreamRecord:
    try:
        questions = tuple(
            QuestionRecord(
                **{**question, "reply": Judged(**question["reply"]), "control": Judged(**question["control"])}
            )
            for question in line["questions"]
        )
        return StreamRecord(**{**line, "questions": questions})
    except (KeyError, TypeError) as error:
        raise ValueError(f"a line of {FILE} is no stream record ({error}); remove the file to evaluate anew") from None


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Whole lines of a file, and how many bytes they take: a kill may leave the last one torn."""
    lines, good = [], 0
    content = path.read_bytes() if path.is_file() else b""
    pieces = content.splitlines(keepends=True)
    for number, piece in enumerate(pieces, start=1):
        try:
            lines.append(json.loads(piece))
        except ValueError:
            if number == len(pieces):
                break
            raise ValueError(f"line {number} of {path} is not JSON; remove the file to evaluate anew") from None
        if not piece.endswith(b"\n"):
            lines.pop()
            break
        good += len(piece)
    return lines, good


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines; a torn end is cut off the file, so that what is appended starts a line."""
    lines, good = _read(path)
    if path.is_file() and path.stat().st_size > good:
        os.truncate(path, good)
    return lines


def _append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
