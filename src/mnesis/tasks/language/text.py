"""Language modelling: the next character of a text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...core.task import Episode, Task
from ..files.opening import read_plain, without_mark
from .prose import Prose

PARTS = {"train": (0.0, 0.9), "valid": (0.9, 0.95), "test": (0.95, 1.0)}
"""Shares of a text, in its order."""
GENERATED = 2_000_000
"""Bytes of generated prose."""


class Text(Task):
    """Say the next byte of a text, at every place.

    One example of 11 bytes out of a novel::

        inputs   I t   w a s   t h e
        targets  t   w a s   t h e   b

    Rows start anywhere in the text, independently of one another, and every target counts. Tokens are the different
    bytes of the text in ascending order (``alphabet``), so that 65 ids say Tiny Shakespeare; a byte order mark at its
    beginning is none of them. ``length`` counts bytes.
    Chance is the share of the most frequent byte. For truncated back-propagation through consecutive pieces draw long
    episodes and let ``Stage(truncation=...)`` cut them.

    Args:
        file: a text; None = prose that is generated on the spot (:mod:`~mnesis.tasks.language.prose`), 2 million bytes.
        part: "train" (the first nine tenths), "valid" or "test" (a twentieth each).

    Raises:
        ValueError: another part, no such file, or a text of fewer than two different bytes.
    """

    def __init__(self, file: str | Path | None = None, *, part: str = "train"):
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(PARTS)}")
        mend = "give the path of a text, or leave it out for generated prose"
        text = _generated() if file is None else without_mark(read_plain(Path(file), mend))
        content = np.frombuffer(text, np.uint8)
        self.alphabet, tokens, counts = np.unique(content, return_inverse=True, return_counts=True)
        """The bytes that token ids stand for."""
        if len(self.alphabet) < 2:
            raise ValueError(f"{file} holds {len(self.alphabet)} different bytes; a text to learn has two or more")
        start, stop = (round(share * len(tokens)) for share in PARTS[part])
        self.tokens = torch.from_numpy(tokens[start:stop].astype(np.int64))
        self._log2_shares = torch.from_numpy(np.log2(counts / counts.sum())).float()
        self.file, self.part, self.vocabulary = file, part, len(self.alphabet)
        self.chance = float(counts.max() / counts.sum())

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pieces of ``length`` bytes.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or pieces longer than the text.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        if length >= len(self.tokens):
            raise ValueError(
                f"length = {length}: the {self.part} part of the text has {len(self.tokens):,} bytes; give less"
            )
        device = generator.device
        start = torch.randint(len(self.tokens) - length, (batch, 1), generator=generator, device=device)
        piece = self.tokens.to(device)[start + torch.arange(length + 1, device=device)]
        return Episode(inputs=piece[:, :-1], targets=piece[:, 1:], weight=torch.ones(batch, length, device=device))

    def unseen(self, part: Literal["valid", "test"]) -> Text:
        return Text(self.file, part=part)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """How often each byte comes in the whole text."""
        return self._log2_shares.to(episode.targets.device)[episode.targets]

    def decode(self, tokens: Tensor) -> str:
        """The text of token ids; bytes that are not UTF-8 become U+FFFD."""
        return bytes(self.alphabet[tokens.cpu().numpy()]).decode(errors="replace")


def _generated() -> bytes:
    prose, generator, parts, size = Prose(), np.random.default_rng(0), [], 0
    while size < GENERATED:
        for fragment in prose.draw(4096, generator).tokens:
            parts.append(prose.fragments[fragment].encode())
            size += len(parts[-1])
    return b"".join(parts)[:GENERATED]
