"""Language modelling: the next word of a text that comes in parts."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..core.task import Episode
from .text import PARTS, Text

UNKNOWN, END = "<unk>", "<eos>"
KEPT = 10
"""Of a text that is both trained on and judged on, one part in so many judges."""
DOING = {"train": "train on", "valid": "validate on", "test": "test on"}


class Words(Text):
    """Say the next word of a text, at every place.

    Penn Treebank as Mikolov et al. 2010 prepared it, WikiText-2 (Merity et al. 2016, arXiv 1609.07843), or other texts
    with blanks between words, in files to train on, to validate on and to test on. One example of 6 words::

        inputs   <eos> no it was n't black
        targets  no it was n't black monday

    A text is one stream: lines follow one another, each with ``<eos>`` at its end. Rows start anywhere in it,
    independently of one another, and every target counts. Tokens are the words of the training text, the commonest
    first (``alphabet``); other words are ``<unk>``. ``length`` counts words. Perplexity, as papers quote it, is the
    exponential of the mean loss in nats; read long episodes for it. Chance is the share of the commonest word.

    Args:
        folder: or zip file that holds ``ptb.train.txt``, ``wiki.train.tokens`` or ``train.txt``, and their like with
            ``valid`` and ``test``.
        part: "train", "valid" or "test".
        train: a text to train on, in place of the folder's. Of a file that is also to validate or test on, nine tenths
            are trained on and the last tenth judges.

    Raises:
        ValueError: another part, or a file that is missing, empty, or there twice.
    """

    def __init__(self, folder: str | Path, *, part: str = "train", train: str | Path | None = None) -> None:
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(PARTS)}")
        self.folder, self.part, self.train = folder, part, train
        words, trained, kept = _training(Path(folder), None if train is None else Path(train))
        self.alphabet = np.array(words)
        """The words that token ids stand for."""
        if part == "train":
            tokens = trained
        else:
            tokens = kept[part] if part in kept else _encoded(_stream(_needed(Path(folder), part)), words)
        counts = tokens.bincount(minlength=len(words))
        self.tokens, self.vocabulary = tokens, len(words)
        self.chance = int(counts.max()) / len(tokens)
        self._log2_shares = (counts.clamp(min=1) / len(tokens)).log2()

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pieces of ``length`` words.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or pieces longer than the text.
        """
        if length >= len(self.tokens):
            raise ValueError(
                f"length = {length}: the {self.part} part of the text has {len(self.tokens):,} words; give less"
            )
        return super().episodes(batch, length, generator)

    def unseen(self, part: Literal["valid", "test"]) -> Words:
        return Words(self.folder, part=part, train=self.train)

    def decode(self, tokens: Tensor) -> str:
        """The text of token ids."""
        return " ".join(self.alphabet[tokens.cpu().numpy()])


@cache
def _training(folder: Path, train: Path | None) -> tuple[tuple[str, ...], Int[Tensor, " N"], dict[str, Tensor]]:
    """The vocabulary, the text to train on, and what is kept of it for parts whose file it is."""
    if train is not None and not train.is_file():
        raise ValueError(f"{train} is no file; give the path of a text")
    stream, judged = _stream(train or _needed(folder, "train")), []
    if train is not None:
        files = {part: _found(folder, part) for part in ("valid", "test")}
        judged = [part for part, file in files.items() if isinstance(file, Path) and file.samefile(train)]
    first = len(stream) - len(stream) // KEPT if judged else len(stream)
    words = tuple(dict(Counter(stream[:first]).most_common()) | {UNKNOWN: 0})
    kept = _encoded(stream[first:], words)
    return words, _encoded(stream[:first], words), dict.fromkeys(judged, kept)


def _needed(folder: Path, part: str) -> Path | zipfile.Path:
    file = _found(folder, part)
    if file is None:
        instead = ", or give train= and the path of a text" if part == "train" else ""
        raise ValueError(f"{folder} lacks the text to {DOING[part]}, such as {part}.txt; put it there{instead}")
    return file


def _found(folder: Path, part: str) -> Path | zipfile.Path | None:
    """The one file of a part, if there is any."""
    if folder.is_dir():
        files = sorted(folder.iterdir())
    elif folder.is_file() and zipfile.is_zipfile(folder):
        with zipfile.ZipFile(folder) as archive:
            files = [zipfile.Path(folder, name) for name in archive.namelist()]
    else:
        raise ValueError(f"{folder} is neither a folder nor a zip file; give one with the texts")
    name = re.compile(rf"([\w-]+\.)*{part}(\.txt|\.tokens)?")
    found = [file for file in files if name.fullmatch(file.name) and file.is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder} holds {found[0].name} and {found[1].name}; give a folder with one text of a part")
    return found[0] if found else None


def _stream(file: Path | zipfile.Path) -> list[str]:
    """Its words, and the end of every line."""
    text = file.read_text(encoding="utf-8").removesuffix("\n")
    if not text.strip():
        raise ValueError(f"{file} holds no word; give a text")
    return [word for line in text.split("\n") for word in (*line.split(), END)]


def _encoded(stream: list[str], words: tuple[str, ...]) -> Int[Tensor, " N"]:
    ids = {word: number for number, word in enumerate(words)}
    return torch.tensor([ids.get(word, ids[UNKNOWN]) for word in stream], dtype=torch.long)
