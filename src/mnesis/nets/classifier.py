"""Vectors in, class logits out, at every unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .around import Headed, Reader
from .stack import network


class Classifier(Headed):
    """Linear map, memory, linear map: ``logits [B T C], state = model(x [B T F], state)``.

    The logits at a unit judge all units so far; those at the last real one judge the sequence (:meth:`classify`).

    Args:
        features: width of the inputs.
        classes: how many.
        dim: width of the memory.
        memory: name in the catalog.
        depth, hidden, convolution, mlp, options: as in :class:`mnesis.nets.LanguageModel`.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        dim: int = 128,
        memory: str | Sequence[str] = "gru",
        depth: int = 2,
        hidden: int | None = None,
        convolution: int | None = None,
        mlp: str | None = "gelu",
        options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        body = network(
            dim, memory=memory, depth=depth, hidden=hidden, convolution=convolution, mlp=mlp, options=options
        )
        self.dim, self.period = features, body.period
        self.reader, self.head = Reader(nn.Linear(features, dim), body), nn.Linear(dim, classes)

    def classify(self, x: Float[Tensor, "B T F"], length: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B C"]:
        """Logits after the last real unit of each row."""
        y, _ = self(x, length=length)
        last = torch.full((x.shape[0],), x.shape[1], device=x.device) if length is None else length
        return y[torch.arange(x.shape[0], device=x.device), last - 1]
