"""Never-ending streams to train a memory on: facts of an endless world, background between them, questions throughout.

Each row is a stream of its own, cut into windows whose state the trainer carries on. A row tells a fact, then a
stretch of background whose length in tokens is drawn log-uniformly and rounded to whole sentences, then the next fact.
Questions stand at random sentence ends of the stretches; they may ask about anything told since the row's last reset,
however long ago. After a lifetime drawn log-uniformly the row is reset: a new world, a new place in the background, and
``reset`` set at its first token.

Example of a row (gap 8..1024 tokens, hidden answers in brackets)::

    Mary moved to the office. The candle shone faintly ... Where is Mary? [office] It was Rupert who ... John went to
    the garden. After supper, ... Where is Mary? office<end> The rain had stopped, ...
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from mnesis.core.task import Episode
from mnesis.tasks.babi_simulator import endless
from mnesis.tasks.background import Background, Reader
from mnesis.tasks.wording import Piece, Wording


def training_streams(
    task: int,
    wording: Wording,
    background: Background,
    rows: int,
    window: int,
    generator: torch.Generator,
    *,
    gap: tuple[int, int],
    life: tuple[int, int],
    questions_per_fact: float,
    show_answers: float,
) -> Iterator[Episode]:
    """Windows [rows window] without end; window n + 1 of a row continues window n.

    Args:
        task: what the simulator can tell: 1, 2 or 3.
        wording: makes the ids of facts and questions.
        background: what stands between them.
        rows: parallel streams.
        window: tokens of a window. Targets at its end look into the next one.
        generator: draws everything.
        gap: least and most background tokens after a fact, at least 1.
        life: least and most tokens between a row's resets (a little more, up to the end of the sentence or question).
        questions_per_fact: mean number of questions in a stretch (Poisson).
        show_answers: probability that a question's answer is read; else only its first token is a target. Keep it above
            0, because the end of an answer is learned from shown ones alone.

    ValueError: a range that is not 1 <= least <= most, a negative rate, or no rows or window.
    """
    for name, (least, most) in (("gap", gap), ("life", life)):
        if not 1 <= least <= most:
            raise ValueError(f"{name}=({least}, {most}): give token counts with 1 <= least <= most")
    if questions_per_fact < 0:
        raise ValueError(f"questions_per_fact={questions_per_fact} is a mean count; give 0 or more")
    if rows < 1 or window < 1:
        raise ValueError(f"rows={rows}, window={window}: both must be at least 1")
    endless(task, torch.Generator())  # a task that cannot be told is refused here, not at the first window
    seeds = torch.randint(2**62, (rows,), generator=generator, device=generator.device).tolist()
    streams = [
        _Row(_tell(task, wording, background, seed, gap, life, questions_per_fact, show_answers)) for seed in seeds
    ]
    return _windows(streams, window)


def _windows(streams: list[_Row], window: int) -> Iterator[Episode]:
    shape = (len(streams), window + 1)  # one token more, which is the target of the last and the first of the next
    tokens, said = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    weight, reset = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    begin = 0
    while True:
        said[:, begin:], weight[:, begin:], reset[:, begin:] = -1, 0, False
        for row, stream in enumerate(streams):
            stream.fill(tokens[row, begin:], weight[row, begin:], said[row, begin:], reset[row, begin:])
        targets = np.where(said[:, :-1] >= 0, said[:, :-1], tokens[:, 1:])
        yield Episode(
            torch.from_numpy(tokens[:, :-1].copy()),
            torch.from_numpy(targets),
            torch.from_numpy(weight[:, :-1].copy()),
            reset=torch.from_numpy(reset[:, :-1].copy()),
        )
        for array in (tokens, said, weight, reset):
            array[:, 0] = array[:, -1]
        begin = 1


class _Row:
    """One stream, poured into windows."""

    def __init__(self, pieces: Iterator[tuple[Piece, bool]]):
        self._pieces = pieces
        self._piece, self._fresh, self._told = Piece(np.zeros(0, np.int32)), False, 0

    def fill(self, tokens: np.ndarray, weight: np.ndarray, said: np.ndarray, reset: np.ndarray) -> None:
        filled = 0
        while filled < len(tokens):
            piece, told = self._piece, self._told
            count = min(len(piece.tokens) - told, len(tokens) - filled)
            end = filled + count
            tokens[filled:end] = piece.tokens[told : told + count]
            if piece.weight is not None and piece.said is not None:
                weight[filled:end] = piece.weight[told : told + count]
                said[filled:end] = piece.said[told : told + count]
            if self._fresh and count:
                reset[filled] = True
                self._fresh = False
            filled, self._told = end, told + count
            if self._told == len(piece.tokens):
                self._piece, self._fresh = next(self._pieces)
                self._told = 0


def _tell(
    task: int,
    wording: Wording,
    background: Background,
    seed: int,
    gap: tuple[int, int],
    life: tuple[int, int],
    questions_per_fact: float,
    show_answers: float,
) -> Iterator[tuple[Piece, bool]]:
    """Pieces of one row, and whether the row is reset before each."""
    numbers = np.random.default_rng(seed)
    worlds = torch.Generator().manual_seed(seed)
    while True:
        left, fresh = _log_uniform(life, numbers), True
        reader = Reader(background.blocks(int(numbers.integers(2**62))))
        for sentence, ask in endless(task, worlds, recent=None):
            fact = Piece(wording.text(sentence))
            yield fact, fresh
            left, fresh = left - len(fact.tokens), False
            stretch = _log_uniform(gap, numbers)
            cuts = np.sort(numbers.random(numbers.poisson(questions_per_fact))) * stretch
            behind = 0
            for cut in (*cuts.tolist(), None):
                upto = stretch if cut is None else int(cut)
                for run in reader.take(min(upto - behind, left)):
                    yield Piece(run), False
                    left -= len(run)
                    behind += len(run)
                if left <= 0:
                    break
                if cut is not None and (question := ask()):
                    piece = wording.asked(question, bool(numbers.random() < show_answers))
                    yield piece, False
                    left -= len(piece.tokens)
            if left <= 0:
                break


def _log_uniform(bounds: tuple[int, int], numbers: np.random.Generator) -> int:
    least, most = bounds
    return int(least * (most / least) ** numbers.random())
