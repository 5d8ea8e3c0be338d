"""A byte order mark changes no data, and line ends of other systems neither."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mnesis.core.task import Task
from mnesis.tasks.algorithms.list_ops import ListOps
from mnesis.tasks.images.files import read_amat
from mnesis.tasks.language.sentences import read_book
from mnesis.tasks.language.text import Text
from mnesis.tasks.language.tokenizer import ByteTokenizer, load_tokenizer
from mnesis.tasks.language.words import Words
from mnesis.tasks.signals.series import Series
from mnesis.tasks.stories.babi.files import read_stories

MARK = b"\xef\xbb\xbf"


def drawn(task: Task) -> tuple[Any, ...]:
    episode = task.episodes(4, 8, torch.Generator().manual_seed(0))
    return task.vocabulary, task.chance, episode.inputs.tolist(), episode.targets.tolist()


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for file in sorted(folder.glob("*.txt")):
            archive.write(file, file.name)
    return folder / "all.zip"


def tokens(folder: Path) -> list[int]:
    tokenizer = load_tokenizer(folder)
    assert isinstance(tokenizer, ByteTokenizer)
    return tokenizer.encode("é")


ROWS = b"".join(b"%d\t%d.0\t2.0\t3.0\n" % (1 + i % 2, i) for i in range(20))
TS = b"@data\n1,2,3:up\n3,1,2:down\n"
WORDS = b"the cat saw the dog\n the dog ran \n\nthe cat\n"
STORIES = b"1 Mary moved to the bathroom.\n2 Where is Mary? \tbathroom\t1\n"
READERS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "series .tsv": ("Toy_TRAIN.tsv", ROWS, lambda folder: drawn(Series("Toy", folder))),
    "series .ts": ("Toy_TRAIN.ts", TS, lambda folder: drawn(Series("Toy", folder))),
    "series .ts after remarks": ("Toy_TRAIN.ts", b"#Made up.\n" + TS, lambda folder: drawn(Series("Toy", folder))),
    "words": ("train.txt", WORDS, lambda folder: drawn(Words(folder))),
    "words in a zip": ("train.txt", WORDS, lambda folder: drawn(Words(zipped(folder)))),
    "words to train on": ("train.txt", WORDS, lambda folder: drawn(Words(folder, train=folder / "train.txt"))),
    "text": ("a.txt", WORDS * 9, lambda folder: drawn(Text(folder / "a.txt"))),
    "list-ops": ("a.tsv", b"2\t[MAX 1 2 ]\n" * 20, lambda folder: drawn(ListOps(train=folder / "a.tsv"))),
    "list-ops of the Arena": (
        "a.tsv",
        b"Source\tTarget\n" + b"[MAX 1 2 ]\t2\n" * 20,
        lambda folder: drawn(ListOps(train=folder / "a.tsv")),
    ),
    "stories": ("qa1_train.txt", STORIES, lambda folder: read_stories(folder / "qa1_train.txt", 1)),
    "rows of pixels": ("a", b"0 1 1 0\n1 0 0 1\n", lambda folder: read_amat(folder / "a", side=2).pixels.tolist()),
    "book": ("a.txt", "Café. It was.\n".encode(), lambda folder: read_book(folder / "a.txt")),
    "tokenizer": ("tokenizer.json", b'{"version": "1.0", "model": {"type": "Byte"}}', tokens),
}


@pytest.mark.parametrize("name", READERS)
def test_a_byte_order_mark_is_no_data(name, tmp_path) -> None:
    file, content, read = READERS[name]
    found = []
    for number, mark in enumerate((b"", MARK)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / file).write_bytes(mark + content)
        found.append(read(folder))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", sorted(set(READERS) - {"text"}))  # whose tokens are bytes
def test_line_ends_of_other_systems_say_the_same(name, tmp_path) -> None:
    file, content, read = READERS[name]
    found = []
    for number, end in enumerate((b"\n", b"\r\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / file).write_bytes(content.replace(b"\n", end))
        found.append(read(folder))
    assert found[0] == found[1]


def test_the_first_class_of_a_marked_file_is_no_other(tmp_path) -> None:
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Toy_{part}.tsv").write_bytes(MARK + ROWS)
    task = Series("Toy", tmp_path)
    assert (task.vocabulary, task.classes) == (2, ("1", "2"))
    assert task.unseen("test").label.tolist() == [0, 1] * 10


def test_remarks_of_a_file_may_be_in_any_encoding(tmp_path) -> None:
    """As are those of some of the archive's; data must be UTF-8."""
    (tmp_path / "Toy_TRAIN.ts").write_bytes(b"#Andr\xe9's heart\n" + TS)
    assert Series("Toy", tmp_path).classes == ("down", "up")


def test_a_word_of_a_megabyte_costs_a_megabyte(tmp_path) -> None:
    """The words of a text once stood in one array as wide as the longest."""
    (tmp_path / "train.txt").write_text(" ".join([*map(str, range(5000)), "x" * 10**6]), encoding="utf-8")
    task = Words(tmp_path)
    assert task.vocabulary == 5003
    assert task.alphabet.nbytes < 10**5
    assert task.decode(task.tokens[-2:]) == "x" * 10**6 + " <eos>"


def test_many_classes_are_no_trouble(tmp_path) -> None:
    """A class a row, of which each was once looked for in all the others."""
    rows = "".join(f"{number}\t1\t2\n" for number in range(20_000))
    (tmp_path / "Toy_TRAIN.tsv").write_text(rows, encoding="utf-8")
    task = Series("Toy", tmp_path)
    assert task.vocabulary == 20_000
    assert task.label.tolist() == list(range(20_000))
