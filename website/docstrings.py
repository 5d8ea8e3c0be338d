"""Docstrings as the API reference shows them: roles become links, and arguments told together get a line each."""

from __future__ import annotations

import re
from typing import Any

from griffe import AliasResolutionError, Extension, Module, NameResolutionError, Object

from .prose import ROLE

_TOGETHER = re.compile(r"^( +)(\w+(?:, \w+)+)(: .*(?:\n\1 .*)*)$", re.MULTILINE)


class Docstrings(Extension):
    """Rewrites every docstring of a package, as griffe asks an extension to."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Once all of a package has been read."""
        _rewrite(pkg)


def _rewrite(thing: Any) -> None:
    if thing.docstring is not None:
        thing.docstring.value = one_by_one(linked(thing.docstring.value, thing))
    for member in thing.members.values():
        if not member.is_alias:
            _rewrite(member)


def linked(text: str, inside: Object) -> str:
    """The text with links, which are left out where the site has no place for them."""

    def link(role: re.Match[str]) -> str:
        target = role["target"]
        label = f"`{target.rpartition('.')[2] if '~' in role[0] else target}`"
        return f'<autoref optional identifier="{_path(target, inside)}">{label}</autoref>'

    return re.sub(r"::(?=\n)", ":", ROLE.sub(link, text))


def one_by_one(text: str) -> str:
    """The text with a line for every argument: ``rows, columns: size.`` becomes two."""
    before, section, arguments = text.partition("Args:\n")

    def each(found: re.Match[str]) -> str:
        return "\n".join(f"{found[1]}{name}{found[3]}" for name in found[2].split(", "))

    return before + section + _TOGETHER.sub(each, arguments)


def _path(target: str, inside: Object) -> str:
    if target.startswith("mnesis."):
        return target
    first, _, rest = target.partition(".")
    try:
        found = f"{inside.path}.{first}" if first in inside.members else inside.resolve(first)
    except (NameResolutionError, AliasResolutionError):
        return target
    return f"{found}.{rest}" if rest else found
