"""Values against their domains, and JSON of a declared shape."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np
import pytest

from mnesis.core.domain import Above, AtLeast, Bound, Count, Positive, Share, Size, build, check_arguments, fault
from mnesis.core.files import parse_json


class Entry(TypedDict):
    name: str
    units: NotRequired[Count]


@dataclasses.dataclass(frozen=True)
class Place:
    update: Count
    loss: float | None = None
    recent: tuple[tuple[float, int], ...] = ()
    inner: Place | None = None


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        (1, Size), (np.int64(3), Size), (0, Count), (0.5, Share), (1, Positive), (None, int | None), ("a", str),
        (True, bool), ([1, 2.5], list[float]), ([[1.0, 2]], tuple[tuple[float, int], ...]), ({"a": 1}, dict[str, int]),
        ("x", Literal["x", "y"]), ({"name": "a"}, Entry), ({"update": 3}, Place), ("anything", Any),
        (float("inf"), Annotated[float, Bound(infinite=True)]), ({"update": 1, "inner": {"update": 2}}, Place),
    ],
)  # fmt: skip
def test_values_in_their_domain_have_no_fault(value, domain):
    assert fault(value, domain) is None


@pytest.mark.parametrize(
    ("value", "domain", "sentence"),
    [
        (0, Size, "it=0 is not a whole number of at least 1"),
        (1.0, Size, "it=1.0 is not a whole number of at least 1"),
        (True, int, "it=True is not a whole number"),
        (float("nan"), float, "it=nan is not a finite number"),
        (float("inf"), float, "it=inf is not a finite number"),
        (0, Annotated[float, Above(0)], "it=0 is not a finite number above 0"),
        (1.5, Share, "it=1.5 is not a finite number between 0 and 1"),
        (0, Size | None, "it=0 is not a whole number of at least 1"),
        ("8", Size | None, "it='8' is not a whole number of at least 1 or None"),
        ("z", Literal["x", "y"], "it='z' is not one of 'x', 'y'"),
        ([1, "a"], list[int], "it[1] 'a' is not a whole number"),
        ([[1.0]], tuple[tuple[float, int], ...], "it[0] [1.0] has 1 entries where 2 belong"),
        ({"name": "a", "units": -1}, Entry, "it.units -1 is not a whole number of at least 0"),
        ({"units": 1}, Entry, "it has no entry 'name'"),
        ({"update": 1, "extra": 2}, Place, "it has an entry 'extra' that does not belong there"),
        ([], Place, "it=[] is not a mapping"),
    ],
)
def test_a_fault_names_value_and_rule(value, domain, sentence):
    assert fault(value, domain, "it") == sentence


def test_json_becomes_the_dataclasses_that_it_stands_for():
    found = parse_json('{"update": 2, "recent": [[0.5, 3]], "inner": {"update": 1}}', Place, source="s", mend="m")
    assert found == Place(2, None, ((0.5, 3),), Place(1))
    assert isinstance(build(float, 1), float)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not whole JSON"),
        (b"\xff\xfe{\x00", "is not UTF-8 text (byte 0)"),
        ('{"update": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "is nested"),
        ("[" * 200 + "]" * 200, "is nested 200 levels deep where ours have at most 64"),
        ("[]", "cannot be read: [] is not a mapping"),
        ('{"update": -1}', "cannot be read: update=-1 is not a whole number of at least 0"),
    ],
)
def test_json_of_another_kind_is_refused_in_one_sentence(text, reason):
    with pytest.raises(ValueError) as caught:
        parse_json(text, Place, source="position.json", mend="train again")
    message = str(caught.value)
    assert message.startswith("position.json ")
    assert reason in message
    assert message.endswith("; train again")
    assert "\n" not in message


INFINITE = float("inf")
OTHER = ", the default, or another"


class Owned:
    def __init__(
        self, dim: int, *, hidden: int | None = None, lag: int = 0, clamp: float = float("inf"), kind: str = "a"
    ):
        pass


@pytest.mark.parametrize(
    "arguments", [{"dim": 1}, {"dim": 4, "lag": 0, "hidden": None}, {"dim": 4, "clamp": float("inf")}]
)
def test_arguments_in_their_domains_pass(arguments):
    check_arguments(Owned, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"dim": 0}, "Owned: dim=0 is not a whole number of at least 1; give a size such as 64"),
        (
            {"dim": 2, "hidden": 0},
            "Owned: hidden=0 is not a whole number of at least 1; give hidden=None, the default, or another",
        ),
        (
            {"dim": 2, "lag": -1},
            "Owned: lag=-1 is not a whole number of at least 0; give lag=0, the default, or another",
        ),
        (
            {"dim": 2, "clamp": float("nan")},
            "Owned: clamp=nan is not a finite number; give clamp=inf, the default, or another",
        ),
        ({"dim": 2, "kind": 3}, "Owned: kind=3 is not text; give kind='a'" + OTHER),
    ],
)
def test_arguments_out_of_their_domains_are_refused(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        check_arguments(Owned, arguments)
    assert str(caught.value) == sentence


def test_bounds_in_words():
    assert str(AtLeast(0)) == "of at least 0"
    assert str(Bound(0, 1, open_high=True)) == "of at least 0 and below 1"
    assert str(Bound(high=3)) == "of at most 3"


class Spot(NamedTuple):
    at: Count | None
    last: float


class Held(TypedDict):
    spot: Spot
    place: Place


def test_named_tuples_and_typed_dictionaries_are_built_to_their_depth():
    content = {"spot": [3, 1], "place": {"update": 2, "recent": [[1, 2]]}}
    assert fault(content, Held) is None
    assert build(Held, content) == {"spot": Spot(3, 1.0), "place": Place(2, recent=((1.0, 2),))}
    assert fault({**content, "spot": [3]}, Held) == "spot=[3] has 1 entries where 2 belong"
    assert fault({**content, "spot": [-1, 0]}, Held) == "spot[0] -1 is not a whole number of at least 0"
