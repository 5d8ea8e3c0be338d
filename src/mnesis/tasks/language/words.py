"""Language modelling: the next word of a text that comes in parts."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ...core.task import Episode
from ..files.opening import Holder, held, read_text, shown, text_of
from .text import PARTS, Text

UNKNOWN, END = "<unk>", "<eos>"
KEPT = 10
"""Of a text that is both trained on and judged on, one part in so many judges."""
TEXT_BYTES = 2**26
"""Of a text in an archive, at most; an unpacked one may be longer."""
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
        self.alphabet = np.array(words, object)
        """The words that token ids stand for."""
        if part == "train":
            tokens = trained
        else:
            tokens = kept[part] if part in kept else _known(_needed(Path(folder), part), words)
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
    text = _needed(folder, "train") if train is None else _text(read_text(train, "give the path of a text"), train)
    judged = []
    if train is not None and folder.is_dir():
        files = {part: _found(folder, part) for part in ("valid", "test")}
        judged = [part for part, name in files.items() if name is not None and (folder / name).samefile(train)]
    numbers: dict[str, int] = {}
    stream = np.array(array("i", (numbers.setdefault(word, len(numbers)) for word in _stream(text))))
    first = len(stream) - len(stream) // KEPT if judged else len(stream)
    counts = np.bincount(stream[:first], minlength=len(numbers))
    commonest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    names = list(numbers)
    words = tuple(dict.fromkeys([*(names[number] for number in commonest), UNKNOWN]))
    id_of = np.full(len(names), words.index(UNKNOWN))
    id_of[commonest] = np.arange(len(commonest))
    tokens = torch.from_numpy(id_of[stream])
    return words, tokens[:first], dict.fromkeys(judged, tokens[first:])


def _needed(folder: Path, part: str) -> str:
    """The text of a part."""
    with held(folder, "the texts", deep=False) as holder:
        name = _choice(holder, folder, part)
        if name is None:
            instead = ", or give train= and the path of a text" if part == "train" else ""
            raise ValueError(f"{folder} lacks the text to {DOING[part]}, such as {part}.txt; put it there{instead}")
        where = f"{shown(folder)}: {shown(name)}"
        return _text(text_of(holder.read(name, TEXT_BYTES), where), where)


def _found(folder: Path, part: str) -> str | None:
    with held(folder, "the texts", deep=False) as holder:
        return _choice(holder, folder, part)


def _choice(holder: Holder, folder: Path, part: str) -> str | None:
    """The name of the one file of a part, if there is any."""
    pattern = re.compile(rf"([\w-]+\.)*{part}(\.txt|\.tokens)?")
    found = [name for name in holder.names() if pattern.fullmatch(name.split("/")[-1])]
    if len(found) > 1:
        first, second = (shown(name.split("/")[-1]) for name in found[:2])
        raise ValueError(f"{folder} holds {first} and {second}; give a folder with one text of a part")
    return found[0] if found else None


def _text(text: str, where: object) -> str:
    if not text or text.isspace():
        raise ValueError(f"{where} holds no word; give a text")
    return text.removesuffix("\n")


def _stream(text: str) -> Iterator[str]:
    """Its words, and the end of every line."""
    for match in re.finditer(r"\S+|\n", text):
        yield END if match[0] == "\n" else match[0]
    yield END


def _known(text: str, words: tuple[str, ...]) -> Int[Tensor, " N"]:
    ids = {word: number for number, word in enumerate(words)}
    unknown = ids[UNKNOWN]
    return torch.tensor(array("i", (ids.get(word, unknown) for word in _stream(text)))).long()
