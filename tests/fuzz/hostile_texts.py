"""Texts, series and sounds made to run a reader out of time, memory or sense, and what they have to be met with."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnesis.tasks.algorithms.list_ops import ListOps
from mnesis.tasks.language.background import FolderBackground
from mnesis.tasks.language.text import Text
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, load_tokenizer
from mnesis.tasks.language.words import Words
from mnesis.tasks.signals.series import Series
from mnesis.tasks.signals.spoken_digits import SpokenDigits
from mnesis.tasks.stories.babi.files import read_stories
from tests.fuzz import Input
from tests.hostile import MEGABYTE, Content, Hostile, bomb, drawn, zipped


def inputs(seed: int) -> Iterator[Input]:
    """All of them, in an order that the seed draws."""
    return drawn(hostile(), seed)


def hostile() -> list[Hostile]:
    """Every one."""
    return [*_babi(), *_series(), *_sounds(), *_texts(), *_tokenizers()]


STORY = b"1 Mary moved to the bathroom.\n2 Where is Mary? \tbathroom\t1\n"
QA1 = "tasks/en-10k/qa1_single-supporting-fact_train.txt"


def tar(entry: tarfile.TarInfo, content: bytes = b"", mode: str = "w:gz") -> bytes:
    """An archive with one member, whatever it is."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _entry(kind: bytes, size: int = 0, name: str = QA1) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, size, "../../etc/passwd"
    return entry


def _tar_header(kind: bytes, size: int) -> bytes:
    return _entry(kind, size).tobuf(tarfile.USTAR_FORMAT if size >= 0 else tarfile.GNU_FORMAT)


def _babi() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return read_stories(folder / "a", 1)

    def in_folder(folder: Path) -> Any:
        return read_stories(folder, 1)

    def text(folder: Path) -> Any:
        return read_stories(folder / "qa1_a.txt", 1)

    whole = zipped(QA1, STORY, zipfile.ZIP_STORED)
    torn = whole.replace(b"bathroom", b"BATHROOM", 1)
    endless = gzip.compress(_tar_header(tarfile.REGTYPE, 2**32) + STORY)
    digits = _tar_header(tarfile.XHDTYPE, 2**27) + b"1" * 2**20
    return [
        Hostile(
            "stories with a bad CRC",
            {"a": torn},
            read,
            r"/a: .*_train.txt is not whole \(Bad CRC-32.*\); get the file again",
        ),
        Hostile("stories without an end", {"a": whole[:-30]}, read, r"/a is no whole zip \(.*\); get the file again"),
        Hostile(
            "stories of 300 MB",
            {"a": lambda: zipped(QA1, lambda: iter(300 * [b"1 a\n" * 2**18]))},
            read,
            "promises 314,572,800 bytes, and 16,",
        ),
        Hostile(
            "stories in a link",
            {"a": tar(_entry(tarfile.SYMTYPE))},
            read,
            "/a: .*_train.txt is a link or a device; give an arch",
        ),
        Hostile(
            "stories in a FIFO in tar",
            {"a": tar(_entry(tarfile.FIFOTYPE))},
            read,
            "/a: .*_train.txt is a link or a device; give",
        ),
        Hostile(
            "stories in a device in tar",
            {"a": tar(_entry(tarfile.CHRTYPE))},
            read,
            "/a: .*_train.txt is a link or a device; giv",
        ),
        Hostile(
            "stories of 4 GB in tar",
            {"a": endless},
            read,
            "/a: .*_train.txt promises 4,294,967,296 bytes, and 536,870,912 are",
        ),
        Hostile(
            "stories of -1 bytes in tar",
            {"a": gzip.compress(_tar_header(tarfile.REGTYPE, -1))},
            read,
            "a file has a size of -1",
        ),
        Hostile(
            "digits in a header of tar", {"a": gzip.compress(digits)}, read, "/a has a name of 134,217,728 bytes; give"
        ),
        Hostile(
            "a tar of headers",
            {"a": lambda: gzip.compress(_tar_header(tarfile.REGTYPE, 0) * 70_000)},
            read,
            "/a holds (a file twice|more than 65,536)",
        ),
        Hostile(
            "tar cut off",
            {"a": tar(_entry(tarfile.REGTYPE, len(STORY)), STORY)[:-20]},
            read,
            "/a is no whole tar archive",
        ),
        Hostile(
            "stories in a FIFO",
            {"qa1_a.txt": None},
            text,
            "/qa1_a.txt is no file, but a device, a FIFO or a socket; give",
        ),
        Hostile(
            "stories in a FIFO in a folder", {QA1: None}, in_folder, "_train.txt is no file, but a device, a FIFO or a"
        ),
        Hostile(
            "stories in Latin-1",
            {"a": zipped(QA1, b"1 Mary moved to the caf\xe9.\n")},
            read,
            r"/a: .* is not UTF-8 \(byte 0xE9 at offset 23\); c",
        ),
        Hostile(
            "a line number of 6000 digits",
            {"qa1_a.txt": b"1" * 6000 + b" Mary.\n"},
            text,
            r"starts with '1+\.\.\.1+', but a line starts",
        ),
        Hostile(
            "stories of odd names",
            {"a": zipped("qa1_" + "_" * 65_000 + "!.txt", STORY)},
            read,
            r"/a has no 'train' file of task 1",
        ),
    ]


TS = b"@classLabel true up down\n@data\n"


def _series() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return Series("Made", folder)

    def made(content: Content, suffix: str = "ts") -> dict[str, Content]:
        return {f"Made_TRAIN.{suffix}": content}

    return [
        Hostile(
            "series in a FIFO", made(None), read, "Made_TRAIN.ts is no file, but a device, a FIFO or a socket; give"
        ),
        Hostile(
            "series that are infinite",
            made(TS + b"1,1e999:up\n"),
            read,
            r"Made_TRAIN.ts, line 3: a value is beyond 1e\+38; give",
        ),
        Hostile(
            "series beyond float32",
            made(TS + b"1,-1e39:up\n"),
            read,
            r"Made_TRAIN.ts, line 3: a value is beyond 1e\+38; give",
        ),
        Hostile(
            "series of Python's numbers",
            made(TS + b"1,1_0:up\n"),
            read,
            "Made_TRAIN.ts, line 3: '1_0' is no number; give",
        ),
        Hostile(
            "series without a class",
            made(TS + b"1,2:up\n1,2:\n"),
            read,
            "Made_TRAIN.ts, line 4: there is no class; give",
        ),
        Hostile(
            "classes in Latin-1",
            made(b"#caf\xe9\n" + TS + b"1,2:\xe9\n"),
            read,
            r"Made_TRAIN.ts is not UTF-8 \(byte 0xE9 at offset 41\)",
        ),
        Hostile(
            "series in UTF-16",
            made("1\t2\t3\n".encode("utf-16"), "tsv"),
            read,
            r"Made_TRAIN.tsv is not UTF-8 \(byte 0xFF at",
        ),
        Hostile(
            "series of a long word",
            made(b"1\t" + b"9" * 10**6 + b"x\n", "tsv"),
            read,
            "Made_TRAIN.tsv, line 1: could not convert",
        ),
        Hostile("no series", made(TS), read, r"Made_TRAIN.ts has series of \[\] channels; give a file where"),
        Hostile(
            "series bomb",
            made(lambda: bomb(b"1\t2\n", 1500), "tsv"),
            read,
            "Made_TRAIN.tsv holds more than 134,217,728 bytes; unpack",
        ),
    ]


def recording(samples: int = 300) -> bytes:
    """A second or less of noise."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 8000, 0, "NONE", ""))
        written.writeframes(np.random.default_rng(0).integers(-3000, 3000, samples, dtype=np.int16).tobytes())
    return file.getvalue()


def _sounds() -> list[Hostile]:
    def read(folder: Path) -> Any:
        return SpokenDigits(folder)

    def archive(folder: Path) -> Any:
        return SpokenDigits(folder / "a.zip")

    whole, name = recording(), "3_ann_10.wav"
    place = whole.index(b"data") + 4
    more = whole[:place] + struct.pack("<I", 2**31) + whole[place + 4 :]
    return [
        Hostile(
            "sound that promises 2 GB", {name: more}, read, "3_ann_10.wav promises 1,073,741,824 samples and holds 300"
        ),
        Hostile(
            "sound of half a sample",
            {name: whole[:-1]},
            read,
            r"3_ann_10.wav promises 300 samples and holds 299.5; get",
        ),
        Hostile(
            "sound in a FIFO", {name: None}, read, "3_ann_10.wav is no file, but a device, a FIFO or a socket; get"
        ),
        Hostile(
            "sound without channels",
            {name: whole[:22] + b"\0\0" + whole[24:]},
            read,
            r"3_ann_10.wav is no WAV file that can be",
        ),
        Hostile(
            "sound bomb",
            {"a.zip": lambda: zipped(name, lambda: iter(300 * [MEGABYTE]))},
            archive,
            "promises 314,572,800 bytes, and 4,194",
        ),
        Hostile(
            "take of 6000 digits",
            {"a.zip": zipped("3_ann_" + "1" * 6000 + ".wav", whole)},
            archive,
            "a.zip holds no take of the",
        ),
    ]


def _texts() -> list[Hostile]:
    def words(folder: Path) -> Any:
        return Words(folder)

    def zipped_words(folder: Path) -> Any:
        return Words(folder / "a.zip")

    def rows(folder: Path) -> Any:
        return ListOps(train=folder / "a")

    def text(folder: Path) -> Any:
        return Text(folder / "a")

    def book(folder: Path) -> Any:
        return FolderBackground(folder, ByteTokenizer(), minimum_tokens=1)

    marked = "\ufeffMary ".encode() + b"caf\xe9."
    return [
        Hostile(
            "words in Latin-1",
            {"train.txt": b"the caf\xe9\n"},
            words,
            r"train.txt is not UTF-8 \(byte 0xE9 at offset 7\); convert it to",
        ),
        Hostile(
            "words in Latin-1 behind a mark",
            {"train.txt": marked},
            words,
            r"train.txt is not UTF-8 \(byte 0xE9 at offset 11\)",
        ),
        Hostile(
            "words in UTF-16",
            {"train.txt": "the cat".encode("utf-16")},
            words,
            r"train.txt is not UTF-8 \(byte 0xFF at offset 0\)",
        ),
        Hostile(
            "words in a FIFO", {"train.txt": None}, words, "train.txt is no file, but a device, a FIFO or a socket; get"
        ),
        Hostile(
            "words bomb",
            {"a.zip": lambda: zipped("train.txt", lambda: iter(300 * [b"a " * 2**19]))},
            zipped_words,
            "promises 314,572,800 bytes, and 67,108",
        ),
        Hostile(
            "no words in a zip",
            {"a.zip": zipped("train.txt", b"\n")},
            zipped_words,
            "a.zip: train.txt holds no word; give a text",
        ),
        Hostile(
            "rows in a FIFO",
            {"a": None},
            rows,
            "/a is no file, but a device, a FIFO or a socket; give one of rows, or none",
        ),
        Hostile(
            "row of 6000 digits",
            {"a": b"9" * 6000 + b"\t[MAX 1 2 ]\n"},
            rows,
            r"/a, line 1: '9+\.\.\.9*\\t.*\]' is no value, tab and",
        ),
        Hostile(
            "rows that do not close",
            {"a": b"2\t[MAX 1 2 ]\n" * 20 + b"9\t[MAX 9\n"},
            rows,
            "/a: brackets of expression 21 do not",
        ),
        Hostile(
            "rows that close twice",
            {"a": b"2\t[MAX 1 2 ] 3\n" * 20},
            rows,
            "/a: brackets of expression 1 do not match; give",
        ),
        Hostile(
            "rows of nothing",
            {"a": b"2\t[MAX [MIN ] 2 ]\n" * 20},
            rows,
            "/a: brackets of expression 1 do not match; give",
        ),
        Hostile(
            "rows in UTF-16",
            {"a": "2\t[MAX 1 2 ]".encode("utf-16")},
            rows,
            r"/a is not UTF-8 \(byte 0xFF at offset 0\); convert",
        ),
        Hostile(
            "text in a FIFO",
            {"a": None},
            text,
            "/a is no file, but a device, a FIFO or a socket; give the path of a text, or",
        ),
        Hostile(
            "text of a mark",
            {"a": "\ufeff".encode()},
            text,
            "/a holds 0 different bytes; a text to learn has two or more",
        ),
        Hostile(
            "book in a FIFO",
            {"a.txt": None},
            book,
            "a.txt is no file, but a device, a FIFO or a socket; name a readable .txt",
        ),
        Hostile(
            "book in UTF-16",
            {"a.txt": "One. Two.".encode("utf-16")},
            book,
            "a.txt holds NUL bytes, so it is no plain text; unpack",
        ),
        Hostile(
            "book in Latin-1 behind a mark",
            {"a.txt": marked},
            book,
            r"a.txt is not UTF-8 \(byte 0xE9 at offset 11\); convert",
        ),
    ]


def _tokenizers() -> list[Hostile]:
    whole = json.loads(BPETokenizer.train(["some text to merge, some text"], 270).serialize())

    def changed_json(**other: Any) -> dict[str, Content]:
        return {"tokenizer.json": json.dumps({**whole, **other}).encode()}

    def model(**other: Any) -> dict[str, Content]:
        return changed_json(model={**whole["model"], **other})

    tokens = dict(whole["model"]["vocab"])
    far = {**tokens, max(tokens, key=tokens.__getitem__): 10**6}
    lacking = {token: number for number, token in enumerate(token for token in tokens if token not in ("e", "te"))}
    return [
        Hostile(
            "merges of nothing",
            model(merges=[["zz", "yy"]]),
            load_tokenizer,
            r"tokenizer.json: this is no tokenizer that can be read \(",
        ),
        Hostile(
            "merges of three", model(merges=[["a", "b", "c"]]), load_tokenizer, "this is no tokenizer that can be read"
        ),
        Hostile("vocabulary of text", model(vocab={"a": "x"}), load_tokenizer, "this is no tokenizer that can be read"),
        Hostile(
            "no vocabulary",
            changed_json(model={"type": "BPE"}),
            load_tokenizer,
            "this is no tokenizer that can be read",
        ),
        Hostile(
            "unknown pieces",
            changed_json(pre_tokenizer={"type": "Nobody's"}),
            load_tokenizer,
            "this is no tokenizer that can be",
        ),
        Hostile(
            "ids with gaps",
            model(vocab=far, merges=[]),
            load_tokenizer,
            r"tokens, but ids up to 1,000,000; number them from 0 on",
        ),
        Hostile(
            "bytes that are not there",
            model(vocab=lacking, merges=[]),
            load_tokenizer,
            "this tokenizer cannot spell every text",
        ),
        Hostile(
            "text that is changed",
            changed_json(normalizer={"type": "Lowercase"}),
            load_tokenizer,
            "cannot spell every text",
        ),
        Hostile(
            "tokenizer in UTF-16",
            {"tokenizer.json": json.dumps(whole).encode("utf-16")},
            load_tokenizer,
            r"not UTF-8 \(byte 0xFF at",
        ),
        Hostile(
            "deep JSON",
            {"tokenizer.json": b'{"model":' + b"[" * 10**5 + b"]" * 10**5 + b"}"},
            load_tokenizer,
            "tokenizer.json is nested deeper than",
        ),
        Hostile(
            "half a tokenizer",
            {"tokenizer.json": json.dumps(whole).encode()[:-5]},
            load_tokenizer,
            "tokenizer.json is not whole JSON",
        ),
        Hostile(
            "tokenizer in a FIFO",
            {"tokenizer.json": None},
            load_tokenizer,
            "tokenizer.json is no file, but a device, a FIFO or",
        ),
        Hostile(
            "no tokenizer",
            {"tokenizer.json": b'{"model": 5}'},
            load_tokenizer,
            r"not a tokenizer file \(JSON with model.type\); save",
        ),
    ]
