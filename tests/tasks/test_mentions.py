"""Names that a text speaks of: whole words, wherever its runs end."""

from __future__ import annotations

import pytest

from mnesis.tasks.language.plain_text import LONGEST, stretches
from mnesis.tasks.stories.mentions import Mentions

NAMES = ("Mary", "box", "box of chocolates", "square")


def heard(text: str, size: int) -> tuple[str, ...] | None:
    """The names heard, where the text comes in blocks of that size."""
    mentions = Mentions(NAMES)
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    given = list(stretches(blocks))
    assert list(mentions.listen(given)) == given
    return mentions.heard


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("Mary", ("Mary",)),
        ("It was MARY's.", ("Mary",)),
        ("Rosemary Maryland Mary1 _Mary Marys", ()),
        ("Maryland and (Mary)", ("Mary",)),
        ("a box\n of  chocolates", ("box", "box of chocolates")),
        ("boxes of chocolates", ()),
        ("a red square, a box of\tsquares", ("box", "square")),
        ("x" * (LONGEST - 4) + "Mary", ()),
        ("x" * (LONGEST - 5) + "-Mary" + "x" * 20, ()),
        ("x" * (LONGEST - 5) + "-Mary-" + "x" * 20, ("Mary",)),
        ("x" * (LONGEST - 3) + "-Mary-", ("Mary",)),
        ("Every word of this says nothing. " * 500 + "Mary " + "But one. " * 500, ("Mary",)),
    ],
)
def test_names_are_whole_words_wherever_runs_end(text, names, size) -> None:
    assert heard(text, size) == names


def test_what_was_read_before_counts() -> None:
    mentions = Mentions(NAMES, ["Mary", "Sandra"])
    assert mentions.heard == ("Mary",)
    assert mentions.missing(["Mary", "box", "Sandra"]) == ("box",)  # nobody listens for Sandra
    list(mentions.listen([" A box."]))
    assert mentions.missing(NAMES) == ("box of chocolates", "square")


def test_nothing_is_missing_where_nobody_knows_what_was_read_before() -> None:
    mentions = Mentions(NAMES, None)
    list(mentions.listen([" A box."]))
    assert mentions.heard is None
    assert mentions.missing(NAMES) == ()
