"""A story laid out in background text: the placement rule that ``babilong.py`` states, streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ...language.background import Background
from ..story import StoryQuestion
from ..wording import Piece


@dataclass(frozen=True)
class Sample:
    """A story laid out in a background that is not held: reading it makes the tokens again, the same every time."""

    length: int
    """Tokens of the whole, in-stream questions included."""
    pieces: tuple[Piece, ...]
    """Facts and in-stream questions, in order."""
    places: Int64[np.ndarray, " pieces"]
    """How many background tokens stand before each."""
    starts: Int64[np.ndarray, " facts"]
    """Position of each fact's first token in the whole."""
    questions: tuple[StoryQuestion, ...]
    """Asked after the last token."""
    background: Background
    seed: int

    def read(self) -> Iterator[Piece]:
        """The sample from its first token to its last."""
        budget = self.length - sum(len(piece.tokens) for piece in self.pieces)
        runs = (block.tokens for block in self.background.blocks(self.seed))
        run, told = np.zeros(0, np.int32), 0
        for place, piece in (*zip(self.places.tolist(), self.pieces, strict=True), (budget, None)):
            while told < place:
                if not len(run):
                    run = next(runs)
                part, run = run[: place - told], run[place - told :]
                told += len(part)
                yield Piece(part)
            if piece is not None:
                yield piece

    def chunks(self, size: int) -> Iterator[Int64[Tensor, " n"]]:
        """Pieces of exactly ``size`` token ids (the last may be shorter), int64."""
        chunk, filled = np.empty(size, np.int64), 0
        for piece in self.read():
            begin = 0
            while begin < len(piece.tokens):
                count = min(size - filled, len(piece.tokens) - begin)
                chunk[filled : filled + count] = piece.tokens[begin : begin + count]
                begin, filled = begin + count, filled + count
                if filled == size:
                    yield torch.from_numpy(chunk)
                    chunk, filled = np.empty(size, np.int64), 0
        if filled:
            yield torch.from_numpy(chunk[:filled].copy())


def lay_out(
    pieces: Sequence[Piece],
    questions: tuple[StoryQuestion, ...],
    length: int,
    background: Background,
    place: tuple[float, float] | None,
    numbers: np.random.Generator,
) -> Sample:
    """Draw where the pieces stand in ``length`` tokens (0 = no background).

    Goes once through the background that the sample will hold, keeping a number a sentence until the places are drawn.
    ValueError: pieces longer than the sample, or a ``place`` without a gap.
    """
    sizes = np.array([len(piece.tokens) for piece in pieces], np.int64)  # of no pieces too, where a life holds no fact
    total = int(sizes.sum())
    is_fact = np.array([piece.weight is None for piece in pieces], np.bool_)
    if 0 < length < total:
        raise ValueError(
            f"a story of {is_fact.sum()} facts takes {total} tokens with its questions, but the sample has {length}; "
            "ask for longer samples or set maximum_facts lower"
        )
    length, seed = max(length, total), int(numbers.integers(2**62))
    gaps = _gaps(background, seed, length - total)
    if place is not None:
        begin, end = int(length * place[0]), int(length * place[1]) - total
        gaps = gaps[:-1][(gaps[:-1] >= begin) & (gaps[:-1] < end)]
        if not len(gaps):
            raise ValueError(
                f"place={place} of {length} tokens has no gap that leaves room for a story of {total} tokens; "
                "widen place or ask for longer samples"
            )
    places = gaps[np.sort(numbers.integers(0, len(gaps), len(pieces)))]
    starts = (places + np.cumsum(sizes) - sizes)[is_fact]
    return Sample(length, tuple(pieces), places, starts, questions, background, seed)


def _gaps(background: Background, seed: int, budget: int) -> Int64[np.ndarray, " gaps"]:
    """How many tokens stand before each sentence of ``budget`` tokens of background, and before its end."""
    gaps, told = [np.zeros(1, np.int64)], 0
    for block in background.blocks(seed):
        if told >= budget:
            break
        ends = block.offsets[1:] + told
        gaps.append(ends[: np.searchsorted(ends, budget)])
        told = int(ends[-1])
    return np.concatenate([*gaps, [budget]] if budget else gaps)
