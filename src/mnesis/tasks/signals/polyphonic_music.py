"""Piano rolls, key by key: the next of the keys that sound together, or the end of the frame."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...core.task import Episode, Task
from ..files.matlab import read_cells
from ..files.opening import size_of

KEYS = 88
"""Of a piano; the next token id ends a frame."""
PARTS = {"train": "traindata", "valid": "validdata", "test": "testdata"}
"""What the files call them."""


class PolyphonicMusic(Task):
    """Say which key sounds next in a frame, or that no other does.

    JSB Chorales, Nottingham, MuseData and Piano-midi, the piano rolls of Boulanger-Lewandowski et al. 2012 (arXiv
    1206.6392) that Chung et al. 2014 (arXiv 1412.3555) and Bai et al. 2018 (arXiv 1803.01271) read. They read a frame
    at once and predict the 88 bits of the next; here a frame is written as tokens, the numbers of its keys from the
    lowest up and 88 for its end, ``|``, so that a silent frame is that alone. One example of two chords and silence::

        inputs   |  39 46 51 |  39 47 |  |
        targets  39 46 51 |  39 47 |  |  ...

    This loses nothing, since a frame has one spelling. Its negative log-likelihood, which papers quote in nats per
    frame, is the sum of the losses of its tokens: the mean loss, times the number of targets, over how many are 88.

    Every row is a piece from the start of some frame on; one that has fewer tokens than asked for is read whole.
    Pieces are equally likely. ``length`` counts tokens, four or five of which make a frame. Chance is the share of the
    commonest token, which ends frames.

    Args:
        file: ``JSB_Chorales.mat`` or one of its like.
        part: "train", "valid" or "test", as the file has them.

    Raises:
        ValueError: an unknown part, or a file that is missing or holds no piano rolls.
    """

    vocabulary = KEYS + 1

    def __init__(self, file: str | Path, *, part: str = "train") -> None:
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(PARTS)}")
        self.file, self.part = file, part
        pieces = _pieces(Path(file), PARTS[part])
        rolls = np.concatenate(pieces)
        sounds = np.concatenate([rolls, np.ones_like(rolls[:, :1])], 1)
        self.tokens = torch.from_numpy(sounds.nonzero()[1])
        """Of all pieces, one after the other."""
        tokens, frames = torch.from_numpy(sounds.sum(1, dtype=np.int64)), torch.tensor([len(piece) for piece in pieces])
        self.frames = tokens.cumsum(0) - tokens
        """Where in the tokens each frame starts."""
        self.first = frames.cumsum(0) - frames
        """The first frame of each piece."""
        self.stop = tokens.cumsum(0)[frames.cumsum(0) - 1]
        """Where in the tokens each piece ends."""
        counts = self.tokens.bincount(minlength=self.vocabulary)
        self.chance = int(counts.max()) / len(self.tokens)
        self._log2_shares = (counts.clamp(min=1) / len(self.tokens)).log2()

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pieces, or of longer ones ``length`` tokens. Rows are as long as the longest.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device = generator.device
        tokens, frames, first, stop = (x.to(device) for x in (self.tokens, self.frames, self.first, self.stop))
        piece = torch.randint(len(first), (batch,), generator=generator, device=device)
        # Any frame that leaves as many tokens as are asked for, of short pieces the first.
        choices = (torch.searchsorted(frames, stop - length, right=True) - first).clamp(min=1)[piece]
        drawn = (torch.rand(batch, generator=generator, device=device) * choices).long()
        start = frames[first[piece] + drawn]
        real = (stop[piece] - start).clamp(max=length)
        time = torch.arange(int(real.max()), device=device)
        inside = time < real[:, None]
        at = torch.where(inside, start[:, None] + time, 0)
        # Before a piece's first token, too, stands the end of a frame: that of another piece, at index -1 the last's.
        return Episode(tokens[at - 1] * inside, tokens[at] * inside, inside.float(), length=real)

    def unseen(self, part: Literal["valid", "test"]) -> PolyphonicMusic:
        return PolyphonicMusic(self.file, part=part)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """How often each key sounds, and a frame ends."""
        return self._log2_shares.to(episode.targets.device)[episode.targets]


@cache
def _pieces(file: Path, name: str) -> list[np.ndarray]:
    """[frames 88] each, 1 where a key sounds."""
    size_of(file, "give the path of JSB_Chorales.mat or one of its like")
    pieces = read_cells(file, name)
    if not pieces:
        raise ValueError(f"{file} holds no piece in {name}; give a file as it was published")
    for number, piece in enumerate(pieces, 1):
        if piece.ndim != 2 or piece.shape[1] != KEYS or not len(piece) or not ((piece == 0) | (piece == 1)).all():
            raise ValueError(
                f"{file}, {name} {number} is no roll of 0 and 1 for {KEYS} keys; give a file as it was published"
            )
    return [piece.astype(np.uint8) for piece in pieces]
