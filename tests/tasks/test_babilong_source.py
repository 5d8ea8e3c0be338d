"""Where a run's data come from: what a file says of it is examined, and sends nobody to a network."""

from __future__ import annotations

import pytest

from mnesis.tasks.language.background import ProseBackground
from mnesis.tasks.language.tokenizer import ByteTokenizer
from mnesis.tasks.stories.babilong import source as babilong_source
from mnesis.tasks.stories.babilong.source import BABILongSource


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The data sets that somebody went to the hub for."""
    names: list[str] = []

    def background(name: str, tokenizer: ByteTokenizer, *, split: str) -> ProseBackground:
        names.append(name)
        return ProseBackground(tokenizer)

    monkeypatch.setattr(babilong_source, "HubBackground", background)
    return names


@pytest.mark.parametrize("background", ["hub:some/books", "prose,hub:some/books"])
def test_a_file_sends_nobody_to_a_network(background, asked) -> None:
    source = BABILongSource.from_json(BABILongSource(background=background).as_json())
    sentence = "background = 'hub:some/books' stands in a file, and nothing goes to a network .*; give --background hub"
    for split in ("train", "test"):
        with pytest.raises(ValueError, match=sentence):
            source.open(ByteTokenizer(), split=split)
    assert asked == []
    BABILongSource(background=background).open(ByteTokenizer())
    assert asked == ["some/books"]


def test_what_is_written_is_read_back() -> None:
    source = BABILongSource(3, "stories.zip", "en", "books", ("a.txt", "b.txt"), 600)
    assert BABILongSource.from_json(source.as_json()) == source
    assert set(source.as_json()) == {"number", "stories", "variant", "background", "held_out", "vocabulary"}
    assert BABILongSource.from_json({}) == BABILongSource()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (5, "5 is not a mapping"),
        ([], r"\[\] is not a mapping"),
        (None, "None is not a mapping"),
        ({"background": 5}, "background=5 is not text"),
        ({"held_out": "a.txt"}, "held_out='a.txt' is not a list"),
        ({"held_out": [5]}, r"held_out\[0\] 5 is not text"),
        ({"vocabulary": True}, "vocabulary=True is not a whole number"),
        ({"number": 1.5}, "number=1.5 is not a whole number"),
        ({"colour": "red"}, "it has an entry 'colour' that does not belong there"),
        ({"from_file": False}, "it has an entry 'from_file' that does not belong there"),
    ],
)
def test_other_values_are_one_sentence(values, message) -> None:
    with pytest.raises(ValueError, match=f"^this is no BABILong source: {message}; it takes number, stories"):
        BABILongSource.from_json(values)
