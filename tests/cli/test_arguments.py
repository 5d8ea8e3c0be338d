"""A signature as a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from mnesis.cli.arguments import Named, arguments_of, asks_for_help, explain, parse
from mnesis.core.domain import AtLeast, Positive, Size


def command(
    place: Annotated[Path, Named("RUN")],
    more: Annotated[tuple[str, ...], Named("WORD")] = (),
    /,
    size: Size = 4,
    share: Positive | None = None,
    rates: tuple[Positive, ...] = (0.1, 1e-3),
    several_words: str = "",
    scale: Literal["small", "large"] = "small",
    as_json: Annotated[bool, Named("json")] = False,
    least: Annotated[int, AtLeast(257), Named("vocabulary")] = 300,
) -> None:
    """Do it.

    Args:
        place: where it stands.
        more: words, of which
            there may be none.
        size: units of it.
        share: of all.
        rates: to try.
        several_words: said.
        scale: how much.
        as_json: print it for scripts.
        least: ids.
    """


DEFAULTS = {
    "size": 4,
    "share": None,
    "rates": (0.1, 1e-3),
    "several_words": "",
    "scale": "small",
    "as_json": False,
    "least": 300,
}


@pytest.mark.parametrize(
    ("words", "places", "options"),
    [
        ("a", (Path("a"), ()), {}),
        ("a b c", (Path("a"), ("b", "c")), {}),
        ("--size 3 a --json b", (Path("a"), ("b",)), {"size": 3, "as_json": True}),
        ("a --size=3 --several-words=--json", (Path("a"), ()), {"size": 3, "several_words": "--json"}),
        ("a --several_words -5", (Path("a"), ()), {"several_words": "-5"}),
        ("a --rates 1 2e-1 --size 1", (Path("a"), ()), {"rates": (1.0, 0.2), "size": 1}),
        ("a --rates 1 --size 1 --size 2 --rates 3", (Path("a"), ()), {"rates": (1.0, 3.0), "size": 2}),
        ("a -- --size 3", (Path("a"), ("--size", "3")), {}),
        ("- --share .5 --scale large", (Path("-"), ()), {"share": 0.5, "scale": "large"}),
        ("a --vocabulary 1_000", (Path("a"), ()), {"least": 1000}),
    ],
)
def test_command_lines(words, places, options) -> None:
    assert parse(command, words.split()) == (places, {**DEFAULTS, **options})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "RUN is missing; give one: where it stands"),
        (["a", "--sise", "3"], "there is no option --sise; did you mean --size?"),
        (["a", "--qqq"], "there is no option --qqq; there are --size, --share"),
        (["a", "--size"], "--size N is given no value; write --size 4"),
        (["a", "--size", "--json"], "--size N is given no value"),
        (["a", "--rates"], "--rates X ... is given no value; write --rates 0.1"),
        (["a", "--json=1"], "'--json=1' is given a value, and --json takes none; write --json alone"),
        (["a", "--size", "0"], "--size 0 is not a whole number of at least 1; give 4, the default, or another"),
        (["a", "--size", "two words"], "--size 'two words' is not a whole number of at least 1"),
        (["a", "--size", "\u0663"], "is not a whole number"),
        (["a", "--share", "-inf"], "--share -inf is not a finite number above 0; give 1 or another"),
        (["a", "--rates", "1", "0"], "--rates 0 is not a finite number above 0; give some such as 0.1"),
        (["a", "--scale", "smal"], "--scale has no 'smal'; did you mean 'small'?"),
        (["a", "--scale", "9"], "--scale has no '9'; give small or large"),
        (["a", "--vocabulary", "256"], "--vocabulary 256 is not a whole number of at least 257; give 300"),
        ([""], "RUN is empty; give a path"),
        (["a", "--size", "9" * 5000], "is not a whole number"),
    ],
)
def test_mistakes(words, sentence) -> None:
    with pytest.raises(ValueError) as refused:
        parse(command, words)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 400


def test_one_argument_too_many() -> None:
    def one(place: Annotated[str, Named("WHAT")], /, quick: bool = False) -> None:
        """Do."""

    def none(*, quick: bool = False) -> None:
        """Do."""

    with pytest.raises(ValueError, match="'b' is one argument too many; it takes WHAT alone"):
        parse(one, ["a", "b"])
    with pytest.raises(ValueError, match="'a' is one argument too many; it takes options alone"):
        parse(none, ["a"])


def test_help(monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = explain(command, "do", "About it.\n\n    mnesis do a\n")
    assert text.startswith("usage: mnesis do RUN [WORD ...] [options]\n\nAbout it.\n\n    mnesis do a\n\narguments:\n")
    assert "\n  RUN       where it stands\n" in text
    assert "\n  WORD ...  words, of which there may be none\n" in text
    assert "--size N" in text
    assert "units of it (default: 4)" in text
    assert "--rates X ..." in text
    assert "(default: 0.1 0.001)" in text
    assert "--scale {small,large}" in text
    assert "--json" in text
    assert "--as-json" not in text
    assert max(map(len, text.splitlines()[2:])) < 60
    assert [argument.positional for argument in arguments_of(command)] == [True, True, *[False] * 7]
    assert asks_for_help(["a", "-h"])
    assert not asks_for_help(["a", "--", "--help"])
