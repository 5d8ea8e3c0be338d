"""Files of a run's folder that training writes and others read: their names, and what stands in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from .domain import AtLeast, Count, Share
from .files import read_lines

CONFIG, METRICS, WEIGHTS, TRAINING = "config.json", "metrics.jsonl", "model.safetensors", "training.json"
Amount = Annotated[float, AtLeast(0)]
"""A finite number, not below 0."""


class Line(TypedDict):
    """A line of metrics.jsonl: figures of the updates since the line before; null where there was no answer."""

    update: Count
    stage: Count
    length: Count | None
    loss: float | None
    accuracy: Share | None
    units: Count
    seconds: Amount
    learning_rate: NotRequired[Amount]
    gradient_norm: NotRequired[Amount | None]
    units_per_second: NotRequired[Amount]
    validation: NotRequired[dict[str, Any]]
    """Figures, which may be no finite numbers."""


def read_metrics(folder: Path, *, mend: str, bad: list[str] | None = None) -> list[Line]:
    """The lines of a folder's metrics.jsonl; none where there is no such file.

    Args:
        folder: of the run.
        mend: what to do about a line that cannot be read.
        bad: takes the sentences about such lines, which are left out then.

    Raises:
        ValueError: a line that cannot be read, without ``bad``.
    """
    return read_lines(folder / METRICS, Line, mend=mend, finite=False, bad=bad).entries
