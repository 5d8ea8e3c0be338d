"""The catalog: what mnesis holds, by name, and classes of your own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from inspect import Parameter, getdoc, signature
from typing import TYPE_CHECKING, Any

from .card import OWN, Card, Paper
from .cards import CATALOG
from .domain import nearest

if TYPE_CHECKING:  # both import torch, and the catalog can be read without it
    from .memory import Memory
    from .task import Task


SINGULAR = {"memories": "memory", "tasks": "task", "claims": "claim"}


def kinds() -> list[str]:
    """What the catalog has: memories, tasks, claims."""
    return list(CATALOG)


def kind_of(name: str) -> str | None:
    """What a name of the catalog is: "memory", "task" or "claim"; None of a name that it does not have."""
    return next((SINGULAR[kind] for kind in CATALOG if name in _cards(kind)), None)


_CLOSED: ContextVar[str] = ContextVar("closed", default="")
"""Where the names come from that may be those of the catalog alone."""


@contextmanager
def catalog_alone(source: str) -> Iterator[None]:
    """Refuse classes of one's own in this block, however deep inside others they are named.

    Args:
        source: the file that the names come from: it must not have code imported.
    """
    token = _CLOSED.set(source)
    try:
        yield
    finally:
        _CLOSED.reset(token)


def _cards(kind: str) -> dict[str, Card]:
    return {card.name: card for card in CATALOG[kind]}


def cards(kind: str) -> list[Card]:
    """All cards of ``memories``, ``tasks`` or ``claims``, in the catalog's order."""
    return list(CATALOG[kind])


def card(kind: str, name: str) -> Card:
    """The card of that name; an unknown one is a ValueError that suggests the nearest.

    A name such as ``path/to/file.py:MyMemory`` or ``module:MyMemory`` is that of a class of your own.
    """
    if ":" in name and kind != "claims":
        if source := _CLOSED.get():
            raise ValueError(
                f"{source} names {name!r}, which is not of the catalog: its code would run; where you trust whoever "
                "wrote it, pass trust=True, on the command line --trust"
            )
        return _own_card(kind, name)
    known = _cards(kind)
    if name not in known:
        near, other = nearest(name, known), kind_of(name)
        hint = f"did you mean {near!r}?" if near else f"mnesis list {kind} shows what there is"
        hint = f"it is a {other}" if other else hint
        raise ValueError(f"no {SINGULAR[kind]} is called {name!r}; {hint}")
    return known[name]


def memory_called(target: str) -> Card | None:
    """The card of a memory by its class, as ``mnesis.module:Class``; None of one that the catalog does not have."""
    return next((card for card in list_memories() if f"mnesis.{card.target}" == target), None)


def task_called(target: str) -> Card | None:
    """The same of a task."""
    return next((card for card in list_tasks() if f"mnesis.{card.target}" == target), None)


def _own_card(kind: str, name: str) -> Card:
    """What can be said of somebody's class, which is imported for it."""
    from .memory import Memory
    from .task import Task

    found, base = Card(name, name, OWN, "").load(), {"memories": Memory, "tasks": Task}.get(kind)
    if base is not None and not issubclass(found, base):
        raise ValueError(f"{name} is not a {base.__name__}; derive it from mnesis.{base.__name__}")
    if base is not None and (missing := sorted(getattr(found, "__abstractmethods__", ()))):
        raise ValueError(f"{name} does not define {', '.join(missing)}, as every {base.__name__} must; write it")
    summary = (getdoc(found) or "").split("\n")[0].rstrip(".")
    bounded = getattr(found, "bounded", True) is True
    return Card(name, name, OWN, summary, forms=tuple(getattr(found, "forms", ())), bounded=bounded)


def create(kind: str, name: str, /, **options: Any) -> Any:
    """An instance by name; options as the class takes them, unknown ones are errors."""
    cls = card(kind, name).load()
    accepted = signature(cls.__init__).parameters
    open_ended = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)  # as object's own constructor has them
    known = [key for key, parameter in accepted.items() if key != "self" and parameter.kind not in open_ended]
    for option in options:
        if option not in known:
            near = nearest(option, known)
            hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(known)}"
            raise ValueError(f"{name} has no option {option!r}; {hint}")
    missing = [key for key in known if accepted[key].default is Parameter.empty and key not in options]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}; write {name!r}, {missing[0]}=...")
    return cls(**options)


def create_memory(name: str, /, **options: Any) -> Memory:
    """A memory by name: ``create_memory("armt", dim=256)``."""
    return create("memories", name, **options)


def create_task(name: str, /, **options: Any) -> Task:
    """A task by name."""
    return create("tasks", name, **options)


def list_memories() -> list[Card]:
    """The cards of all memories."""
    return cards("memories")


def list_tasks() -> list[Card]:
    """The cards of all tasks."""
    return cards("tasks")


def list_claims() -> list[Card]:
    """The cards of all claims."""
    return cards("claims")


def as_of(described: Mapping[str, Any], revisions: Mapping[str, int]) -> dict[str, Any]:
    """A specification with the options by which its memories compute as in earlier revisions.

    Args:
        described: ``arguments`` of a constructor: that of ``memory``, a catalog name, if it is there; else that of a
            network, whose arguments name memories and their options. What is none of these comes back as it is.
        revisions: of the memories that are not of the first.

    Raises:
        ValueError: unlike memories that share their options, which one of them would need for itself.
    """
    known = {card.name: card for card in list_memories() if card.earlier}
    before = {name: options for name, card in known.items() if (options := card.as_of(revisions.get(name, 1)))}
    arguments, name = described.get("arguments"), described.get("memory")
    if not isinstance(arguments, dict):
        return dict(described)
    if isinstance(name, str):
        return {**described, "arguments": {**before.get(name, {}), **arguments}}
    inside, options = arguments.get("memory"), arguments.get("options")
    names = [each for each in (inside if isinstance(inside, list) else [inside]) if isinstance(each, str)]
    if (isinstance(inside, list) and len(names) < len(inside)) or not any(each in before for each in names):
        return dict(described)
    if isinstance(inside, list) and described.get("network") != "Stack":  # options of each
        given = [{}] * len(names) if options is None else options
        if not (isinstance(given, list) and len(given) == len(names) and all(isinstance(own, dict) for own in given)):
            return dict(described)
        each = [{**before.get(name, {}), **own} for name, own in zip(names, given, strict=True)]
        return {**described, "arguments": {**arguments, "options": each}}
    if not isinstance(options, dict | None):
        return dict(described)
    needed = [before.get(each, {}) for each in names]
    if any(other != needed[0] for other in needed):
        raise ValueError(
            f"{', '.join(names)} share their options, and {next(each for each in names if each in before)} computes "
            "otherwise since these weights were saved; build the stack from blocks of your own, and fill it with "
            "mnesis.nets.load_weights"
        )
    return {**described, "arguments": {**arguments, "options": {**needed[0], **(options or {})}}}


@cache
def papers() -> dict[str, Paper]:
    """Every paper that a card names, by key."""
    text = files("mnesis.core").joinpath("papers.json").read_text(encoding="utf-8")
    return {key: Paper(key=key, **entry) for key, entry in json.loads(text).items()}


def bibtex(chosen: Sequence[Card]) -> Iterator[str]:
    """BibTeX entries of all papers that cards name, each once."""
    keys = dict.fromkeys(key for card in chosen for key in card.papers)
    yield from (papers()[key].bibtex() for key in keys)
