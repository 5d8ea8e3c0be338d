"""Trackers of experiments: what must be installed for them, and what they call a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.domain import nearest

TRACKERS = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "trackio": "trackio",
    "mlflow": "mlflow",
    "comet_ml": "comet-ml",
    "aim": "aim",
    "clearml": "clearml",
    "dvclive": "dvclive",
    "swanlab": "swanlab",
}
"""Names that accelerate knows, which are those of modules too, and what pip calls each."""


def require_trackers(trackers: Iterable[Any]) -> None:
    """Refuse trackers that are not there; objects, which are trackers themselves, are taken as they are.

    Raises:
        ValueError: an unknown name, with the nearest, or one that is not installed, with the command that does it.
    """
    for name in trackers:
        if not isinstance(name, str):
            continue
        if name not in TRACKERS:
            near = nearest(name, TRACKERS)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(TRACKERS)}"
            raise ValueError(f"no tracker is called {name!r}; {hint}")
        if find_spec(name) is None:
            raise ValueError(f"the tracker {name} is not installed; pip install {TRACKERS[name]} first")


def run_names(folder: Path) -> dict[str, dict[str, str]]:
    """What trackers that show many runs in one list call this one: its folder, to the third above (task/memory/rate).

    Left to themselves, they call runs by chance, and nobody can tell the trainings of a comparison apart.
    """
    named = {"name": Path(*folder.parts[-3:]).as_posix()}
    return {"wandb": named, "trackio": named}


def flattened(values: Mapping[str, Any], before: str = "") -> dict[str, str | float | int | bool]:
    """Nested settings under dotted names, such as ``recipe.learning_rate``: what trackers sort and filter by."""
    found: dict[str, str | float | int | bool] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            found |= flattened(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            found |= flattened({str(index): each for index, each in enumerate(value)}, f"{name}.")
        else:
            found[name] = value if isinstance(value, (str, int, float, bool)) else str(value)
    return found
