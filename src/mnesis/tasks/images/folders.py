"""Pictures of one's own: a folder with a subfolder a class, an .npz file, or one picture.

A folder holds one subfolder a class::

    drawings/cat/1.png
    drawings/cat/2.png
    drawings/dog/1.jpg

or pictures alone, each of which is a class then. Files whose names begin with a dot, and those that are no pictures by
their endings, are passed over. Links are refused: what is read is what stands in the folder.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps

from ...core.domain import Bound, Checked
from ..files.opening import AT_ONCE, damage, held, read_plain, shown
from .image_set import ImageSet

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP",
}  # fmt: skip
"""What is read, by the ending of its name; of those that move, the first picture."""
MOST_PIXELS = 2**26
"""Of a picture as it stands in its file; what unpacks to more is not unpacked."""
TINT, TINTED = 48, 0.01
"""A picture is in colour where in more than this share of its pixels the channels differ by more: papers that are
yellowed a little, and what JPEG makes of grey, are not."""
Paper = Literal["auto", "light", "dark"]
_PLACE = "give a folder with a subfolder a class, an .npz file, or a picture"
_MEND = "make it anew, or take it away"


@dataclass(frozen=True)
class Reading(Checked):
    """How pictures become pixels with ink high.

    Args:
        size: height and width; None = as they are, all alike. Pictures are averaged over the area of each new pixel,
            after paper was added to two of their sides where their shape is another.
        binary: ink or paper, 0 and 1; False = grey, 0..255.
        threshold: share of ink from which a pixel of a binary picture is ink.
        paper: whether paper is light, and ink what is dark on it, or the other way round; "auto" = as the median pixel
            at the borders of all pictures says.
    """

    size: tuple[int, int] | None = None
    binary: bool = True
    threshold: Annotated[float, Bound(0, 1, open_low=True)] = 0.3
    paper: Paper = "auto"


class _Found(NamedTuple):
    """A picture before it is read as ink."""

    name: str
    of: str
    """Its class."""
    grey: UInt8[np.ndarray, "H W"]


def read_pictures(path: str | Path, reading: Reading = Reading()) -> ImageSet:
    """Pictures of one's own, every class a group by its name; ``about`` says how ink was told from paper.

    Args:
        path: a folder; an .npz with ``pixels`` [N H W] (bytes, booleans, or numbers from 0 to 1) and ``label`` [N]
            (whole numbers); or one picture.
        reading: how pictures become pixels.

    Raises:
        ValueError: no pictures, pictures of several sizes, in colour, broken or larger than any that are read, or a
            file of another format; one sentence with the file, what is wrong, and the mend.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        found = _of_arrays(path)
    elif path.is_dir() or path.suffix.lower() in FORMATS:
        found = (_Found(str(file), of, _grey(file)) for of, file in _files(path))
    elif path.exists():
        raise ValueError(f"{shown(path)} is no picture that is read ({', '.join(FORMATS)} or .npz are); {_PLACE}")
    else:
        raise ValueError(f"{shown(path)} is not there; {_PLACE}")
    return _image_set(path, found, reading)


def resized(images: ImageSet, reading: Reading) -> ImageSet:
    """Pictures that were read already, as another reading has them; their ink is high."""
    if reading.size in (None, tuple(images.pixels.shape[1:])) and reading.binary == images.binary:
        return images
    levels = images.pixels.numpy() * (255 if images.binary else 1)
    size = reading.size or levels.shape[1:]
    pixels = np.stack([_fitted(each, size, paper=0) for each in levels])
    return replace(images, pixels=_read_ink(pixels, reading), binary=reading.binary)


def _image_set(path: Path, found: Iterable[_Found], reading: Reading) -> ImageSet:
    pixels, classes, first, taken = [], [], None, 0
    border = np.zeros(256, np.int64)
    for each in found:
        edge = np.bincount(_border(each.grey), minlength=256)
        border += edge
        grey = each.grey if reading.size is None else _fitted(each.grey, reading.size, paper=_median(edge))
        first = first or (each.name, grey.shape)
        if grey.shape != first[1]:
            one, other = (
                f"{shown(name)} is {width}x{height}" for name, (height, width) in (first, (each.name, grey.shape))
            )
            raise ValueError(f"{one} and {other} pixels, and pictures of one size are read; --side 28 resizes them all")
        if (taken := taken + grey.size) > AT_ONCE:
            raise ValueError(f"{shown(path)} holds more than {AT_ONCE:,} pixels; give fewer, or a smaller --side")
        pixels.append(grey)
        classes.append(each.of)
    if not pixels:
        raise ValueError(f"{shown(path)} holds no pictures; {_PLACE}")
    names = sorted(set(classes), key=_natural)
    label = torch.tensor([{name: index for index, name in enumerate(names)}[of] for of in classes])
    light = reading.paper == "light" or (reading.paper == "auto" and _median(border) > 127)
    ink = np.stack(pixels)
    ink = 255 - ink if light else ink
    about = f"ink is what is {'dark on light' if light else 'light on dark'} paper"
    told = f"{about} (the median at the borders is {_median(border)} of 255)" if reading.paper == "auto" else about
    images = ImageSet(_read_ink(ink, reading), label, tuple(names), binary=reading.binary, about=told)
    if reading.binary and (reach := images.pixels.float().mean()) in (0, 1):
        what = "no ink" if reach == 0 else "no paper"
        raise ValueError(
            f"{shown(path)} holds {what} at --threshold {reading.threshold:g} ({told}); give another threshold, or say "
            "which --paper they have"
        )
    return images


def _read_ink(ink: UInt8[np.ndarray, "N H W"], reading: Reading) -> UInt8[torch.Tensor, "N H W"]:
    return torch.from_numpy((ink >= 255 * reading.threshold).astype(np.uint8) if reading.binary else ink)


def _border(grey: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, " n"]:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _median(counts: np.ndarray) -> int:
    return int(np.searchsorted(counts.cumsum(), (counts.sum() + 1) // 2))


def _fitted(grey: UInt8[np.ndarray, "H W"], size: tuple[int, int], *, paper: int) -> UInt8[np.ndarray, "h w"]:
    """Of this size, by the mean over the area of each pixel; shapes are kept, and paper is added beside them."""
    if grey.shape == size:
        return grey
    (height, width), (rows, columns) = grey.shape, size
    whole = (max(height, round(width * rows / columns)), max(width, round(height * columns / rows)))
    above, left = (whole[0] - height) // 2, (whole[1] - width) // 2
    margins = ((above, whole[0] - height - above), (left, whole[1] - width - left))
    padded = np.pad(grey, margins, constant_values=paper)
    return np.asarray(Image.fromarray(padded).resize((columns, rows), Image.Resampling.BOX))


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Every picture, with the name of its class."""
    if not path.is_dir():
        yield path.stem, path
        return
    alone = _pictures(path)
    folders = [entry for entry in _visible(path) if entry.is_dir()]
    if alone and folders:
        raise ValueError(
            f"{shown(path)} holds pictures ({shown(alone[0].name)}) beside folders ({shown(folders[0].name)}), and it "
            "cannot be told what is a class; give every class a folder of its own"
        )
    for file in alone:
        yield file.stem, file
    for folder in folders:
        if not (pictures := _pictures(folder)):
            raise ValueError(
                f"{shown(folder)} holds no pictures ({', '.join(FORMATS)}), and every subfolder is a class; put some "
                "there, or take it away"
            )
        for file in pictures:
            yield folder.name, file


def _pictures(folder: Path) -> list[Path]:
    return [entry for entry in _visible(folder) if entry.suffix.lower() in FORMATS and not entry.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """What stands in a folder, 2.png before 10.png."""
    with damage(f"{shown(folder)} cannot be read", "give a folder that you may read"):
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    for entry in entries:
        if entry.is_symlink():
            raise ValueError(f"{shown(entry)} is a link, and links are not followed; put there what it leads to")
    return sorted(entries, key=lambda entry: _natural(entry.name))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which numbers in names count."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [(0, int(part), "") if place % 2 else (1, 0, part) for place, part in enumerate(parts)]


def _grey(path: Path) -> UInt8[np.ndarray, "H W"]:
    """A picture's brightness; what is transparent shows white paper."""
    name, content = shown(path), read_plain(path, _MEND)
    with damage(f"{name} is broken", _MEND), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(BytesIO(content), formats=tuple(dict.fromkeys(FORMATS.values())))
        width, height = picture.size
    if width * height > MOST_PIXELS:  # before any pixel is unpacked
        raise ValueError(f"{name} has {width}x{height} pixels, and {MOST_PIXELS:,} are read; make it smaller")
    with damage(f"{name} is broken", _MEND):
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):  # 16 bits
            return (np.asarray(upright).astype(np.int64) // 257).clip(0, 255).astype(np.uint8)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        grey = upright.convert("L")
        channels = None if upright.mode in ("1", "L") else np.asarray(upright.convert("RGB"))
    if channels is not None:
        _refuse_colours(name, channels)
    return np.asarray(grey)


def _refuse_colours(name: str, channels: UInt8[np.ndarray, "H W 3"]) -> None:
    spread = channels.max(-1).astype(np.int16) - channels.min(-1)
    if (share := float((spread > TINT).mean())) > TINTED:
        raise ValueError(
            f"{name} is in colour ({share:.0%} of its pixels), and grey or binary pictures are read; convert it to grey"
        )


def _of_arrays(path: Path) -> Iterator[_Found]:
    """The pictures of an .npz, whose label is their class."""
    with held(path, "pixels [N H W] and label [N]") as zipped:
        names = zipped.names()
        for name in ("pixels", "label"):
            if f"{name}.npy" not in names:
                raise ValueError(
                    f"{shown(path)} has no array called {name} (it has {shown(', '.join(names)) or 'none'}); save it "
                    "with numpy.savez(file, pixels=..., label=...)"
                )
        pixels, label = (
            _array(f"{shown(path)}: {name}", zipped.read(f"{name}.npy", AT_ONCE)) for name in ("pixels", "label")
        )
    where = shown(path)
    if pixels.ndim != 3 or not pixels.size:
        raise ValueError(
            f"{where}: pixels have the shape {pixels.shape}, and grey pictures [N, H, W] are read; give such"
        )
    if label.shape != pixels.shape[:1] or label.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: label is {label.dtype} of the shape {label.shape}, and a whole number for each of the "
            f"{len(pixels):,} pictures is read; give such"
        )
    if pixels.dtype == np.bool_:
        pixels = np.where(pixels.view(np.uint8), np.uint8(255), np.uint8(0))  # files may hold other bytes than 0 and 1
    elif pixels.dtype.kind == "f":
        if not ((pixels >= 0) & (pixels <= 1)).all():
            raise ValueError(
                f"{where}: pixels reach from {pixels.min():.3g} to {pixels.max():.3g}, and numbers from 0 to 1 are "
                "read; scale them, or give bytes"
            )
        pixels = np.rint(255 * pixels.astype(np.float64)).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise ValueError(
            f"{where}: pixels are {pixels.dtype}, and bytes, booleans or numbers from 0 to 1 are read; convert them"
        )
    elif int(pixels.max()) == 1:  # binary pictures kept as bytes
        pixels = pixels * np.uint8(255)
    for number, (picture, of) in enumerate(zip(pixels, label.tolist(), strict=True)):
        yield _Found(f"{path}, picture {number}", str(of), picture)


def _array(name: str, content: bytes) -> np.ndarray:
    """An array in numpy's format, whose header is looked at before anything is made of it."""
    mend = "save it anew with numpy.savez"
    file = BytesIO(content)
    with damage(f"{name} is no whole array", mend):
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not loaded since they could run code; save numbers")
    with damage(f"{name} is no whole array", mend):
        flat = np.frombuffer(content, dtype, offset=file.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
