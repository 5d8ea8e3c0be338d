"""From records of questions to figures: one summary a length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypedDict

from ...core.domain import Count, Share, Size
from ...core.run_files import Amount
from ..intervals import cluster_bootstrap, share_interval
from .records import Bytes, Judged, QuestionRecord, StreamRecord, Units

RESULTS = "results.json"
DEPTH_BINS = 5
SAMPLES = 4


class _Share(TypedDict):
    mean: Share
    interval: tuple[float, float]


class _Mean(TypedDict):
    mean: float
    interval: tuple[float, float] | None


class _Scored(TypedDict):
    accuracy: _Share
    control_accuracy: _Share


class _Depth(_Share):
    low: Share
    high: Share
    questions: Size


class _Length(TypedDict):
    length: Units
    units: Amount
    streams: Size
    questions: Count
    state_bytes: Units
    units_per_second: Amount
    peak_bytes: Units
    growth_bytes: Bytes
    device_bytes: Units


class _Asked(_Length):
    accuracy: _Share
    control_accuracy: _Share
    chance: Share
    above_chance: float | None
    bits: _Mean
    control_bits: _Mean
    scorers: dict[str, _Scored]
    depth: list[_Depth]


class _Sample(TypedDict):
    length: Units
    stream: Count
    question: str
    answer: str
    output: str
    correct: bool
    control_output: str
    bits: float
    depth: Share | None


class Results(TypedDict):
    """What results.json says of an evaluation."""

    format: Size
    about: dict[str, Any]
    settings: dict[str, Any]
    seconds: Amount
    lengths: list[_Asked | _Length]
    samples: list[_Sample]


def summarize(records: Sequence[StreamRecord]) -> dict[str, Any]:
    """``{"lengths": [...], "samples": [...]}``, in order of length; intervals are of 95 %.

    Each length has

    - ``length``, ``units`` (mean units read), ``streams``, ``questions``;
    - ``accuracy``, ``control_accuracy`` (same weights, state fresh before the question), ``bits``, ``control_bits``
      (unfloored means), each as ``{"mean", "interval"}``; ``scorers``: both accuracies again, by name of the scorer;
    - ``chance``, the best constant answer to these very questions; ``above_chance`` = (a - c) / (1 - c), None if c = 1;
    - ``depth``: by the fifth that the last supporting fact is in, ``{"low", "high", "questions", "mean", "interval"}``;
    - ``state_bytes`` of one row, ``units_per_second`` (all rows of a batch together, reading alone), ``peak_bytes``,
      ``growth_bytes``, ``device_bytes`` (see :class:`mnesis.measure.streaming.records.StreamRecord`).
    """
    by_length: dict[int, list[StreamRecord]] = {}
    for record in records:
        by_length.setdefault(record.length, []).append(record)
    lengths = sorted(by_length)
    return {
        "lengths": [_summarize_length(length, by_length[length]) for length in lengths],
        "samples": [sample for length in lengths for sample in _samples(by_length[length])],
    }


def _summarize_length(length: int, records: Sequence[StreamRecord]) -> dict[str, Any]:
    asked = [(record.stream, question) for record in records for question in record.questions]
    streams = [stream for stream, _ in asked]
    replies, controls = [q.reply for _, q in asked], [q.control for _, q in asked]
    summary: dict[str, Any] = {
        "length": length,
        "units": sum(record.units for record in records) / len(records),
        "streams": len(records),
        "questions": len(asked),
        "state_bytes": max(record.state_bytes for record in records),
        "units_per_second": sum(r.units for r in records) / max(sum(r.seconds for r in records), 1e-9),
        "peak_bytes": max(record.peak_bytes for record in records),
        "growth_bytes": max(record.growth_bytes for record in records),
        "device_bytes": max(record.device_bytes for record in records),
    }
    if not asked:
        return summary
    accuracy, chance = _share([r.correct for r in replies], streams), best_constant([q for _, q in asked])
    return summary | {
        "accuracy": accuracy,
        "control_accuracy": _share([r.correct for r in controls], streams),
        "chance": chance,
        "above_chance": (accuracy["mean"] - chance) / (1 - chance) if chance < 1 else None,
        "bits": _mean(replies, streams),
        "control_bits": _mean(controls, streams),
        "scorers": {
            name: {
                "accuracy": _share([r.scores[name] for r in replies], streams),
                "control_accuracy": _share([r.scores[name] for r in controls], streams),
            }
            for name in replies[0].scores
        },
        "depth": _by_depth(asked),
    }


def best_constant(questions: Sequence[QuestionRecord]) -> float:
    """The accuracy of always giving the commonest right answer of these questions."""
    return max(Counter(question.answer for question in questions).values()) / len(questions)


def _share(correct: Sequence[bool], streams: Sequence[int]) -> dict[str, Any]:
    return {"mean": sum(correct) / len(correct), "interval": list(share_interval(correct, streams))}


def _mean(judged: Sequence[Judged], streams: Sequence[int]) -> dict[str, Any]:
    values = [one.bits for one in judged]
    interval = cluster_bootstrap(values, streams)
    return {"mean": sum(values) / len(values), "interval": interval and list(interval)}


def _by_depth(asked: Sequence[tuple[int, QuestionRecord]]) -> list[dict[str, Any]]:
    bins: dict[int, list[tuple[int, bool]]] = {}
    for stream, question in asked:
        if question.depth is not None:
            place = min(int(question.depth * DEPTH_BINS), DEPTH_BINS - 1)
            bins.setdefault(place, []).append((stream, question.reply.correct))
    return [
        {
            "low": place / DEPTH_BINS,
            "high": (place + 1) / DEPTH_BINS,
            "questions": len(bins[place]),
            **_share([correct for _, correct in bins[place]], [stream for stream, _ in bins[place]]),
        }
        for place in sorted(bins)
    ]


def _samples(records: Sequence[StreamRecord]) -> list[dict[str, Any]]:
    """The first questions of a length, and the first right and wrong one where those are all alike."""
    asked = [(record, question) for record in records for question in record.questions]
    first = list(range(min(SAMPLES, len(asked))))
    for verdict in (True, False):
        if not any(asked[index][1].reply.correct is verdict for index in first):
            first += [i for i, (_, question) in enumerate(asked) if question.reply.correct is verdict][:1]
    return [
        {
            "length": asked[index][0].length,
            "stream": asked[index][0].stream,
            "question": asked[index][1].question,
            "answer": asked[index][1].answer,
            "output": asked[index][1].reply.output,
            "correct": asked[index][1].reply.correct,
            "control_output": asked[index][1].control.output,
            "bits": asked[index][1].reply.bits,
            "depth": asked[index][1].depth,
        }
        for index in first
    ]
