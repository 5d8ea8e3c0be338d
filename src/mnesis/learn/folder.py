"""The folder of a run: what may be continued, what is finished, what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from ..core.catalog import card
from ..core.domain import Size
from ..core.files import read_json, shown_differences, write_json
from ..core.folders import alone, clear_leftovers, leftovers, remove_empty
from ..core.made_by import made_by, told
from ..core.memory import Memory
from ..core.run_files import CONFIG, METRICS, TRAINING, WEIGHTS, read_metrics
from ..core.specification import specification, task_specification
from ..core.task import Task
from . import checkpoint
from .recipe import Recipe
from .validation import Validation

Standing = Literal["new", "begun", "finished"]
FILES = (TRAINING, WEIGHTS, METRICS, CONFIG)
"""What a training writes, besides checkpoints and the best weights."""


class _Validation(TypedDict):
    every: int
    choose: str | None


class _Memory(TypedDict):
    memory: str
    arguments: str


class _Task(TypedDict):
    name: str
    options: dict[str, Any]


class _Config(TypedDict):
    """What config.json says."""

    config: dict[str, Any]
    recipe: Recipe
    memory: _Memory
    validation: NotRequired[_Validation]
    revisions: NotRequired[dict[str, Size]]
    model: NotRequired[dict[str, Any]]
    task: NotRequired[_Task]


def describe(
    memory: Memory[Any],
    task: Task,
    recipe: Recipe,
    config: Mapping[str, Any] | None,
    validation: Validation | None = None,
) -> dict[str, Any]:
    """What config.json says of a run: ``model`` and ``task`` open it again, where they can be named.

    Raises:
        ValueError: a config that is not plain JSON.
    """
    try:
        plain = json.loads(json.dumps(dict(config or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"config cannot be kept as JSON ({error}); give numbers, strings, lists and dicts") from None
    validated = {} if validation is None else {"validation": validation.as_json()}
    named: dict[str, Any] = {}
    with suppress(ValueError):  # built from objects: it is trained all the same
        named["model"] = specification(memory)
    with suppress(ValueError):
        named["task"] = task_specification(task).as_json()
    return {
        "config": plain,
        "recipe": recipe.as_json(),
        "memory": memory.describe(),
        **named,
        **validated,
        **told(memory),
    }


def examine(
    folder: Path, config: dict[str, Any], memory: Memory[Any], *, resume: bool = True, overwrite: bool = False
) -> Standing:
    """Look at a folder without touching it.

    Args:
        folder: of the run.
        config: what :func:`describe` says of it now.
        memory: that is trained.
        resume: whether a run may be continued.
        overwrite: whether one may be replaced.

    Raises:
        ValueError: it holds a run of another config, a run that must not be resumed, half a run, or, to be replaced,
            files that no training left.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give the path of a folder")
    present = [name for name in FILES if (folder / name).exists()]
    saved = checkpoint.latest(folder)
    if not (present or saved):
        return "new"
    if overwrite:
        if not is_run(folder):
            raise ValueError(
                f"{folder} holds {present[0]}, and nothing that says that a training wrote it; choose another folder, "
                "or move it away"
            )
        return "new"
    if not resume:
        raise ValueError(
            f"{folder} holds a run already; continue it with resume=True or replace it with overwrite=True"
        )
    if CONFIG not in present:
        raise ValueError(
            f"{folder} holds {present[0] if present else saved} but no config.json that says what was trained; "
            "choose another folder, or replace it with overwrite=True"
        )
    earlier: _Config = read_json(folder / CONFIG, _Config, mend="replace the run with overwrite=True")
    before, now = earlier.get("revisions", {}), config.get("revisions", {})
    for name in made_by(memory)["memories"]:
        if options := card("memories", name).as_of(before.get(name, 1)):
            given = ", ".join(f"{key}={value!r}" for key, value in options.items())
            raise ValueError(
                f"{folder} holds a run with revision {before.get(name, 1)} of {name}, which is at {now.get(name, 1)} "
                f"and computes otherwise (as before with {given}); finish it with the version of mnesis that began "
                "it, or train anew with overwrite=True"
            )
    if shown := shown_differences(*_comparable(earlier, config, memory)):
        raise ValueError(
            f"{folder} holds a run of another config ({shown}); give that config to continue it, another folder, or "
            "overwrite=True to replace it"
        )
    if TRAINING in present and WEIGHTS in present:
        return "finished"
    if saved is not None:
        return "begun"
    if present != [CONFIG]:
        lost = "checkpoint" if TRAINING not in present else WEIGHTS
        raise ValueError(f"{folder} holds a run whose {lost} is gone; restore it, or train again with overwrite=True")
    return "new"  # stopped before its first checkpoint


def _comparable(earlier: _Config, now: dict[str, Any], memory: Memory[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both as JSON, with the defaults that recipes and memories had no name for when the earlier one was written."""
    described = earlier["memory"]
    try:
        arguments = json.loads(described["arguments"])
    except ValueError:
        arguments = described["arguments"]
    here = json.loads(now["memory"]["arguments"])
    if isinstance(arguments, dict):
        options = signature(type(memory).__init__).parameters
        defaults = {key: option.default for key, option in options.items() if option.default is not Parameter.empty}
        added = {key: here[key] for key in here if key not in arguments and here[key] == defaults.get(key, ...)}
        arguments = {**arguments, **added}
    before = {**earlier, "recipe": earlier["recipe"].as_json(), "memory": {**described, "arguments": arguments}}
    present = {**now, "memory": {**now["memory"], "arguments": here}}
    for each in (before, present):
        each.pop("revisions", None)  # of which only the arithmetic matters here
        each.pop("model", None)  # the memory's own description says the same
        if isinstance(each["config"].get("model"), dict):  # as trainings of the command line have it
            each["config"] = {key: value for key, value in each["config"].items() if key != "model"}
    if not ("task" in before and "task" in present):  # earlier versions said nothing of tasks
        before.pop("task", None)
        present.pop("task", None)
    else:
        before["task"], present["task"] = (_wherever_it_stands(each["task"]) for each in (before, present))
    return before, present


def _wherever_it_stands(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task whose own file may have been moved with its run."""
    file, separator, name = task["name"].rpartition(".py:")
    return {**task, "name": f"{Path(file).name}{separator}{name}"}


def is_run(folder: Path) -> bool:
    """Whether a training wrote into a folder; more than a name must say so."""
    if checkpoint.latest(folder) is not None or read_metrics(folder, mend="", bad=[]):
        return True
    for name, shape in ((CONFIG, {"config", "recipe", "memory"}), (TRAINING, {"updates", "units", "stages"})):
        try:
            found = json.loads((folder / name).read_bytes())
        except FileNotFoundError:
            continue
        except (ValueError, RecursionError):
            return True  # cut off: a whole file of somebody else's would have been readable
        if isinstance(found, dict) and shape <= found.keys():
            return True
    return False


def prepare(folder: Path, config: dict[str, Any], standing: Standing) -> None:
    """Clear what is left of earlier runs and of kills, and write config.json (the main process alone calls it).

    Raises:
        ValueError: the folder cannot be written.
    """
    clear_stale(folder)
    if standing == "new":
        clear(folder)
        write_json(folder / CONFIG, config)


def is_stale(folder: Path) -> bool:
    """Whether kills left something in a finished run's folder."""
    temporary = [path for name in FILES for path in leftovers(folder / name)]
    beside = checkpoint.stale(folder) or checkpoint.latest(folder) or checkpoint.all_best(folder)
    return bool(temporary or beside or (folder / ".lock").exists())


def clear_stale(folder: Path) -> None:
    """Remove what kills left; who holds the folder may."""
    checkpoint.clear_stale(folder)
    for name in FILES:
        clear_leftovers(folder / name)


def clear(folder: Path) -> None:
    """Remove a run's files, config.json last, and nothing else."""
    clear_stale(folder)
    checkpoint.clear(folder)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a run, and its folder if nothing else is in it.

    Raises:
        ValueError: another process is writing there.
    """
    if is_run(folder):
        with alone(folder):
            clear(folder)
        remove_empty(folder)
