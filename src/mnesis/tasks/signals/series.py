"""Recorded series to be told apart at their end: the files of the UCR and UEA archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.task import Episode, Task
from ..files.opening import read_bytes, shown, text_of

PARTS = {"train": "TRAIN", "valid": "TRAIN", "test": "TEST"}
"""The file that each comes from."""
SUFFIXES = (".ts", ".arff", ".tsv", ".txt")
HELD_OUT = 5
"""Of so many training series of a class one is kept to validate on."""
SERIES = 2**18
"""In a file, at most; the largest of the archive has some 140,000."""
LARGEST = 1e38
"""Of values, whose size float32 can say."""
RARE = 2.0**-20
"""Probability of a class that a part does not hold; nobody asks for it."""


class LabelledSequences(Task):
    """Say the class of a sequence at its last unit. The ground of tasks on recordings that have a class each.

    Args:
        sequences: lengths may differ.
        label: their classes, numbered from 0.
        classes: how many there are.
        part: of the data, that these are.
    """

    def __init__(
        self, sequences: Sequence[Float[Tensor, "_ D"]], label: Int[Tensor, " N"], classes: int, part: str
    ) -> None:
        self.part, self.label, self.vocabulary = part, label, classes
        self.values = torch.cat(list(sequences))
        """All of them, one after the other."""
        self.units = torch.tensor([len(sequence) for sequence in sequences])
        """Length of each."""
        self.features = self.values.shape[1]
        counts = label.bincount(minlength=classes)
        self.chance = int(counts.max()) / len(label)
        self._log2_shares = (counts / len(label)).clamp(min=RARE).log2()

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences, and of the longer ones the first ``length`` units. Rows are as long as the longest.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device = generator.device
        row = torch.randint(len(self.label), (batch, 1), generator=generator, device=device)
        units = self.units.to(device)
        start, real = (units.cumsum(0) - units)[row], units[row].clamp(max=length)
        time = torch.arange(int(real.max()), device=device)
        inside = time < real
        x = self.values.to(device)[torch.where(inside, start + time, 0)] * inside[..., None]
        targets, weight = torch.zeros(inside.shape, dtype=torch.long, device=device), torch.zeros_like(x[..., 0])
        targets.scatter_(1, real - 1, self.label.to(device)[row])
        weight.scatter_(1, real - 1, 1.0)
        return Episode(x, targets, weight, length=real[:, 0])

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """How often each class comes."""
        return self._log2_shares.to(episode.targets.device)[episode.targets]


class Series(LabelledSequences):
    """Say the class of a series at its last unit: heartbeats, gestures, outlines, spectra.

    The archives of Dau et al. 2019 (UCR, arXiv 1810.07758) and Bagnall et al. 2018 (UEA, several channels, arXiv
    1811.00075), with their own division into training and test; a fifth of every class of the training file is kept to
    validate on. One example, a gesture of class 1 in GunPoint::

        inputs   -0.65 -0.64 -0.64 ... -0.62 -0.61
        targets    .     .     .   ...   .     1

    ``length`` counts units that are read at most, so that the longest series' length reads all, and less asks for the
    class early. Classes are numbered in the order of their names. Chance is the share of the commonest class.

    Args:
        name: of a data set, such as "GunPoint".
        folder: that holds ``GunPoint_TRAIN.ts`` and ``GunPoint_TEST.ts``, or a folder ``GunPoint`` with both. Files
            may end in .ts, .arff (relational too), .tsv or .txt (a label and the values on every line). Missing values
            are interpolated; missing ones at the end, which fill up short series, are left out.
        part: "train", "valid" or "test".
        normalised: give every channel of every series mean 0 and deviation 1 (that of a sample, n - 1, as in UCR's
            files, most of which have it already); None = where there is one channel. Sizes of several tell classes
            apart, and UEA's files have them as measured.

    Raises:
        ValueError: an unknown part, missing files, files of numbers or times instead of classes, a broken line, a class
            that is not trained on, or too few series to keep any to validate on.
    """

    def __init__(self, name: str, folder: str | Path, *, part: str = "train", normalised: bool | None = None) -> None:
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(PARTS)}")
        self.name, self.folder, self.normalised = name, folder, normalised
        train = _read(_file(name, Path(folder), "TRAIN"))
        file = _file(name, Path(folder), PARTS[part])
        chosen = _read(file)
        self.classes = tuple(sorted(set(train.labels), key=_order))
        """Their names, by id."""
        if unknown := set(chosen.labels) - set(self.classes):
            raise ValueError(
                f"{file} holds the class {min(unknown)!r}, which {name}_TRAIN lacks; give files of one set"
            )
        numbers = {name: number for number, name in enumerate(self.classes)}
        label = torch.tensor([numbers[name] for name in chosen.labels])
        if part != "test":
            held = _held_out(label)
            index = (held if part == "valid" else ~held).nonzero()[:, 0]
            if not len(index):
                raise ValueError(
                    f"{file} has fewer than {HELD_OUT} series of every class, none to validate on; give more"
                )
        else:
            index = torch.arange(len(label))
        series = [chosen.series[number] for number in index.tolist()]
        if normalised or (normalised is None and series[0].shape[1] == 1):
            series = [_normalised(x) for x in series]
        super().__init__([x.float() for x in series], label[index], len(self.classes), part)

    def unseen(self, part: Literal["valid", "test"]) -> Series:
        return Series(self.name, self.folder, part=part, normalised=self.normalised)


class _Content(NamedTuple):
    series: list[Float[Tensor, "_ D"]]
    labels: list[str]


def _file(name: str, folder: Path, division: str) -> Path:
    for place in (folder, folder / name):
        for suffix in SUFFIXES:
            if (path := place / f"{name}_{division}{suffix}").exists():
                return path
    endings = ", ".join(SUFFIXES[1:])
    raise ValueError(f"there is no {name}_{division}.ts (or {endings}) in {folder}; give the folder that holds it")


@cache
def _read(path: Path) -> _Content:
    """What a file holds, in its own order."""
    raw, begin, cut = read_bytes(path), 0, _label_first
    if path.suffix in (".ts", ".arff"):
        data = re.search(rb"^(?:\xef\xbb\xbf)?[ \t]*@data[ \t\r]*$", raw, re.MULTILINE | re.IGNORECASE)
        if data is None:
            raise ValueError(f"{shown(path)} has no line @data, after which series stand; give a whole file")
        begin, cut = data.end(), _ts if path.suffix == ".ts" else _arff
        header = raw[:begin].decode(errors="replace")  # remarks, whose encoding says nothing of the data's
        _check_header(path, [line.strip().lower() for line in header.splitlines() if line.strip().startswith("@")])
    before = raw[:begin].count(b"\n")
    lines = [line.strip() for line in text_of(raw, path, start=begin).split("\n")]
    content = _Content([], [])
    for number, line in enumerate(lines, before + 1):
        if not line or line[0] in "#%":
            continue
        if len(content.series) == SERIES:
            raise ValueError(f"{shown(path)} holds more than {SERIES:,} series; give a part of it")
        try:
            channels, label = cut(line)
            content.series.append(_series(channels))
            content.labels.append(_tidy(label))
        except ValueError as error:
            raise ValueError(
                f"{shown(path)}, line {number}: {shown(error)}; give a file as the archive has it"
            ) from None
    widths = {x.shape[1] for x in content.series}
    if len(widths) != 1:
        raise ValueError(f"{path} has series of {sorted(widths)} channels; give a file where all have as many")
    return content


def _check_header(path: Path, header: list[str]) -> None:
    attributes = [line for line in header if line.startswith("@attribute")]
    numbers = "@targetlabel true" in header or "@classlabel false" in header
    if numbers or (attributes and "{" not in attributes[-1]):
        raise ValueError(f"{path} has no classes to tell apart; give a set for classification")
    if "@timestamps true" in header:
        raise ValueError(f"{path} has a time beside every value; give a set without")


def _ts(line: str) -> tuple[list[list[str]], str]:
    *channels, label = line.split(":")
    return [channel.split(",") for channel in channels], label


def _arff(line: str) -> tuple[list[list[str]], str]:
    if line[0] in "'\"":  # channels in quotes, parted by \n in letters
        inner, _, label = line[1:].rpartition(line[0])
        return [channel.split(",") for channel in inner.split("\\n")], label.lstrip(", ")
    *values, label = line.split(",")
    return [values], label


def _label_first(line: str) -> tuple[list[list[str]], str]:
    label, *values = re.split(r"[,\s]+", line)
    return [values], label


def _series(channels: list[list[str]]) -> Float[Tensor, "T D"]:
    if len({len(channel) for channel in channels}) != 1:
        raise ValueError(f"channels have {[len(channel) for channel in channels]} values")
    values = np.array([[_value(value) for value in channel] for channel in channels])
    known = ~np.isnan(values)
    if not (np.abs(values[known]) <= LARGEST).all():
        raise ValueError(f"a value is beyond {LARGEST:.0e}")
    if not known.any(1).all():
        raise ValueError("a channel has no value")
    end = int(np.flatnonzero(known.any(0))[-1]) + 1
    values, known = values[:, :end], known[:, :end]
    time = np.arange(end)
    whole = [np.interp(time, time[here], channel[here]) for channel, here in zip(values, known, strict=True)]
    return torch.from_numpy(np.stack(whole, 1))


def _value(text: str) -> float:
    return np.nan if text.strip() == "?" else _number(text)


def _number(text: str) -> float:
    if "_" in text:  # which Python takes in numbers
        raise ValueError(f"{text!r} is no number")
    return float(text)


def _tidy(label: str) -> str:
    """1 for what some files write 1.0000000e+00."""
    label = label.strip(" '\"")
    if not label:
        raise ValueError("there is no class")
    try:
        number = _number(label)
    except ValueError:
        return label
    return str(int(number)) if number.is_integer() else label


def _order(label: str) -> tuple[bool, float, str]:
    """Numbers by their size, and before other names."""
    number = re.fullmatch(r"-?\d+(\.\d+)?", label)
    return number is None, float(label) if number else 0.0, label


def _held_out(label: Int[Tensor, " N"]) -> Tensor:
    """Of every class the same share, always the same series."""
    generator, held = torch.Generator().manual_seed(0), torch.zeros(len(label), dtype=torch.bool)
    order, counts = label.argsort(stable=True), label.bincount()
    for of_kind in order.split(counts[counts > 0].tolist()):
        chosen = torch.randperm(len(of_kind), generator=generator)[: len(of_kind) // HELD_OUT]
        held[of_kind[chosen]] = True
    return held


def _normalised(x: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
    deviation = x.std(0, correction=min(1, len(x) - 1))
    return (x - x.mean(0)) / torch.where(deviation > 1e-9, deviation, 1.0)
