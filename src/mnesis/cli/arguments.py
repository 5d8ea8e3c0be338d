"""The signature of a command as its command line: read, checked, and explained.

Parameters before ``/`` are positional, all others options. Annotations say what may be given
(:mod:`mnesis.core.domain`), the docstring what it means. Mistakes are :class:`ValueError`: one sentence with the value,
the rule and the mend.
"""

from __future__ import annotations

import re
import shutil
import textwrap
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ..core.domain import Bound, describe, fault, nearest, shown, shown_text

HELP = ("-h", "--help")


@dataclass(frozen=True)
class Named:
    """Another name on the command line than the parameter's: ``Annotated[bool, Named("json")]``.

    Of a positional parameter it is what usage and refusals call it, such as RUN.
    """

    name: str


@dataclass(frozen=True)
class Argument:
    """One parameter of a command, as it is written on the command line."""

    key: str
    """The parameter's name."""
    name: str
    """``--dim`` of an option, ``RUN`` of a positional."""
    domain: Any
    """What one value may be."""
    default: Any
    positional: bool
    many: bool
    """Any number of values."""
    text: str
    """What it means."""

    @property
    def flag(self) -> bool:
        """Whether it stands for itself, without a value."""
        return _plain(self.domain) is bool

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is Parameter.empty

    @property
    def value(self) -> str:
        """What stands for a value in usage and help."""
        base = _plain(self.domain)
        if get_origin(base) is Literal:
            return "{" + ",".join(map(str, get_args(base))) + "}"
        return {int: "N", float: "X", Path: "PATH"}.get(base, "TEXT")

    def __str__(self) -> str:
        """With its values, for usage and help."""
        if self.flag:
            return self.name
        written = self.name if self.positional else f"{self.name} {self.value}"
        return f"{written} ..." if self.many else written


def arguments_of(command: Callable[..., Any]) -> list[Argument]:
    """Those of a command, in the order of its signature."""
    hints = get_type_hints(command, include_extras=True)
    told = _texts(command)
    found = []
    for key, parameter in signature(command).parameters.items():
        positional = parameter.kind is Parameter.POSITIONAL_ONLY
        domain, name = hints[key], key.upper() if positional else key.replace("_", "-")
        if get_origin(domain) is Annotated:
            name = next((note.name for note in get_args(domain)[1:] if isinstance(note, Named)), name)
        many = get_origin(_plain(domain)) is tuple
        domain = _without_none(get_args(_plain(domain))[0] if many else domain)
        name = name if positional else f"--{name}"
        found.append(Argument(key, name, domain, parameter.default, positional, many, told.get(key, "")))
    return found


def parse(command: Callable[..., Any], given: Sequence[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a command is to be called with: positional and keyword arguments, checked.

    Raises:
        ValueError: what is unknown, missing, of another kind, or outside its domain.
    """
    arguments = arguments_of(command)
    options = {argument.name: argument for argument in arguments if not argument.positional}
    free, texts = _divide(options, given)
    places = [argument for argument in arguments if argument.positional]
    for index, argument in enumerate(places):
        wanted = len(free) - index if argument.many else 1
        if chosen := free[index : index + wanted]:
            texts[argument.key] = chosen
    if len(free) > len(places) and not (places and places[-1].many):
        extra = free[len(places)]
        takes = f"it takes {', '.join(map(str, places))} alone" if places else "it takes options alone"
        raise ValueError(f"{extra!r} is one argument too many; {takes}")
    for argument in arguments:
        if argument.required and argument.key not in texts:
            meaning = argument.text.split(";")[0].rstrip(".")
            raise ValueError(f"{argument.name} is missing; give {_example(argument)}: {meaning}")
    values = {argument.key: _value(argument, texts[argument.key]) for argument in arguments if argument.key in texts}
    values = {argument.key: values.get(argument.key, argument.default) for argument in arguments}
    return tuple(values.pop(place.key) for place in places), values


def asks_for_help(given: Sequence[str]) -> bool:
    """Whether somebody wants to know how a command is called."""
    options = given[: given.index("--")] if "--" in given else given
    return any(word in HELP for word in options)


def explain(command: Callable[..., Any], name: str, about: str) -> str:
    """The help of a command: how it is called, what it does, and what it takes."""
    arguments = arguments_of(command)
    places = [argument for argument in arguments if argument.positional]
    usage = " ".join(["usage: mnesis", name, *(_in_usage(place) for place in places), "[options]"])
    width = min(shutil.get_terminal_size((100, 24)).columns, 100) - 1
    options = [argument for argument in arguments if not argument.positional]
    shown_options = [(str(argument), _meaning(argument)) for argument in options]
    parts = [usage, about.strip()]
    if places:
        parts.append(_listed("arguments", [(str(place), _meaning(place)) for place in places], width))
    parts.append(_listed("options", [*shown_options, (", ".join(HELP), "show this, and do nothing")], width))
    return "\n\n".join(parts)


def _divide(options: dict[str, Argument], given: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """What stands free, and the texts of each option by its key."""
    free: list[str] = []
    texts: dict[str, list[str]] = {}
    waiting = list(given)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return free + waiting, texts
        if not _is_option(word):
            free.append(word)
            continue
        name, separator, inline = word.partition("=")
        argument = options.get("--" + name[2:].replace("_", "-")) if name.startswith("--") else None
        if argument is None:
            raise ValueError(_unknown(name, options))
        values = [inline] if separator else []
        if argument.flag:
            if separator:
                raise ValueError(f"{word!r} is given a value, and {name} takes none; write {name} alone")
            values = ["true"]
        while waiting and not _is_option(waiting[0]) and (argument.many or not values) and not argument.flag:
            values.append(waiting.pop(0))
        if not values:
            raise ValueError(f"{argument} is given no value; write {_example(argument)}")
        before = texts.get(argument.key, []) if argument.many else []
        texts[argument.key] = before + values
    return free, texts


def _is_option(word: str) -> bool:
    """Not a value: negative numbers and the hyphen that stands for standard input are values."""
    return re.match(r"--|-[A-Za-z]", word) is not None and word.lower() not in ("-inf", "-infinity", "-nan")


def _unknown(name: str, options: Iterable[str]) -> str:
    known = [*options, HELP[-1]]
    near = nearest(name, known) if name.startswith("--") else None
    return f"there is no option {name}; " + (f"did you mean {near}?" if near else f"there are {', '.join(known)}")


def _value(argument: Argument, texts: list[str]) -> Any:
    if argument.flag:
        return True
    values = [_read(argument, text) for text in texts]
    return tuple(values) if argument.many else values[0]


def _read(argument: Argument, text: str) -> Any:
    """One value."""
    base = _plain(argument.domain)
    if get_origin(base) is Literal:
        known = [str(each) for each in get_args(base)]
        if text not in known:
            near = nearest(text, known)
            hint = f"did you mean {near!r}?" if near else f"give {_any_of(known)}"
            raise ValueError(f"{argument.name} has no {shown(text)}; {hint}")
        return get_args(base)[known.index(text)]
    if base is Path and not text:
        raise ValueError(f"{argument.name} is empty; give a path")
    if (
        base is str and not text and not (argument.positional or argument.many)
    ):  # as a variable of the shell that is not set
        raise ValueError(f"{argument.name} is empty; give it a value, or leave it out")
    try:
        value = base(text) if base is Path or (base in (int, float) and text.isascii()) else text
    except ValueError:
        value = text
    if base in (int, float) and fault(value, argument.domain):
        raise ValueError(
            f"{argument.name} {shown_text(text)} is not {describe(argument.domain)}; give {_number(argument)}"
        )
    return value


def _number(argument: Argument) -> str:
    """A mend for a number outside its domain."""
    default = argument.default
    if isinstance(default, tuple):
        default = default[0] if default else None
    if isinstance(default, (int, float)):
        return f"{default:g}, the default, or another" if not argument.many else f"some such as {default:g}"
    bound = _bound(argument.domain)
    return f"{max(bound.low, 1):g} or another" if bound else "a number such as 1"


def _example(argument: Argument) -> str:
    if argument.positional:
        return "one or more" if argument.many else "one"
    default = argument.default[0] if isinstance(argument.default, tuple) and argument.default else argument.default
    usual = isinstance(default, (int, float, str)) and not isinstance(default, bool) and default != ""
    return f"{argument.name} {default if usual else argument.value}"


def _any_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _plain(domain: Any) -> Any:
    """A type without its notes."""
    return get_args(domain)[0] if get_origin(domain) is Annotated else domain


def _without_none(domain: Any) -> Any:
    """What is given where something is given."""
    if get_origin(domain) in (Union, types.UnionType):
        return next(each for each in get_args(domain) if each is not type(None))
    return domain


def _bound(domain: Any) -> Bound | None:
    notes = get_args(domain)[1:] if get_origin(domain) is Annotated else ()
    return next((note for note in notes if isinstance(note, Bound)), None)


def _texts(command: Callable[..., Any]) -> dict[str, str]:
    """The docstring's lines of each parameter."""
    import docstring_parser

    parsed = docstring_parser.parse(command.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
    return {each.arg_name: " ".join((each.description or "").split()) for each in parsed.params}


def _in_usage(place: Argument) -> str:
    return str(place) if place.required else f"[{place}]"


def _meaning(argument: Argument) -> str:
    default = argument.default
    if argument.required or default is None or default is False or default == () or default == "":
        return argument.text.rstrip(".")
    written = (
        " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in default)
        if argument.many
        else default
    )
    return f"{argument.text.rstrip('.')} (default: {written})"


def _listed(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    """Names with their meanings beside them; below them where a name is long."""
    column = min(max(len(name) for name, _ in rows), 24) + 4
    lines = [f"{title}:"]
    for name, meaning in rows:
        wrapped = textwrap.wrap(meaning, max(width - column, 30)) or [""]
        if len(name) + 4 > column:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name:<{column - 2}}{wrapped.pop(0)}".rstrip())
        lines += [" " * column + line for line in wrapped]
    return "\n".join(lines)
