"""Files of a run's folder that training writes and others read: their names, and what stands in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from .domain import AtLeast, Count, Share, fault
from .files import read_json, read_lines

CONFIG, METRICS, WEIGHTS, TRAINING = "config.json", "metrics.jsonl", "model.safetensors", "training.json"
MODEL_TYPE = "mnesis"
"""What a folder that transformers opens says of itself in its config.json."""
Amount = Annotated[float, AtLeast(0)]
"""A finite number, not below 0."""


class _Exported(TypedDict):
    """What is read of a config.json that transformers opens."""

    specification: dict[str, Any]
    revisions: NotRequired[dict[str, Any]]
    run: NotRequired[dict[str, Any]]


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


def read_config(folder: Path, *, mend: str) -> dict[str, Any]:
    """What a folder's config.json says of its network, and of the run that trained it; see :func:`of_run`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read; one sentence with the file, what is wrong and the mend.
    """
    return of_run(read_json(folder / CONFIG, dict[str, Any], mend=mend), str(folder / CONFIG), mend=mend)


def of_run(content: dict[str, Any], source: str, *, mend: str) -> dict[str, Any]:
    """The content of a config.json as runs write it; that of a folder for transformers says the same in other words.

    Raises:
        ValueError: a folder for transformers that does not say what its network is; ``source`` is in the sentence.
    """
    if not is_exported(content):
        return content
    told = {key: content[key] for key in _Exported.__annotations__ if content.get(key) is not None}
    if found := fault(told, _Exported):
        raise ValueError(f"{source} cannot be read: {found}; {mend}")
    return {**told.get("run", {}), "model": told["specification"], "revisions": told.get("revisions", {})}


def begun_phases(folder: Path) -> list[Path]:
    """Folders of the phases of a training that have begun, in their order; none of a training in one piece."""
    begun = (path for path in folder.glob("phase-*") if (path / CONFIG).is_file())
    return sorted(begun, key=lambda path: (len(path.name), path.name))


def is_under_way(folder: Path) -> bool:
    """Whether a training began in a folder and has not ended: there are checkpoints or phases, and no weights."""
    return not (folder / WEIGHTS).exists() and bool(begun_phases(folder) or any(folder.glob("checkpoint-*")))


def is_gguf(path: Path) -> bool:
    """Whether a path is a GGUF file: a pretrained model as llama.cpp has it."""
    return path.suffix == ".gguf" and path.is_file()


def is_exported(content: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a folder which transformers opens."""
    return content.get("model_type") == MODEL_TYPE


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
