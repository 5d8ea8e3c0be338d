"""What a value may be: one check for arguments of constructors, for JSON that we wrote, and for the command line.

A domain is an ordinary annotation. Numbers may be bounded, ``Annotated[int, AtLeast(0)]``, and the common ones have
names: ``Size``, ``Count``, ``Positive``, ``Share``. ``fault`` says what is wrong with a value, ``build`` makes
dataclasses and tuples out of plain JSON. Nothing here needs torch.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import math
import numbers
import re
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import BoundArguments, Parameter, signature
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bound:
    """Numbers from ``low`` to ``high``; without the ends where they are ``open``."""

    low: int | float = -math.inf
    high: int | float = math.inf
    open_low: bool = False
    open_high: bool = False
    infinite: bool = False
    """Whether infinity itself is allowed."""

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, int) and (math.isnan(value) or (math.isinf(value) and not self.infinite)):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return bool(above and below)

    def __str__(self) -> str:
        """As it stands in a sentence, after "a number"."""
        low, high = _plain(self.low), _plain(self.high)
        low_text = f"above {low}" if self.open_low else f"of at least {low}"
        high_text = f"below {high}" if self.open_high else f"at most {high}"
        if self.low == -math.inf and self.high == math.inf:
            return ""
        if self.high == math.inf:
            return low_text
        if self.low == -math.inf:
            return high_text if self.open_high else f"of {high_text}"
        if not (self.open_low or self.open_high):
            return f"between {low} and {high}"
        return f"{low_text} and {high_text}"


def AtLeast(low: int | float) -> Bound:  # noqa: N802 - reads as a type in an annotation
    """Numbers from ``low`` on."""
    return Bound(low)


def Above(low: int | float) -> Bound:  # noqa: N802
    """Numbers greater than ``low``."""
    return Bound(low, open_low=True)


def Between(low: int | float, high: int | float) -> Bound:  # noqa: N802
    """Numbers from ``low`` to ``high``, both included."""
    return Bound(low, high)


Size = Annotated[int, AtLeast(1)]
"""A whole number of things, of which there is at least one."""
Count = Annotated[int, AtLeast(0)]
"""A whole number of things, of which there may be none."""
Positive = Annotated[float, Above(0)]
Epsilon = Annotated[float, Between(1e-30, 1.0)]
"""What is added so that nothing is divided by 0: float32 still holds the least of them."""
Share = Annotated[float, Between(0, 1)]


def fault(value: Any, domain: Any, name: str = "") -> str | None:
    """What is wrong with a value, as a sentence without its mend: ``width=0 is not a whole number of at least 1``.

    Args:
        value: to be examined.
        domain: an annotation: numbers, text, booleans, None, literals, unions, lists, tuples, mappings, dataclasses (of
            which a mapping stands for its fields), typed dictionaries, other classes. What is none of these, such as a
            callable or a protocol that no check at run time knows, is not examined.
        name: of the value.
    """
    domain = _as_list(domain)
    origin, arguments = get_origin(domain), get_args(domain)
    if origin is Annotated:
        bound = next((note for note in arguments[1:] if isinstance(note, Bound)), None)
        return _fault_of_number(value, arguments[0], bound, name) if bound else fault(value, arguments[0], name)
    if domain in (int, float):
        return _fault_of_number(value, domain, Bound(), name)
    if origin in (Union, types.UnionType):
        faults = [fault(value, each, name) for each in arguments]
        if None in faults:
            return None
        fitting = [text for each, text in zip(arguments, faults, strict=True) if _is_of_kind(value, each)]
        return fitting[0] if fitting else f"{shown(value, name)} is not {describe(domain)}"
    if origin is Literal:
        known = any(value == each and type(value) is type(each) for each in arguments)
        return None if known else f"{shown(value, name)} is not {describe(domain)}"
    if domain is Any or isinstance(domain, (TypeVar, str)):
        return None
    if getattr(domain, "_is_protocol", False) and not getattr(domain, "_is_runtime_protocol", False):
        return None
    if not _is_of_kind(value, domain):
        return f"{shown(value, name)} is not {describe(domain)}"
    return _fault_inside(value, domain, name)


def require(value: Any, domain: Any, name: str, mend: str) -> None:
    """Raise ValueError with the value, the rule and the mend where a value is not in its domain."""
    if found := fault(value, domain, name):
        raise ValueError(f"{found}; {mend}")


def describe(domain: Any) -> str:
    """A domain in words: "a whole number of at least 1"."""
    origin, arguments = get_origin(domain), get_args(domain)
    if origin is Annotated:
        bound = next((note for note in arguments[1:] if isinstance(note, Bound)), None)
        return f"{describe(arguments[0])} {bound}".rstrip() if bound else describe(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(each) for each in arguments)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    plain = {
        int: "a whole number", float: "a finite number", str: "text", bool: "true or false", type(None): "None",
        list: "a list", tuple: "a list", dict: "a mapping", collections.abc.Sequence: "a list",
        collections.abc.Mapping: "a mapping",
    }  # fmt: skip
    found = plain.get(origin or domain)
    if found:
        return found
    return "a mapping" if _fields(domain) is not None else f"a {getattr(domain, '__name__', domain)}"


def shown(value: Any, name: str = "") -> str:
    """A value in a sentence, with its name, cut where it is long."""
    text = repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"{name}={text}" if name.isidentifier() else f"{name} {text}" if name else text


def shown_text(text: str) -> str:
    """What somebody wrote, as it stands in a sentence: quoted where it is no plain word, and cut where it is long."""
    return text if re.fullmatch(r"[\w.+:/=-]{1,60}", text) else shown(text)


def build(domain: Any, value: Any) -> Any:
    """A value without faults, out of plain JSON: mappings as the dataclasses they stand for, lists as tuples."""
    if (entries := _as_list(domain)) is not domain:
        return domain(*build(entries, value))
    origin, arguments = get_origin(domain), get_args(domain)
    if origin is Annotated:
        return build(arguments[0], value)
    if origin in (Union, types.UnionType):
        return build(next(each for each in arguments if fault(value, each) is None), value)
    if origin is list:
        return [build(arguments[0], each) for each in value]
    if origin is tuple:
        parts = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(build(part, each) for part, each in zip(parts, value, strict=True))
    if origin in (dict, collections.abc.Mapping):
        return {key: build(arguments[1], each) for key, each in value.items()}
    if dataclasses.is_dataclass(domain) and isinstance(domain, type) and isinstance(value, Mapping):
        fields = _hints(domain)
        return domain(**{key: build(fields[key], each) for key, each in value.items()})
    if typing.is_typeddict(domain) and (entries := _fields(domain)) is not None:
        return {key: build(entries[key][0], each) for key, each in value.items()}
    return float(value) if domain is float else value


def check_arguments(cls: type, arguments: Mapping[str, Any]) -> None:
    """Examine the arguments of a constructor against its annotations.

    A plain ``int`` is a size, of at least 1; one whose default is smaller may be as small as its default. Numbers are
    finite, unless the default is not, and no booleans. Whatever else a constructor demands it says itself.

    Raises:
        ValueError: one sentence with the value, the rule and the mend.
    """
    for key, (domain, default) in argument_domains(cls).items():
        if key in arguments and (found := fault(arguments[key], domain, key)):
            needed = "a size such as 64" if _may_be_size(domain) else "one"
            mend = needed if default is Parameter.empty else f"{key}={default!r}, the default, or another"
            raise ValueError(f"{cls.__name__}: {found}; give {mend}")


class Checked:
    """A class whose constructor's arguments are examined against its annotations before ``__init__`` runs."""

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        bound_arguments(cls, args, kwargs)
        return object.__new__(cls)


def bound_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BoundArguments | None:
    """Arguments of a constructor by name, examined; None where they cannot be bound, of which ``__init__`` will tell.

    Raises:
        ValueError: of :func:`check_arguments`.
    """
    try:
        bound = signature(cls.__init__).bind(None, *args, **kwargs)
    except TypeError:  # copying an object passes no arguments at all, either
        return None
    check_arguments(cls, bound.arguments)
    return bound


@cache
def argument_domains(cls: type) -> dict[str, tuple[Any, Any]]:
    """Domain and default (``Parameter.empty`` if there is none) of every named argument of a constructor."""
    try:
        hints = typing.get_type_hints(cls.__init__, include_extras=True)
    except (NameError, TypeError, AttributeError):  # annotations of somebody else's class, which cannot be read
        return {}
    domains = {}
    for name, parameter in list(signature(cls.__init__).parameters.items())[1:]:
        open_ended = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if name in hints and not open_ended:
            domains[name] = as_size(hints[name], parameter.default), parameter.default
    return domains


def as_size(domain: Any, default: Any) -> Any:
    """A plain int as a size, wherever it stands in an annotation."""
    if domain is int:
        smaller = isinstance(default, int) and not isinstance(default, bool) and default < 1
        return Annotated[int, AtLeast(default if smaller else 1)]
    if domain is float and isinstance(default, float) and math.isinf(default):
        return Annotated[float, Bound(infinite=True)]
    origin, arguments = get_origin(domain), get_args(domain)
    if origin in (Union, types.UnionType):
        return Union[tuple(as_size(each, default) for each in arguments)]  # noqa: UP007 - built at run time
    if origin in (list, tuple, collections.abc.Sequence):
        parts = (each if each is Ellipsis else as_size(each, Parameter.empty) for each in arguments)
        return cast(Any, origin)[tuple(parts)]
    return domain


def _may_be_size(domain: Any) -> bool:
    if get_origin(domain) in (Union, types.UnionType):
        return any(map(_may_be_size, get_args(domain)))
    return get_origin(domain) is Annotated and get_args(domain)[0] is int


def _fault_of_number(value: Any, kind: Any, bound: Bound, name: str) -> str | None:
    if _is_of_kind(value, kind) and value in bound:
        return None
    return f"{shown(value, name)} is not {describe(kind)} {bound}".rstrip()


def _is_of_kind(value: Any, domain: Any) -> bool:
    """Whether a value has the outer type that a domain asks for."""
    domain = _as_list(get_args(domain)[0] if get_origin(domain) is Annotated else domain)
    kind = get_origin(domain) or domain
    if kind is bool or kind is type(None):
        return value is None if kind is type(None) else isinstance(value, bool)
    if kind in (int, float):
        tower = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, tower) and not isinstance(value, bool)
    if kind in (list, tuple, collections.abc.Sequence):
        return isinstance(value, (list, tuple))  # JSON knows no tuples
    if kind in (dict, collections.abc.Mapping):
        return isinstance(value, Mapping)
    if _fields(domain) is not None:
        return isinstance(value, Mapping) or (isinstance(domain, type) and type(value) is domain)
    if kind in (Union, types.UnionType):
        return any(_is_of_kind(value, each) for each in get_args(domain))
    if isinstance(kind, type) and getattr(kind, "_is_runtime_protocol", not getattr(kind, "_is_protocol", False)):
        return isinstance(value, kind)
    return True


def _fault_inside(value: Any, domain: Any, name: str) -> str | None:
    origin, arguments = get_origin(domain), get_args(domain)
    if origin in (dict, collections.abc.Mapping) and arguments:
        inner = ((key, each, arguments[1]) for key, each in value.items())
        return next((text for key, each, part in inner if (text := fault(each, part, _at(name, key)))), None)
    if origin in (list, tuple, collections.abc.Sequence) and arguments:
        parts = [arguments[0]] * len(value) if origin is not tuple or arguments[-1] is Ellipsis else arguments
        if len(parts) != len(value):
            return f"{shown(value, name)} has {len(value)} entries where {len(parts)} belong"
        inner = zip(value, parts, strict=True)
        return next((text for i, (each, part) in enumerate(inner) if (text := fault(each, part, f"{name}[{i}]"))), None)
    fields = _fields(domain)
    if fields is None or not isinstance(value, Mapping):
        return None
    where = name or "it"
    if unknown := [key for key in value if key not in fields]:
        return f"{where} has an entry {unknown[0]!r} that does not belong there"
    if missing := [key for key, (_, required) in fields.items() if required and key not in value]:
        return f"{where} has no entry {missing[0]!r}"
    inner = ((key, each, fields[key][0]) for key, each in value.items())
    return next((text for key, each, part in inner if (text := fault(each, part, _at(name, key)))), None)


def _as_list(domain: Any) -> Any:
    """What stands for a NamedTuple in JSON: a list of its entries."""
    if isinstance(domain, type) and issubclass(domain, tuple) and hasattr(domain, "_fields"):
        return tuple[tuple(_hints(domain).values())]
    return domain


def _at(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


@cache
def _fields(domain: Any) -> dict[str, tuple[Any, bool]] | None:
    """Entries of a dataclass or typed dictionary, and whether they must be there; None of anything else."""
    if dataclasses.is_dataclass(domain):
        absent = dataclasses.MISSING
        needed = {f.name: f.default is absent and f.default_factory is absent for f in dataclasses.fields(domain)}
        return {key: (_hints(domain)[key], required) for key, required in needed.items()}
    if typing.is_typeddict(domain):
        # __required_keys__ does not see through annotations that are text, as those of this package are.
        marks = {key: get_origin(hint) for key, hint in _hints(domain).items()}
        plain = domain.__total__  # whether an entry without a mark must be there
        required = {
            k: mark is typing.Required or (plain and mark is not typing.NotRequired) for k, mark in marks.items()
        }
        return {key: (_bare(hint), required[key]) for key, hint in _hints(domain).items()}
    return None


@cache
def _hints(domain: Any) -> dict[str, Any]:
    return typing.get_type_hints(domain, include_extras=True)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def _plain(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant."""
    import difflib

    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None
