"""Pictures of one's own: folders, arrays and single pictures become sets of pictures, or one sentence says why not."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnesis.tasks.images.folders import Reading, read_pictures, resized
from mnesis.tasks.images.glyphs import draw_glyphs
from mnesis.tasks.images.sources import PictureSource, lesson_sizes, split_classes
from tests.hostile import zipped

SIDE = 12


def write(path: Path, pixels: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def folder_of(place: Path, classes: int = 4, drawings: int = 3, *, ending: str = "png", light: bool = True) -> Path:
    """Glyphs as files, and what they should be read as beside them."""
    glyphs = draw_glyphs(classes, drawings, seed=5)
    for index, (pixels, label) in enumerate(zip(glyphs.pixels.numpy(), glyphs.label.tolist(), strict=True)):
        ink = 255 * pixels
        write(place / f"sign{label}" / f"{index % drawings}.{ending}", 255 - ink if light else ink)
    return place


def grey(value: int = 255, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Paper with a square of ink."""
    pixels = np.full(size, value, np.uint8)
    pixels[4:8, 4:8] = 255 - value
    return pixels


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "webp", "jpg", "JPEG"])
def test_a_folder_is_read_with_ink_high(tmp_path, ending) -> None:
    images = read_pictures(folder_of(tmp_path, ending=ending), Reading(threshold=0.5))
    glyphs = draw_glyphs(4, 3, seed=5)
    assert (images.classes, images.groups) == (4, ("sign0", "sign1", "sign2", "sign3"))
    assert images.label.tolist() == glyphs.label.tolist()
    lossy = ending in ("jpg", "JPEG", "webp")
    assert float((images.pixels != glyphs.pixels).float().mean()) <= (0.02 if lossy else 0)
    assert images.binary
    assert "dark on light paper" in images.about


def test_dark_paper_is_told_by_its_border_or_by_an_option(tmp_path) -> None:
    folder_of(tmp_path, light=False)
    images = read_pictures(tmp_path)
    assert "light on dark paper (the median at the borders is 0 of 255)" in images.about
    assert torch.equal(images.pixels, draw_glyphs(4, 3, seed=5).pixels)
    other = read_pictures(tmp_path, Reading(paper="light"))
    assert torch.equal(other.pixels, 1 - images.pixels)
    assert other.about == "ink is what is dark on light paper"


def test_hidden_files_and_others_are_passed_over_and_numbers_in_names_count(tmp_path) -> None:
    for name in ("b/10.png", "b/9.png", "b/.hidden.png", ".git/x.png", "a10/1.png", "a9/1.png"):
        write(tmp_path / name, grey())
    write(tmp_path / "b/9.png", 255 * np.eye(SIDE, dtype=np.uint8))
    (tmp_path / "b/notes.txt").write_text("no picture")
    (tmp_path / "readme.md").write_text("neither")
    images = read_pictures(tmp_path, Reading(binary=False, paper="dark"))
    assert images.groups == ("a9", "a10", "b")
    assert images.label.tolist() == [0, 1, 2, 2]
    assert int(images.pixels[2].sum()) == 255 * SIDE, "9.png comes before 10.png"


def test_pictures_alone_are_classes_of_their_own_and_so_is_one(tmp_path) -> None:
    for name in ("one", "two"):
        write(tmp_path / f"{name}.png", grey())
    assert read_pictures(tmp_path).groups == ("one", "two")
    alone = read_pictures(tmp_path / "two.png")
    assert (alone.groups, alone.label.tolist(), tuple(alone.pixels.shape)) == (("two",), [0], (1, SIDE, SIDE))


@pytest.mark.parametrize("kind", ["uint8", "of 0 and 1", "bool", "float"])
def test_arrays_are_read_alike_whatever_they_are_made_of(tmp_path, kind) -> None:
    glyphs = draw_glyphs(3, 2, seed=1)
    pixels = glyphs.pixels.numpy()
    given = {"uint8": pixels * 255, "of 0 and 1": pixels, "bool": pixels > 0, "float": pixels.astype(np.float32)}[kind]
    np.savez_compressed(tmp_path / "a.npz", pixels=given, label=glyphs.label.numpy() * 10)
    images = read_pictures(tmp_path / "a.npz")
    assert torch.equal(images.pixels, glyphs.pixels)
    assert images.groups == ("0", "10", "20")
    assert torch.equal(images.label, glyphs.label)


def test_pictures_are_averaged_by_area_and_keep_their_shape(tmp_path) -> None:
    pixels = np.zeros((24, 48), np.uint8)
    pixels[1:-1, 2:-2:2] = 200  # light lines on dark paper
    write(tmp_path / "a.png", pixels)
    images = read_pictures(tmp_path / "a.png", Reading((12, 12), binary=False, paper="dark"))
    assert images.pixels[0, 4:8, 1:-1].unique().tolist() == [100]
    assert images.pixels[0, :3].unique().tolist() == images.pixels[0, -3:].unique().tolist() == [0], "paper was added"
    grown = resized(draw_glyphs(1, 1), Reading((52, 52)))
    assert torch.equal(grown.pixels[0, ::2, ::2], draw_glyphs(1, 1).pixels[0])
    half, whole = (resized(draw_glyphs(1, 1), Reading((side, side), binary=False)).pixels.float() for side in (13, 26))
    assert float(half.mean()) == pytest.approx(float(whole.mean()), abs=1)


def test_a_threshold_says_what_is_ink(tmp_path) -> None:
    pixels = np.full((SIDE, SIDE), 255, np.uint8)
    pixels[4:8, 4:6], pixels[4:8, 6:8] = 255 - 64, 0
    write(tmp_path / "a.png", pixels)
    inked = [int(read_pictures(tmp_path, Reading(threshold=t)).pixels.sum()) for t in (0.2, 0.3, 1.0)]
    assert inked == [16, 8, 8]


def test_what_is_transparent_is_paper_and_16_bits_and_turned_pictures_are_read(tmp_path) -> None:
    clear = np.zeros((SIDE, SIDE, 4), np.uint8)
    clear[4:8, 4:8, 3] = 255
    write(tmp_path / "a.png", clear)
    write(tmp_path / "b.png", grey().astype(np.uint16) * 257)
    turned = Image.fromarray(grey())
    turned.putpixel((0, 3), 0)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "c.png", exif=exif)
    images = read_pictures(tmp_path)
    assert torch.equal(images.pixels[0], images.pixels[1])
    assert int(images.pixels[0].sum()) == 16
    assert images.pixels[2, SIDE - 4, SIDE - 1] == 1


def _header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds nothing of it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (body, data, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _linked(place: Path) -> None:
    write(place / "other.png", grey())
    (place / "all").mkdir()
    (place / "all" / "1.png").symlink_to(place / "other.png")
    (place / "other.png").rename(place / "other.bin")


def _npz(place: Path, **arrays) -> None:
    np.savez(place / "all.npz", **arrays)


GOOD = np.zeros((2, SIDE, SIDE), np.uint8)
COLOUR = np.zeros((SIDE, SIDE, 3), np.uint8) + np.array([250, 30, 30], np.uint8)
BAD = {
    "nothing": (lambda p: None, "all", "all is not there; give a folder with a subfolder a class"),
    "an empty folder": (lambda p: (p / "all").mkdir(), "all", "all holds no pictures; give a folder"),
    "an empty class": (lambda p: (p / "all" / "x").mkdir(parents=True), "all", "x holds no pictures (.png, "),
    "a text": (lambda p: (p / "all.txt").write_text("a"), "all.txt", "all.txt is no picture that is read (.png, "),
    "two sizes": (
        lambda p: [write(p / f"all/a/{n}.png", grey(size=(SIDE + n, 20))) for n in (0, 1)], "all",
        "0.png is 20x12 and ",
    ),
    "two sizes, the other": (
        lambda p: [write(p / f"all/a/{n}.png", grey(size=(SIDE + n, 20))) for n in (0, 1)], "all",
        "1.png is 20x13 pixels, and pictures of one size are read; --side 28 resizes them all",
    ),
    "a colour": (lambda p: write(p / "all/a/1.png", COLOUR), "all", "1.png is in colour (100% of its pixels), and"),
    "beside folders": (
        lambda p: [write(p / name, grey()) for name in ("all/1.png", "all/a/1.png")], "all",
        "all holds pictures (1.png) beside folders (a)",
    ),
    "a link": (_linked, "all", "1.png is a link, and links are not followed; put there what it leads to"),
    "a linked class": (
        lambda p: [write(p / "all/a/1.png", grey()), (p / "all/b").symlink_to(p / "all/a")], "all", "b is a link, and",
    ),
    "a FIFO": (lambda p: os.mkfifo(p / "all.png"), "all.png", "all.png is no file, but a device, a FIFO or a socket"),
    "torn": (
        lambda p: (write(p / "all.png", grey()), (p / "all.png").write_bytes((p / "all.png").read_bytes()[:-40])),
        "all.png", "all.png is broken (",
    ),
    "no picture inside": (lambda p: (p / "all.png").write_bytes(b"hello"), "all.png", "all.png is broken (cannot"),
    "another format": (
        lambda p: Image.fromarray(grey()).save(p / "all.png", "tiff"), "all.png", "all.png is broken (cannot identify",
    ),
    "a bomb": (lambda p: (p / "all.png").write_bytes(_header(8200, 8200)), "all.png", "has 8200x8200 pixels, and"),
    "a larger bomb": (
        lambda p: (p / "all.png").write_bytes(_header(60_000, 60_000)), "all.png", "all.png is broken (Image size",
    ),
    "blank": (
        lambda p: write(p / "all.png", np.full((SIDE, SIDE), 250, np.uint8)), "all.png", "holds no ink at --threshold",
    ),
    "no npz": (lambda p: (p / "all.npz").write_bytes(b"a"), "all.npz", "all.npz is neither a folder nor a zip"),
    "without pixels": (lambda p: _npz(p, label=[1]), "all.npz", "has no array called pixels (it has label.npy)"),
    "without labels": (lambda p: _npz(p, pixels=GOOD), "all.npz", "has no array called label (it has pixels.npy)"),
    "objects": (
        lambda p: _npz(p, pixels=np.array([{}, {}], object), label=[1, 2]), "all.npz",
        "pixels holds Python objects, which are not loaded since they could run code; save numbers",
    ),
    "of colours": (
        lambda p: _npz(p, pixels=np.zeros((2, 8, 8, 3)), label=[1, 2]), "all.npz", "pixels have the shape (2, 8, 8, 3)",
    ),
    "too few labels": (lambda p: _npz(p, pixels=GOOD, label=[1]), "all.npz", "label is int64 of the shape (1,)"),
    "labels of halves": (lambda p: _npz(p, pixels=GOOD, label=[0.5, 1]), "all.npz", "label is float64 of the"),
    "beyond 1": (lambda p: _npz(p, pixels=GOOD + 2.5, label=[1, 2]), "all.npz", "pixels reach from 2.5 to 2.5, and"),
    "no numbers": (lambda p: _npz(p, pixels=GOOD + np.nan, label=[1, 2]), "all.npz", "pixels reach from nan to nan"),
    "whole numbers": (lambda p: _npz(p, pixels=GOOD.astype(int), label=[1, 2]), "all.npz", "pixels are int64, and"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_sentence(tmp_path, name) -> None:
    make, path, sentence = BAD[name]
    make(tmp_path)
    with pytest.raises(ValueError) as told:
        read_pictures(tmp_path / path)
    assert sentence in str(told.value)
    assert "; " in str(told.value)
    assert "\n" not in str(told.value)


def test_an_array_that_promises_more_than_it_holds_is_refused_before_it_is_made(tmp_path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 9, 9)})
    (tmp_path / "a.npz").write_bytes(zipped("pixels.npy", file.getvalue() + b"abc"))
    with pytest.raises(ValueError, match="no array called label"):
        read_pictures(tmp_path / "a.npz")
    label = io.BytesIO()
    np.save(label, np.array([1]))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("pixels.npy", file.getvalue() + b"abc")
        archive.writestr("label.npy", label.getvalue())
    with pytest.raises(ValueError, match=r"pixels is no whole array \(cannot reshape.*; save it anew"):
        read_pictures(tmp_path / "b.npz")


def test_classes_are_split_by_the_seed_and_shared_by_nobody() -> None:
    images = draw_glyphs(10, 2)
    images = replace(images, groups=tuple(f"c{n}" for n in range(10)))
    splits = [split_classes(images, seed) for seed in (0, 0, 1)]
    for train, validation in splits:
        assert (train.classes, validation.classes) == (8, 2)
        assert not set(train.groups) & set(validation.groups)
        assert len(train) + len(validation) == len(images)
    assert splits[0].validation.groups == splits[1].validation.groups != splits[2].validation.groups
    with pytest.raises(ValueError, match=r"of 2 classes \(c0, c1\), and training takes 3 or more"):
        split_classes(images.of_groups({"c0", "c1"}), 0)


@pytest.mark.parametrize(
    ("drawings", "given", "expected"),
    [
        (20, {}, (4, 4)),
        (8, {}, (4, 4)),
        (5, {}, (3, 2)),
        (3, {}, (2, 1)),
        (2, {}, (1, 1)),
        (6, {"examples": 5}, (5, 1)),
    ],
)
def test_lessons_are_as_large_as_the_smallest_class_allows(tmp_path, drawings, given, expected) -> None:
    shares = PictureSource(str(folder_of(tmp_path, 5, drawings))).shares
    sizes = lesson_sizes(shares, given)
    assert (sizes["examples"], sizes["targets"]) == expected
    assert sizes["classes"] == 4


def test_a_source_is_plain_values_and_knows_other_pictures(tmp_path) -> None:
    source = PictureSource(str(folder_of(tmp_path)), side=13)
    again = PictureSource(**source.as_json())
    assert again == source
    assert again.digest() == source.digest()
    assert tuple(source.part("train").pixels.shape[1:]) == (13, 13)
    write(tmp_path / "sign0" / "0.png", grey())
    assert PictureSource(**source.as_json()).digest() != source.digest()
    (tmp_path / "sign1" / "0.png").unlink()
    (tmp_path / "sign1" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"class sign1 has 1 drawing, and training takes two or more of every class"):
        _ = PictureSource(**source.as_json()).shares


def test_collections_are_sources_too() -> None:
    source = PictureSource(collection="digits", side=16)
    assert tuple(source.part("train").pixels.shape[1:]) == (16, 16)
    assert source.part("train").binary
    assert not PictureSource(collection="digits", binary=False).part("train").binary
