"""Text as tokens in constant memory, whatever the text is and wherever its blocks end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import pytest

from mnesis.tasks.language import plain_text
from mnesis.tasks.language.plain_text import BLOCK, LONGEST, MARK, PlainText, chunks, stretches
from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.tokenizer import BPETokenizer

SPACES = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000"
ENDLESS = {
    "lines": b"kitchen\n",
    "crlf": b"kitchen\r\n",
    "word": b"k",
    "spaces": b" ",
    "cjk": "\u6f22\u5b57".encode(),
    "marks": MARK.encode(),
    "nul": b"\0",
}
"""Texts that hold no plain space, or nothing else."""


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    return list(islice(Prose().sentences(3), 600))


@pytest.fixture(scope="module")
def tokenizer(sentences: list[str]) -> BPETokenizer:
    return BPETokenizer.train(sentences, 600)


def in_blocks(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def read(path: Path | str) -> str:
    with PlainText(str(path)) as source:
        return "".join(stretches(source.blocks()))


def test_normal_text_has_the_tokens_of_its_words_with_a_space_before_each(sentences, tokenizer, tmp_path) -> None:
    for between in (" ", "\n", "\r\n", "\n\n", "\t"):
        (tmp_path / "text.txt").write_text(between.join(sentences), newline="")
        with PlainText(str(tmp_path / "text.txt")) as source:
            found = [token for chunk in chunks(stretches(source.blocks()), tokenizer.encode, 100) for token in chunk]
        assert found == tokenizer.encode(" " + " ".join(sentences))


def test_any_white_space_ends_a_word(tokenizer) -> None:
    text = "".join(f"word{number}{space}" for number, space in enumerate(SPACES))
    assert "".join(stretches([text])) == "".join(f" word{number}" for number in range(len(SPACES)))
    assert list(stretches([SPACES])) == []


def test_tokens_do_not_depend_on_where_blocks_end(tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(plain_text, "LONGEST", 7)
    draw = random.Random(0)
    alphabet = ["a", "b", "\u00e9", "\u6f22", "\U0001f642", " ", "\n", "\u3000", "'s", "."]
    for length in (1, 6, 7, 8, 14, 15, 60, 300):
        text = "".join(draw.choices(alphabet, k=length))
        for words in (text, text.replace(" ", "").replace("\n", "")):
            whole = [token for run in stretches([words]) for token in tokenizer.encode(run)]
            for size in (1, 2, 3, 5, 6, 7, 8, 13, 14, 100):
                runs = stretches(in_blocks(words, size))
                assert [token for run in runs for token in tokenizer.encode(run)] == whole


def test_long_words_are_cut_at_a_stated_length() -> None:
    word = "".join(chr(ord("a") + number % 26) for number in range(2 * LONGEST + 5))
    runs = list(stretches(in_blocks(f"the {word} end", BLOCK)))
    assert runs == [f" the {word[:LONGEST]}", word[LONGEST : 2 * LONGEST], word[2 * LONGEST :], " end"]
    assert list(stretches(in_blocks(word[:LONGEST], 1000))) == [" " + word[:LONGEST]]


def test_chunks_have_their_size() -> None:
    texts = ["abc", "", "defgh", "i"]
    encode = lambda text: [ord(letter) for letter in text]  # noqa: E731
    for size in (1, 2, 4, 9, 50):
        found = list(chunks(texts, encode, size))
        assert [token for chunk in found for token in chunk] == encode("abcdefghi")
        assert {len(chunk) for chunk in found[:-1]} <= {size}
        assert 1 <= len(found[-1]) <= size


def test_byte_order_marks_are_no_text(tmp_path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfMary went.\n\xef\xbb\xbfJohn went.\n")
    assert read(tmp_path / "text.txt") == " Mary went. John went."


@pytest.mark.parametrize("before", [0, 1, 2, BLOCK - 2, BLOCK - 1, BLOCK, 3 * BLOCK + 17, 208_003])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"\xff", "invalid start byte"),
        (b"\xe6\xbc", "unexpected end of data"),
        (b"\xe6\xbc(", "invalid continuation byte"),
    ],
)
def test_bytes_that_are_not_utf8_are_found_where_they_are(tmp_path, before, wrong, reason) -> None:
    (tmp_path / "text.txt").write_bytes(b"a " * (before // 2) + b"a" * (before % 2) + wrong)
    with pytest.raises(ValueError, match=f"not UTF-8 text .*{reason} at byte {before:,}"):
        read(tmp_path / "text.txt")


def test_letters_may_lie_across_blocks(tmp_path) -> None:
    text = "\u6f22\U0001f642" * BLOCK
    (tmp_path / "text.txt").write_text("x" + text)
    assert read(tmp_path / "text.txt") == " x" + text


def test_pipes_and_descriptors_are_read(tmp_path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    thread = threading.Thread(target=lambda: fifo.write_text("Mary went. " * 9000))
    thread.start()
    with PlainText(str(fifo)) as source:
        assert source.size is None
        assert "".join(stretches(source.blocks())) == " Mary went." * 9000
        assert source.read == 9000 * 11
    thread.join()
    reading, writing = os.pipe()
    os.write(writing, b"John went.")
    os.close(writing)
    assert read(f"/dev/fd/{reading}") == " John went."
    os.close(reading)


def test_whoever_asks_may_end_it_where_no_word_ends(tmp_path) -> None:
    (tmp_path / "text.txt").write_bytes(b" " * 10 * BLOCK)
    asked = iter([False] * 3 + [True])

    def enough() -> None:
        if next(asked):
            raise InterruptedError

    with PlainText(str(tmp_path / "text.txt")) as source:
        with pytest.raises(InterruptedError):
            list(stretches(source.blocks(enough)))
        assert source.read == 3 * BLOCK


def test_whoever_waits_may_end_it() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"Mary went to ")
    seen: list[str] = []

    def enough() -> None:
        if seen:
            raise InterruptedError(", ".join(seen))

    with PlainText(f"/dev/fd/{reading}") as source, pytest.raises(InterruptedError, match="Mary went to"):
        seen.extend(source.blocks(enough))
    for number in (reading, writing):
        os.close(number)


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("missing", FileNotFoundError, "no file at"),
        ("", ValueError, "is a folder"),
        ("text/below", OSError, "text/below"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, name, kind, sentence) -> None:
    (tmp_path / "text").touch()
    with pytest.raises(kind, match=sentence):
        PlainText(str(tmp_path / name))


@pytest.mark.parametrize("kind", ENDLESS)
def test_runs_are_short_whatever_the_text_is(kind, tmp_path) -> None:
    size = 1 << 20
    unit = ENDLESS[kind]
    (tmp_path / "text.txt").write_bytes(unit * (size // len(unit)))
    with PlainText(str(tmp_path / "text.txt")) as source:
        lengths = [len(run) for run in stretches(source.blocks())]
    assert max(lengths, default=0) <= BLOCK + LONGEST + 1
    letters = unit.decode().replace(MARK, "")
    expected = 0 if not letters.strip() else size // len(unit) * (len(letters.split()[0]) + letters[-1].isspace())
    assert sum(lengths) == expected + bool(expected and not letters[-1].isspace())


GROWTH = """
import sys
from mnesis.measure.resident import give_back, own_bytes
from mnesis.tasks.language.plain_text import PlainText, chunks, stretches
from mnesis.tasks.language.tokenizer import load_tokenizer

tokenizer, counts, first, peak = load_tokenizer(sys.argv[1]), 0, None, 0
with PlainText("-") as source:
    for number, chunk in enumerate(chunks(stretches(source.blocks()), tokenizer.encode, 512)):
        if number % 200 == 0:
            give_back() if first is None else None
            peak = max(peak, own_bytes())
            first = peak if first is None else first
print(peak - (first or 0), source.read)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_two_hundred_megabytes_of_anything_take_no_memory(kind, tokenizer, tmp_path) -> None:
    tokenizer.save(tmp_path)
    unit = ENDLESS[kind]
    block = unit * ((1 << 20) // len(unit))
    process = subprocess.Popen(
        [sys.executable, "-c", GROWTH, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(200):
        process.stdin.write(block)
    process.stdin.close()
    growth, size = map(int, process.stdout.read().split())
    assert process.wait() == 0
    assert size == 200 * len(block)
    assert growth < 50 * 2**20
