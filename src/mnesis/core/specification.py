"""Memories, networks and tasks as plain values, from which they are made again: names and constructors' arguments."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .catalog import catalog_alone, create_task, memory_called, task_called

if TYPE_CHECKING:
    from .memory import Memory
    from .task import Task

NETWORKS = {
    "LanguageModel": "nets.language_model:LanguageModel",
    "Classifier": "nets.classifier:Classifier",
    "Stack": "nets.stack:Stack",
    "HostedLanguageModel": "nets.huggingface.hosted:HostedLanguageModel",
    "PictureModel": "generative.pictures:PictureModel",
}
"""Whole networks by name: ``module:Class`` below mnesis, imported where one is opened."""


class TaskSpecification(NamedTuple):
    """A task by name."""

    name: str
    """In the catalog, or ``file.py:Class`` or ``module:Class`` of somebody's own."""
    options: dict[str, Any]
    """Its constructor's arguments, as they were given."""

    @property
    def label(self) -> str:
        """The name as people read it: of somebody's own class without the folders before its file."""
        return self.name if ".py:" not in self.name else Path(self.name).name

    def as_json(self) -> dict[str, Any]:
        """Plain values, as configurations of runs keep them."""
        return {"name": self.name, "options": self.options}

    def build(self, source: str, *, trust: bool = False) -> Task:
        """The task.

        Args:
            source: the file that names it.
            trust: let it name classes outside the catalog, whose code then runs.

        Raises:
            ValueError: it names what there is not, what must be trusted, or options that the task does not take.
        """
        with nullcontext() if trust else catalog_alone(source):
            return create_task(self.name, **self.options)


def specification(network: Memory[Any]) -> dict[str, Any]:
    """Name and constructor arguments, from which :func:`mnesis.nets.build` makes the same with fresh weights.

    Raises:
        ValueError: it was built from objects, or its class cannot be named.
    """
    cls = type(network)
    arguments = _plain(network.config, cls)
    if NETWORKS.get(cls.__name__) == _target(cls):
        return {"network": cls.__name__, "arguments": arguments}
    card = memory_called(_named(cls))
    return {"memory": card.name if card else _own_name(cls), "arguments": arguments}


def task_specification(task: Task) -> TaskSpecification:
    """Name and options of a task.

    Raises:
        ValueError: it was built from objects, or its class cannot be named.
    """
    cls = type(task)
    options, card = _plain(task.config, cls), task_called(_named(cls))
    return TaskSpecification(card.name if card else _own_name(cls), options)


def task_in(config: Mapping[str, Any]) -> TaskSpecification | None:
    """The task that a run's config.json names; None where it names none.

    Trainings name their own; of earlier versions those of comparisons did.
    """
    inner = config.get("config")
    inner = inner if isinstance(inner, Mapping) else {}
    told = config.get("task", {"name": inner.get("task"), "options": inner.get("task_options", {})})
    name, options = (told.get("name"), told.get("options", {})) if isinstance(told, Mapping) else (None, {})
    if not isinstance(name, str) or not name or not isinstance(options, Mapping):
        return None
    return TaskSpecification(name, dict(options))


def _plain(arguments: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Arguments as JSON; paths become text."""
    try:
        return json.loads(json.dumps(dict(arguments), allow_nan=False, default=os.fspath))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{cls.__name__} was built from objects ({error}); build it from names to save it") from None


def _named(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _target(cls: type) -> str:
    return _named(cls).removeprefix("mnesis.")


def _own_name(cls: type) -> str:
    """What somebody's class is called in a configuration: by its file, where it was given by that, else its module."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise ValueError(
            f"{cls.__name__} is defined in {'the running script' if file else 'no file'}, where no other program finds "
            "it; put it into a module of its own to save it"
        )
    return f"{file}:{cls.__qualname__}" if cls.__module__.startswith("mnesis_own_") else _named(cls)
