"""What a class of the catalog is and takes, read from its source: importing it would import torch.

Help, ``mnesis show`` and refusals of options need no more than a docstring and a constructor's signature.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from inspect import Parameter
from typing import Any, cast

from .card import OWN, Card
from .domain import argument_domains, as_size, describe, fault, nearest, shown

_LIGHT = ("typing", "collections.abc", "pathlib", "mnesis.core.domain")
"""Modules whose names annotations are read with; a name from elsewhere says nothing about a value."""


@dataclass(frozen=True)
class Option:
    """A constructor's argument."""

    name: str
    domain: Any
    """Its annotation; Any where that cannot be told without an import."""
    default: str
    """As code; "" if it must be given."""

    @property
    def told(self) -> str:
        """What may be given, in words."""
        return "anything" if self.domain is Any else describe(self.domain)


@dataclass(frozen=True)
class Described:
    """A class, without importing it."""

    doc: str
    options: Mapping[str, Option]


def described(card: Card) -> Described:
    """What a card's class says of itself. Somebody's own class is imported for it."""
    module, _, name = card.target.rpartition(":")
    found = _of_own(card.load()) if card.family == OWN else _read(f"mnesis.{module}", name)
    if module.startswith("claims."):
        return found
    sized = {
        key: Option(key, as_size(option.domain, _value(option.default)), option.default)
        for key, option in found.options.items()
    }
    return Described(found.doc, sized)


def check_options(card: Card, options: Mapping[str, Any], *, fixed: Mapping[str, str] | None = None) -> None:
    """Examine constructor arguments before anything is built.

    Args:
        card: of the class.
        options: arguments by name.
        fixed: arguments that are given by other means, and by which.

    Raises:
        ValueError: an unknown one, with the nearest; one that is fixed; or a value that cannot be.
    """
    known = described(card).options
    for key, value in options.items():
        if fixed and key in fixed:
            raise ValueError(f"{card.name} is given {key} by {fixed[key]}; leave {key}={value!r} out of its options")
        if key not in known:
            near = nearest(key, [name for name in known if name not in (fixed or {})])
            hint = f"did you mean {near!r}?" if near else f"mnesis show {card.name} tells what it takes"
            raise ValueError(f"{card.name} has no option {key!r}; {hint}")
        if found := fault(value, known[key].domain, key):
            usual = f"{key}={known[key].default}, the default, or another" if known[key].default else "another"
            raise ValueError(f"{card.name}: {found}; give {usual}")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError(f"{card.name}: {shown(value, key)} is beyond the largest number of {2**63 - 1}; give less")


def names_of(module: str, table: str) -> list[str]:
    """Names in a table of the package, such as ``LAWS`` of mnesis.core.laws: a dictionary's keys, unpacked ones too."""
    body = _tree(module).body
    node = next(
        (
            node.value
            for node in body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == table
        ),
        None,
    )
    if node is None:  # it comes from a neighbour
        found = next(
            node for node in body if isinstance(node, ast.ImportFrom) and table in {alias.name for alias in node.names}
        )
        return names_of(f"{module.rpartition('.')[0]}.{found.module}", table)
    assert isinstance(node, ast.Dict)
    names: list[str] = []
    for key, value in zip(node.keys, node.values, strict=True):
        names += names_of(module, cast(ast.Name, value).id) if key is None else [ast.literal_eval(key)]
    return names


def _of_own(cls: type) -> Described:
    options = {
        key: Option(key, domain, "" if default is Parameter.empty else repr(default))
        for key, (domain, default) in argument_domains(cls).items()
    }
    for key, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if key not in options and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            default = "" if parameter.default is Parameter.empty else repr(parameter.default)
            options[key] = Option(key, Any, default)
    return Described(inspect.getdoc(cls) or "", options)


@cache
def _read(module: str, name: str) -> Described:
    """A class of the package: its own docstring and constructor, or the nearest base's."""
    doc, options = "", None
    for where, node in _bases(module, name):
        doc = doc or inspect.cleandoc(ast.get_docstring(node) or "")
        if options is None:
            constructor = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
            options = _options(where, constructor[0].args) if constructor else None
    return Described(doc, options or {})


def _bases(module: str, name: str) -> list[tuple[str, ast.ClassDef]]:
    """A class and those that it is derived from, as far as they are ours: (module, definition)."""
    tree = _tree(module)
    node = next((each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name), None)
    if node is None:
        source = _imported(module).get(name)
        return _bases(*source) if source and source[0].startswith("mnesis.") else []
    found = [(module, node)]
    for base in node.bases:
        named = base.value if isinstance(base, ast.Subscript) else base
        found += _bases(module, named.id) if isinstance(named, ast.Name) else []
    return found


def _options(module: str, arguments: ast.arguments) -> dict[str, Option]:
    names = [*arguments.posonlyargs, *arguments.args][1:]
    missing = len(names) - len(arguments.defaults)
    pairs = [*zip(names, [None] * missing + arguments.defaults, strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {
        argument.arg: Option(
            argument.arg,
            Any if argument.annotation is None else _evaluated(module, argument.annotation),
            "" if default is None else _default(module, default),
        )
        for argument, default in pairs
    }


def _default(module: str, node: ast.expr) -> str:
    value = _evaluated(module, node)
    return ast.unparse(node) if value is Any else repr(value)


def _value(default: str) -> Any:
    try:
        return ast.literal_eval(default) if default else Parameter.empty
    except ValueError:
        return None


class _Names(dict[str, Any]):
    """What names mean in a module, as far as that can be told without importing it."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        for node in _tree(self.module).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name) and target.id == name:
                return Any if node.value is None else _evaluated(self.module, node.value)
        module, own = _imported(self.module).get(name, ("", ""))
        if module in _LIGHT:
            return getattr(import_module(module), own)
        return _Names(module)[own] if module.startswith("mnesis.") else Any


def _evaluated(module: str, node: ast.expr) -> Any:
    """An expression of our own source; Any where it needs what only an import can tell."""
    try:
        return eval(compile(ast.Expression(node), module, "eval"), {"__builtins__": {}}, _Names(module))
    except (TypeError, AttributeError, NameError):
        return Any


@cache
def _tree(module: str) -> ast.Module:
    root = files("mnesis")
    path = module.split(".")[1:]
    folder = root.joinpath(*path[:-1], path[-1]) if path else root
    file = folder.joinpath("__init__.py") if folder.is_dir() else root.joinpath(*path[:-1], f"{path[-1]}.py")
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _imported(module: str) -> dict[str, tuple[str, str]]:
    """Names that a module imports: (module, name there)."""
    package = module.split(".")[:-1] if not _is_package(module) else module.split(".")
    found = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            found |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
    return found


def _is_package(module: str) -> bool:
    return files("mnesis").joinpath(*module.split(".")[1:]).is_dir()
