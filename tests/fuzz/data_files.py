"""Damaged data files of every format, without end: what is read of each makes sense, or one sentence says why not."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import tarfile
import tempfile
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat

from mnesis.core.task import Task
from mnesis.tasks.algorithms.list_ops import ListOps
from mnesis.tasks.images.files import read_amat, read_chardata, read_digits, read_idx, read_omniglot
from mnesis.tasks.images.folders import Reading, read_pictures
from mnesis.tasks.language.background import FolderBackground
from mnesis.tasks.language.text import Text
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, load_tokenizer
from mnesis.tasks.language.words import Words
from mnesis.tasks.signals.polyphonic_music import PolyphonicMusic
from mnesis.tasks.signals.series import Series
from mnesis.tasks.signals.spoken_digits import SpokenDigits
from mnesis.tasks.stories.babi.files import read_stories
from tests.fuzz import Input, WrongSuccess

Make = Callable[[Path], Path]
Read = Callable[[Path], Any]
Members = dict[str, bytes]
"""Contents by name."""


class Format(NamedTuple):
    """A small valid file of one kind."""

    name: str
    members: Members
    """What is packed into the file, or stands in it alone."""
    pack: Callable[[Members], Members]
    """The files as they lie in the folder."""
    path: str
    """Of the file or folder to be read."""
    read: Read
    exact: bool = False
    """Whether checksums hold: damage from outside is met, or changes nothing."""


def inputs(seed: int) -> Iterator[Input]:
    """Damaged files of every format in turn."""
    chance, whole = random.Random(seed), formats()
    number = 0
    while True:
        for each in whole:
            number += 1
            yield _damaged(each, random.Random(chance.getrandbits(64)), f"{each.name} {seed}/{number}")


def _damaged(each: Format, chance: random.Random, label: str) -> Input:
    if chance.random() < 0.05:
        return Input(f"{label} no file", lambda folder: _no_file(each, folder, chance), each.read)
    inside = chance.random() < 0.5
    how = chance.choice(_DAMAGE)

    def make(folder: Path) -> Path:
        members = dict(each.members)
        if inside:
            name = chance.choice(sorted(members))
            members[name] = how(members[name], chance)
        files = each.pack(members)
        if not inside:
            name = chance.choice(sorted(files))
            files[name] = how(files[name], chance)
        return _write(files, folder, each.path)

    def read(path: Path) -> Any:
        found = each.read(path)
        sensible(not each.exact or inside or found == _right(each), "what was read is not what was packed")
        return found

    return Input(f"{label} {how.__name__} {'inside' if inside else 'outside'}", make, read)


def write_whole(each: Format, folder: Path) -> Path:
    """The valid files of a format."""
    return _write(each.pack(dict(each.members)), folder, each.path)


def _write(files: Members, folder: Path, path: str) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / path


def sensible(condition: bool, said: str) -> None:
    """Raise where what was read cannot be right."""
    if not condition:
        raise WrongSuccess(said)


_RIGHTS: dict[str, Any] = {}


def _right(each: Format) -> Any:
    """What is read of the undamaged files."""
    if each.name not in _RIGHTS:
        with tempfile.TemporaryDirectory() as folder:
            _RIGHTS[each.name] = each.read(write_whole(each, Path(folder)))
    return _RIGHTS[each.name]


def _no_file(each: Format, folder: Path, chance: random.Random) -> Path:
    """A FIFO, a device, a folder, or a link in a file's place."""
    path = write_whole(each, folder)
    names = [name for name in each.pack(dict(each.members)) if (folder / name).is_file()]
    target = folder / chance.choice(sorted(names))
    target.unlink()
    kind = chance.randrange(6)
    if kind == 0:
        os.mkfifo(target)
    elif kind == 1:
        target.symlink_to("/dev/zero")
    elif kind == 2:
        target.mkdir()
    elif kind == 3:
        target.symlink_to(target.name)  # round and round
    elif kind == 4:
        target.symlink_to("nowhere")
    return path


# How content is damaged.


def flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        changed[chance.randrange(len(changed))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(changed)


def bit_flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def head_flipped(content: bytes, chance: random.Random) -> bytes:
    return flipped(content[:64], chance) + content[64:]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def grown(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.randbytes(chance.choice((1, 4, 100))) + content[place:]


def repeated(content: bytes, chance: random.Random) -> bytes:
    start, stop = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:stop] + content[start:stop] * chance.choice((1, 3, 50)) + content[stop:]


def left_out(content: bytes, chance: random.Random) -> bytes:
    start, stop = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[stop:]


def sized(content: bytes, chance: random.Random) -> bytes:
    """A size in a header, as large as it can be or off by one."""
    if len(content) < 8:
        return content
    place, order = chance.randrange(min(len(content) - 4, 200)), chance.choice("<>")
    (old,) = struct.unpack_from(f"{order}I", content, place)
    new = chance.choice(
        (0, 2**31 - 1, 2**31, 2**32 - 1, 2**30, (old + 1) % 2**32, (old - 1) % 2**32, old * 256 % 2**32)
    )
    return content[:place] + struct.pack(f"{order}I", new) + content[place + 4 :]


def written(content: bytes, chance: random.Random) -> bytes:
    """Something unexpected among words and numbers."""
    words = content.split(b" ")
    odd = (b"nan", b"1e999", b"-1e39", b"9" * 5000, b"\xd9\xa3", b"", b"\0", b"\t", b"\n", b":", b"x" * 10_000, b"1_0")
    words[chance.randrange(len(words))] = chance.choice(odd)
    return b" ".join(words)


def marked(content: bytes, chance: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + content


def in_utf16(content: bytes, chance: random.Random) -> bytes:
    return content.decode("latin-1").encode("utf-16")


def in_latin1(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + b"caf\xe9" + content[place:]


def packed(content: bytes, chance: random.Random) -> bytes:
    return gzip.compress(content)


def emptied(content: bytes, chance: random.Random) -> bytes:
    return b""


_DAMAGE = (
    flipped, flipped, bit_flipped, bit_flipped, head_flipped, head_flipped, cut, cut, grown, repeated, left_out, sized,
    sized, written, written, marked, in_utf16, in_latin1, packed, emptied,
)  # fmt: skip


# The formats.


def formats() -> list[Format]:
    """A small valid file of every kind that is read."""
    return [*_pictures(), *_stories(), *_series(), *_sounds(), *_texts()]


def _alone(name: str) -> Callable[[Members], Members]:
    return lambda members: {name: next(iter(members.values()))}


def _as_they_are(members: Members) -> Members:
    return dict(members)


def _gzipped(members: Members) -> Members:
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in members.items()}


def _zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> Members:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return {"all.zip": file.getvalue()}


def _tarred(members: Members, mode: str) -> Members:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return {f"all.{mode[2:] or 'tar'}": file.getvalue()}


def _idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _read_idx(path: Path) -> Any:
    array = read_idx(path)
    sensible(array.dtype == np.uint8, "bytes of another type")
    return array.tolist()


def _read_pictures(read: Callable[..., Any], **options: Any) -> Read:
    def reading(path: Path) -> Any:
        images = read(path, **options)
        sensible(images.pixels.dtype == torch.uint8, "pixels of another type")
        sensible(len(images.pixels) == len(images.label) > 0, "pictures and labels that differ")
        sensible(not images.binary or int(images.pixels.max()) <= 1, "binary pixels beyond 1")
        return images.pixels.tolist(), images.label.tolist()

    return reading


def _png(seed: int) -> bytes:
    file = io.BytesIO()
    white = np.random.default_rng(seed).integers(2, size=(105, 105), dtype=np.uint8) * 255
    Image.fromarray(white).convert("1").save(file, "png")
    return file.getvalue()


def _mat(values: dict[str, Any], *, compressed: bool) -> bytes:
    file = io.BytesIO()
    savemat(file, values, do_compression=compressed)
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _zipped_as_npz(members: Members) -> Members:
    return {"all.npz": _zipped(members)["all.zip"]}


def _pictures() -> list[Format]:
    random_bits = np.random.default_rng(0)
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    digits = {"images": _idx(pixels), "labels": _idx(np.array([7, 1], np.uint8))}
    rows = random_bits.integers(2, size=(3, 4))
    amat = "\n".join(" ".join(map(str, row)) for row in rows.tolist()).encode() + b"\n"
    chardata = {
        "data": random_bits.random((784, 5)).round(3),
        "target": np.eye(5)[:, [0, 0, 1, 2, 4]],
        "targetchar": np.array([[1, 2, 1, 1, 3]]),
    }
    drawings = {f"x/Greek/character0{n}/000{n}_01.png": _png(n) for n in (1, 2, 3)}
    read_pair = _read_pictures(lambda folder: read_digits(folder / "images.gz", folder / "labels.gz"))
    arrays = {"pixels.npy": _npy(pixels), "label.npy": _npy(np.array([7, 1]))}
    folder = _read_pictures(read_pictures, reading=Reading((12, 12), binary=False))
    omniglot, square = _read_pictures(read_omniglot), _read_pictures(read_amat, side=2)
    formats = [
        Format("idx", {"a": digits["images"]}, _alone("a"), "a", _read_idx),
        Format("idx.gz", {"a": digits["images"]}, _gzipped, "a.gz", _read_idx, exact=True),
        Format("digits", digits, _gzipped, ".", read_pair, exact=True),
        Format("amat", {"a": amat}, _alone("a"), "a", square),
        Format("amat.gz", {"a": amat}, _gzipped, "a.gz", square, exact=True),
        Format("folder of pictures", {f"d/a/{n}.png": _png(n) for n in (1, 2)}, _as_they_are, "d", folder),
        Format("arrays of pictures", arrays, _zipped_as_npz, "all.npz", folder),
        Format("omniglot", drawings, _zipped, "all.zip", omniglot),
        Format("omniglot stored", drawings, lambda m: _zipped(m, zipfile.ZIP_STORED), "all.zip", omniglot),
    ]
    for compressed in (False, True):
        whole = {"a": _mat({"X": rows.astype(np.uint8)}, compressed=compressed)}
        formats.append(Format(f"amat of MATLAB {compressed}", whole, _alone("a"), "a", square))
        whole = {"a": _mat(chardata, compressed=compressed)}
        formats.append(Format(f"chardata {compressed}", whole, _alone("a"), "a", _read_pictures(read_chardata)))
    return formats


def _read_babi(path: Path) -> Any:
    stories = read_stories(path, 1, "train", "en")
    sensible(any(story.questions for story in stories), "stories without questions")
    return stories


def _stories() -> list[Format]:
    text = b"1 Mary moved to the bathroom.\n2 John went to the hallway.\n3 Where is Mary? \tbathroom\t1\n1 Fred left.\n"
    inner = {"tasks/en/qa1_single-supporting-fact_train.txt": text, "tasks/en/qa2_other_train.txt": text}
    return [
        Format("babi.txt", {"a": text}, _alone("qa1_x_train.txt"), "qa1_x_train.txt", _read_babi),
        Format("babi folder", inner, _as_they_are, ".", _read_babi),
        Format("babi.zip", inner, _zipped, "all.zip", _read_babi),
        Format("babi.zip LZMA", inner, lambda m: _zipped(m, zipfile.ZIP_LZMA), "all.zip", _read_babi),
        Format("babi.tar", inner, lambda m: _tarred(m, "w:"), "all.tar", _read_babi),
        Format("babi.tar.gz", inner, lambda m: _tarred(m, "w:gz"), "all.gz", _read_babi, exact=True),
        Format("babi.tar.bz2", inner, lambda m: _tarred(m, "w:bz2"), "all.bz2", _read_babi, exact=True),
        Format("babi.tar.xz", inner, lambda m: _tarred(m, "w:xz"), "all.xz", _read_babi, exact=True),
    ]


def _read_task(make: Callable[[Path], Task], length: int) -> Read:
    def reading(path: Path) -> Any:
        task = make(path)
        episode = task.episodes(2, length, torch.Generator().manual_seed(0))
        sensible(bool(episode.inputs.isfinite().all()), "inputs that are not finite")
        sensible(int(episode.targets.min()) >= 0, "targets below 0")
        sensible(int(episode.targets.max()) < task.vocabulary, "targets beyond the vocabulary")
        sensible(0 < task.chance <= 1, "a chance that is none")
        return task.vocabulary, episode.inputs.tolist(), episode.targets.tolist()

    return reading


def _series() -> list[Format]:
    ts = b"#Made up.\n@problemName Made\n@timeStamps false\n@univariate true\n@classLabel true up down\n@data\n"
    arff = b"%Made up.\n@relation 'Made'\n@attribute att0 numeric\n@attribute target {up,down}\n@data\n"
    contents = {
        ".ts": ts + b"1,2, 4:up\n3.5,-1, NaN,NaN:down\n\n0,?, 1:up\n",
        ".arff": arff + b"1,2, 4,up\n3.5,-1, ?,?,down\n0,?, 1,up\n",
        ".tsv": b"2\t1\t2\t4\n1\t3.5\t-1\tNaN\tNaN\n2\t0\tNaN\t1\n",
        ".txt": b"  2.0000000e+00  1.0 2.0 4.0\n 1.0000000e+00,3.5,-1,NaN,NaN\n2.0,0,NaN,1\n",
    }
    channels = {".ts": ts + b"1,2:3,4:5,6:up\n7,8,9:1,1,1:2,2,2:down\n"}
    read = _read_task(lambda folder: Series("Made", folder), 3)
    return [
        Format(f"series{suffix}", {f"Made_TRAIN{suffix}": content}, _as_they_are, ".", read)
        for suffix, content in (*contents.items(), *channels.items())
    ]


def _sound(seed: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setparams((1, 2, 8000, 0, "NONE", ""))
        recording.writeframes(np.random.default_rng(seed).integers(-3000, 3000, 300, dtype=np.int16).tobytes())
    return file.getvalue()


def _sounds() -> list[Format]:
    recordings = {f"recordings/{digit}_ann_{take}.wav": _sound(digit) for digit in (3, 8) for take in (0, 5, 10)}
    rolls = np.zeros((3, 88), np.uint8)
    rolls[0, [10, 20]] = rolls[2, 87] = 1
    pieces = np.empty((1, 2), object)
    pieces[0, :] = [rolls, rolls[:2]]
    music = {"traindata": pieces, "validdata": pieces, "testdata": pieces}
    frames, play = _read_task(SpokenDigits, 5), _read_task(PolyphonicMusic, 5)
    return [
        Format("wav folder", recordings, _as_they_are, ".", frames),
        Format("wav zip", recordings, _zipped, "all.zip", frames),
        *(
            Format(
                f"piano rolls {compressed}", {"a": _mat(music, compressed=compressed)}, _alone("a.mat"), "a.mat", play
            )
            for compressed in (False, True)
        ),
    ]


def _read_tokenizer(folder: Path) -> Any:
    tokenizer = load_tokenizer(folder)
    ids = tokenizer.encode("Some text")
    sensible(tokenizer.decode(ids) == "Some text", "text that is not decoded as it was")
    sensible(max(ids) < tokenizer.vocabulary, "ids beyond the vocabulary")
    return ids


def _read_books(folder: Path) -> Any:
    background = FolderBackground(folder, ByteTokenizer(), minimum_tokens=1)
    sensible(len(background.pieces) > 0, "a background without text")
    return background.pieces.tokens.tolist()


def _texts() -> list[Format]:
    words = {
        f"ptb.{part}.txt": b"the cat saw the dog\n the dog ran \n\nthe cat\n" for part in ("train", "valid", "test")
    }
    rows = b"".join(b"%d\t( ( ( [MAX 2 ) %d ) ] )\n" % (9, 9) for _ in range(12))
    arena = b"Source\tTarget\n" + b"( ( ( [MIN 2 ) 9 ) ] )\t2\n" * 12
    tokenizer = BPETokenizer.train(["some text that is long enough to have merges"], 300).serialize().encode()
    byte_level = json.dumps({"version": "1.0", "model": {"type": "Byte"}}).encode()
    book = '*** START OF THE PROJECT GUTENBERG EBOOK ***\nIt was a café. "Why?" he asked.\n\nNobody knew.\n'.encode()
    read_words, read_rows = _read_task(Words, 3), _read_task(lambda path: ListOps(train=path), 8)
    return [
        Format("words folder", words, _as_they_are, ".", read_words),
        Format("words zip", words, _zipped, "all.zip", read_words),
        Format("list-ops", {"a": rows}, _alone("a.tsv"), "a.tsv", read_rows),
        Format("list-ops of the Arena", {"a": arena}, _alone("a.tsv"), "a.tsv", read_rows),
        Format("text", {"a": b"It was the best of times. " * 40}, _alone("a.txt"), "a.txt", _read_task(Text, 5)),
        Format("book", {"1.txt": book}, _as_they_are, ".", _read_books),
        Format("tokenizer", {"tokenizer.json": tokenizer}, _as_they_are, ".", _read_tokenizer),
        Format("byte tokenizer", {"tokenizer.json": byte_level}, _as_they_are, ".", _read_tokenizer),
    ]
