"""The folder of a run: what may be continued, what is finished, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ..core.files import atomic_path
from ..core.memory import Memory
from . import checkpoint
from .recipe import Recipe
from .validation import Validation

Standing = Literal["new", "begun", "finished"]
_FILES = ("training.json", "model.safetensors", "metrics.jsonl", "config.json")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every other training out of a folder; a process that dies lets go of it.

    Raises:
        ValueError: another one is in it, or it cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"another process is training in {folder}; wait for it, or give this run a folder of its own"
        ) from None
    except OSError as error:
        raise ValueError(f"cannot write {folder}: {error.strerror}; choose a folder that you may write to") from None
    try:
        yield
    finally:
        (folder / ".lock").unlink(missing_ok=True)
        lock.release()


def describe(
    memory: Memory[Any], recipe: Recipe, config: Mapping[str, Any] | None, validation: Validation | None = None
) -> dict[str, Any]:
    """What config.json says of a run.

    Raises:
        ValueError: a config that is not plain JSON.
    """
    try:
        plain = json.loads(json.dumps(dict(config or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"config cannot be kept as JSON ({error}); give numbers, strings, lists and dicts") from None
    validated = {} if validation is None else {"validation": validation.as_json()}
    return {"config": plain, "recipe": recipe.as_json(), "memory": memory.describe(), **validated}


def examine(folder: Path, config: dict[str, Any], *, resume: bool, overwrite: bool) -> Standing:
    """Look at a folder without touching it.

    Raises:
        ValueError: it holds a run of another config, a run that must not be resumed, or half a run.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give the path of a folder")
    present = [name for name in _FILES if (folder / name).exists()]
    saved = checkpoint.latest(folder)
    if overwrite or not (present or saved):
        return "new"
    if not resume:
        raise ValueError(
            f"{folder} holds a run already; continue it with resume=True or replace it with overwrite=True"
        )
    if "config.json" not in present:
        raise ValueError(
            f"{folder} holds {present[0] if present else saved} but no config.json that says what was trained; "
            "choose another folder, or replace it with overwrite=True"
        )
    earlier = read_json(folder / "config.json")
    if differences := list(_differences(earlier, config)):
        shown = "; ".join(differences[:3]) + (f"; and {len(differences) - 3} more" if differences[3:] else "")
        raise ValueError(
            f"{folder} holds a run of another config ({shown}); give that config to continue it, another folder, or "
            "overwrite=True to replace it"
        )
    if "training.json" in present and "model.safetensors" in present:
        return "finished"
    if saved is not None:
        return "begun"
    if present != ["config.json"]:
        lost = "checkpoint" if "training.json" not in present else "model.safetensors"
        raise ValueError(f"{folder} holds a run whose {lost} is gone; restore it, or train again with overwrite=True")
    return "new"  # stopped before its first checkpoint


def prepare(folder: Path, config: dict[str, Any], standing: Standing) -> None:
    """Clear what is left of earlier runs and write config.json (the main process alone calls it).

    Raises:
        ValueError: the folder cannot be written.
    """
    for leftover in folder.glob(".checkpoint-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if standing != "new":
        return
    while (old := checkpoint.latest(folder)) is not None:
        checkpoint.remove(old)
    checkpoint.forget_best(folder)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "config.json", config)


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")


def _differences(earlier: Any, now: Any, name: str = "") -> Any:
    """Lines such as ``recipe.seed is 1 there and 2 here``."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in {**earlier, **now}:
            yield from _differences(earlier.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        for index, (before, after) in enumerate(zip(earlier, now, strict=True)):
            yield from _differences(before, after, f"{name}[{index}]")
    elif earlier != now:
        yield f"{name} is {json.dumps(earlier)} there and {json.dumps(now)} here"


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        ValueError: it is not whole.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); replace the run with overwrite=True") from None
