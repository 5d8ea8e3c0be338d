"""Background text that facts are hidden in: sentences as token ids, without end, fast enough for millions of tokens.

Every background tokenises once (each sentence with the space before it) and then slices. Sentences of fewer than
``minimum_tokens`` tokens are left out, as in BABILong (Kuratov et al. 2024, arXiv 2406.10149), which reads books.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from ...core.files import atomic_path
from .prose import Prose
from .sentences import read_book, split_sentences
from .tokenizer import Pieces, Tokenizer

MINIMUM_TOKENS = 10
BLOCK = 4096
"""Sentences handed out together."""


class Background(ABC):
    """An endless text as token ids. ``tokenizer`` is the one its ids belong to."""

    tokenizer: Tokenizer

    @abstractmethod
    def blocks(self, seed: int | None = None) -> Iterator[Pieces]:
        """The text in blocks of consecutive sentences, from a place that the seed draws; None: from the beginning.

        The same seed gives the same blocks. They are views where possible: do not write to them.
        """

    def sentences(self, seed: int | None = None) -> Iterator[Int32[np.ndarray, " n"]]:
        """The same text, sentence by sentence."""
        for block in self.blocks(seed):
            for index in range(len(block)):
                yield block[index]


class ProseBackground(Background):
    """Generated prose (:mod:`~mnesis.tasks.language.prose`): needs no file, never ends, holds no fact."""

    def __init__(self, tokenizer: Tokenizer, *, minimum_tokens: int = MINIMUM_TOKENS):
        self.tokenizer = tokenizer
        self.minimum_tokens = minimum_tokens
        self._prose = Prose()
        self._fragments = tokenizer.pack(self._prose.fragments)

    def blocks(self, seed: int | None = None) -> Iterator[Pieces]:
        generator = np.random.default_rng(seed or 0)
        count = 64  # short readers, of which training has many, should not pay for a whole block
        while True:
            drawn = self._prose.draw(count, generator)
            lengths = np.add.reduceat(self._fragments.lengths[drawn.tokens], drawn.offsets[:-1])
            kept = drawn.take(np.flatnonzero(lengths >= self.minimum_tokens))
            spelled = self._fragments.take(kept.tokens)
            if len(kept):
                yield Pieces(spelled.tokens, spelled.offsets[kept.offsets])
            count = min(2 * count, BLOCK)


class MixedBackground(Background):
    """Several backgrounds of one tokenizer; the seed draws which of them is read."""

    def __init__(self, parts: Sequence[Background]):
        if not parts:
            raise ValueError("a mixed background of nothing has no text; give at least one background")
        self.tokenizer = parts[0].tokenizer
        self.parts = tuple(parts)

    def blocks(self, seed: int | None = None) -> Iterator[Pieces]:
        chosen = np.random.default_rng([1, seed or 0]).integers(len(self.parts))
        return self.parts[int(chosen)].blocks(seed)


class CorpusBackground(Background):
    """A finite text read in a circle: after its last sentence comes its first.

    A seed starts at a sentence drawn uniformly from the whole corpus. (BABILong's own code draws a book, then a
    character in it, and another book at random where that one ends; here the next book follows.)
    """

    def __init__(self, tokenizer: Tokenizer, pieces: Pieces):
        self.tokenizer = tokenizer
        self.pieces = pieces

    def blocks(self, seed: int | None = None) -> Iterator[Pieces]:
        offsets, count = self.pieces.offsets, len(self.pieces)
        first = 0 if seed is None else int(np.random.default_rng(seed).integers(count))
        while True:
            last = min(first + BLOCK, count)
            yield Pieces(self.pieces.tokens[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first])
            first = last % count


class FolderBackground(CorpusBackground):
    """The books of a folder: every ``.txt`` file, in the order of their names.

    Args:
        folder: where the files are; see :func:`mnesis.tasks.language.sentences.read_book` for what is read from one.
        tokenizer: makes the ids.
        files: names of the files to use, in this order; None = all. Give training and test different ones.
        exclude: names of files to leave out.
        minimum_tokens: shorter sentences are dropped.
        cache: folder that keeps each tokenised book between runs (one .npz a book, tokenizer and rule); None = none.

    ValueError: no such folder, no .txt file in it, a name that is not there, an unreadable file, or no sentence at all.
    """

    def __init__(
        self,
        folder: Path | str,
        tokenizer: Tokenizer,
        *,
        files: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        minimum_tokens: int = MINIMUM_TOKENS,
        cache: Path | str | None = None,
    ):
        paths = _choose(Path(folder), files, exclude)
        self.files = tuple(path.name for path in paths)
        books = [_cached(read_book(path), path.stem, tokenizer, minimum_tokens, cache) for path in paths]
        super().__init__(tokenizer, _joined(books, f"the {len(paths)} files of {folder}", minimum_tokens))


class HubBackground(CorpusBackground):
    """Documents of a text data set on the Hugging Face hub, read as a stream; needs the ``datasets`` extra.

    Args:
        dataset: its name on the hub, such as "deepmind/pg19".
        tokenizer: makes the ids.
        split: "train", "test", ...
        column: which column is the text.
        documents: how many of the first documents to take.
        minimum_tokens: shorter sentences are dropped.

    ImportError: without the extra. ValueError: no such column, or no sentence at all.
    """

    def __init__(
        self,
        dataset: str,
        tokenizer: Tokenizer,
        *,
        split: str = "train",
        column: str = "text",
        documents: int = 100,
        minimum_tokens: int = MINIMUM_TOKENS,
    ):
        try:
            import datasets  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ImportError(
                'HubBackground reads the Hugging Face hub and needs the extra: pip install "mnesis[datasets]"'
            ) from error
        books = []
        for row in islice(datasets.load_dataset(dataset, split=split, streaming=True), documents):
            if column not in row:
                raise ValueError(f"column={column!r} is not in {dataset}; its columns are {', '.join(row)}")
            books.append(_tokenised(split_sentences(row[column]), tokenizer, minimum_tokens))
        super().__init__(tokenizer, _joined(books, f"the first {documents} documents of {dataset}", minimum_tokens))


def _choose(folder: Path, files: Sequence[str] | None, exclude: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; name one that holds .txt files")
    present = sorted(path.name for path in folder.glob("*.txt"))
    if not present:
        raise ValueError(f"{folder} holds no .txt file; put books there as plain text, or use ProseBackground")
    for name in (*(files or ()), *exclude):
        if name not in present:
            raise ValueError(f"{name!r} is not in {folder}; its files are {', '.join(present)}")
    chosen = [name for name in (present if files is None else files) if name not in exclude]
    if not chosen:
        raise ValueError(f"files and exclude leave none of the {len(present)} files of {folder}; exclude fewer")
    return [folder / name for name in chosen]


def _tokenised(sentences: Sequence[str], tokenizer: Tokenizer, minimum_tokens: int) -> Pieces:
    pieces = tokenizer.pack([" " + sentence for sentence in sentences])
    return pieces.take(np.flatnonzero(pieces.lengths >= minimum_tokens))


def _cached(text: str, name: str, tokenizer: Tokenizer, minimum_tokens: int, cache: Path | str | None) -> Pieces:
    sentences = split_sentences(text)
    if cache is None:
        return _tokenised(sentences, tokenizer, minimum_tokens)
    key = hashlib.sha256("\n".join([tokenizer.fingerprint(), str(minimum_tokens), *sentences]).encode())
    path = Path(cache) / f"{name}-{key.hexdigest()[:16]}.npz"
    if (kept := _kept(path)) is not None:
        return kept
    pieces = _tokenised(sentences, tokenizer, minimum_tokens)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, tokens=pieces.tokens, offsets=pieces.offsets)
    return pieces


def _kept(path: Path) -> Pieces | None:
    """A tokenised book, unless it is not there or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            tokens, offsets = stored["tokens"], stored["offsets"]
    except Exception:  # of a damaged file, dozens of kinds; it is made anew
        return None
    whole = tokens.ndim == offsets.ndim == 1 and tokens.dtype == np.int32 and offsets.dtype == np.int64 and len(offsets)
    if not whole or offsets[0] != 0 or offsets[-1] != len(tokens) or (np.diff(offsets) < 0).any():
        return None
    return Pieces(tokens, offsets)


def _joined(books: Iterable[Pieces], source: str, minimum_tokens: int) -> Pieces:
    books = [book for book in books if len(book)]
    if not books:
        raise ValueError(f"{source} hold no sentence of at least {minimum_tokens} tokens; name other text")
    lengths = np.concatenate([book.lengths for book in books])
    return Pieces(np.concatenate([book.tokens for book in books]), np.concatenate([[0], np.cumsum(lengths)]))
