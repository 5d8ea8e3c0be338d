"""What is read from the source of a class is what an import of it tells."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from mnesis.core.catalog import card, cards, kinds
from mnesis.core.domain import argument_domains
from mnesis.core.laws import LAWS
from mnesis.core.source import check_options, described, names_of


@pytest.mark.parametrize("kind", kinds())
def test_sources_tell_what_imports_tell(kind) -> None:
    for each in cards(kind):
        cls, found = each.load(), described(each)
        assert found.doc == inspect.getdoc(cls), each.name
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        named = [each for each in parameters if each.kind not in (inspect.Parameter.VAR_POSITIONAL, 4)]
        assert list(found.options) == [parameter.name for parameter in named], each.name
        for parameter in named:
            told = found.options[parameter.name].default
            required = parameter.default is inspect.Parameter.empty
            assert eval(told, {"math": __import__("math")}) == parameter.default if told else required, each.name


def test_domains_are_those_of_the_constructor() -> None:
    for each in cards("memories"):
        known = argument_domains(each.load())
        for key, option in described(each).options.items():
            if key != "host":  # a protocol, which no option of a command line can be
                assert option.domain == known[key][0], (each.name, key)


def test_names_of_laws() -> None:
    assert names_of("mnesis.core.laws", "LAWS") == list(LAWS)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gru", {"hiden": 3}, "gru has no option 'hiden'; did you mean 'hidden'?"),
        ("gru", {"zz": 3}, "gru has no option 'zz'; mnesis show gru tells what it takes"),
        ("gru", {"dim": 3}, "gru is given dim by --dim; leave dim=3 out of its options"),
        ("gru", {"hidden": 1.5}, "gru: hidden=1.5 is not a whole number of at least 1 or None; give hidden=None"),
        ("gru", {"hidden": True}, "hidden=True is not a whole number"),
        ("gru", {"hidden": 10**30}, "is beyond the largest number"),
        ("mamba", {"expansion": None}, "mamba: expansion=None is not a whole number of at least 1; give expansion=2"),
        ("armt", {"correction": 1}, "armt: correction=1 is not true or false; give correction=True"),
        ("armt", {"segment": "long"}, "armt: segment='long' is not a whole number"),
    ],
)
def test_options_are_examined(name, options, sentence) -> None:
    with pytest.raises(ValueError) as refused:
        check_options(card("memories", name), options, fixed={"dim": "--dim"})
    assert sentence in str(refused.value)


def test_options_that_may_be() -> None:
    for each in cards("memories"):
        check_options(each, each.example)
    for each in cards("tasks"):
        check_options(each, each.example)


def test_somebodys_own_class() -> None:
    """Is imported; what it does not annotate may be anything."""
    broken = card("memories", "tests.core.broken:Leaky")
    assert list(described(broken).options) == ["dim"]
    with pytest.raises(ValueError, match=r"dim=0 is not a whole number of at least 1"):
        check_options(broken, {"dim": 0})
    open_ended: Any = card("tasks", "tests.core.test_source:Open")
    assert list(described(open_ended).options) == ["anything"]
    check_options(open_ended, {"anything": object()})


class Open(card("tasks", "copy").load()):  # pyright: ignore[reportGeneralTypeIssues]
    """A task of one's own."""

    def __init__(self, anything, *more, **others) -> None:
        super().__init__()
