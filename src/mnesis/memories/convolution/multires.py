"""MultiresConv: one pair of filters applied again and again to what it left, twice as far apart each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory

SELECTIONS = ("fading", "uniform")


class MultiresState(NamedTuple):
    """The signals that a tree of filters still sees, of every level, the finest first."""

    smooth: tuple[Float[Tensor, "B lags D"], ...]
    """What a level filters: a of the one before."""
    detail: tuple[Float[Tensor, "B lags D"], ...]
    """b, of which no past is kept where the selection is "fading"."""


class Multires(Memory[MultiresState]):
    """MultiresLayer around a multiresolution convolution, with the mixing behind (Shi et al. 2023, arXiv 2305.01638).

    As in a wavelet transform each channel is split by two learned filters, a_j = sum_k l_k a_{j-1}[t - k 2^(j-1)] and
    b_j alike with h for l, from a_0 = x through J levels, which share them. Chosen coefficients, weighted, make
    y = w_J a_J + sum_ij w_ij b_j[t - i 2^j] + w x; then GELU, a map to twice the width and a GLU. Residual, norm and
    dropout are left to the block.

    The tree has few parameters, but it needs its past signals: what is remembered is a window of ``receptive_field``
    units, and the state as large as one. State: dim (kernel - 1) (2^J - 1) numbers a row; where the selection is
    "uniform", dim (n_j - 1) 2^j more for every level of n_j coefficients.

    Args:
        dim: width of inputs and outputs.
        kernel: taps of both filters (2: sequential CIFAR-10 in the paper).
        longest: units that the tree must span (1,024: sequential CIFAR-10).
        levels: J; None = as few as span ``longest``.
        selection: "fading" keeps the newest coefficient of every level; "uniform" fills a memory from the coarsest on,
            with all those of a level that those above were made of.
        memory: coefficients of "uniform"; None = as many as "fading" keeps, levels + 1.

    Raises:
        ValueError: a kernel that sees no earlier unit, no levels, an unknown selection, or a memory that is not there.
    """

    def __init__(
        self,
        dim: int,
        *,
        kernel: int = 2,
        longest: int = 1024,
        levels: int | None = None,
        selection: str = "fading",
        memory: int | None = None,
    ) -> None:
        super().__init__()
        if kernel < 2:
            raise ValueError(f"kernel={kernel}: a filter of one tap sees no earlier unit; give 2 or more")
        if levels is None:
            levels = math.ceil(math.log2(max(0, longest - 1) / (kernel - 1) + 1))
        if levels < 1:
            raise ValueError(f"longest={longest}, levels={levels}: a tree without levels keeps nothing; give more")
        if selection not in SELECTIONS:
            raise ValueError(f"Multires has no selection {selection!r}; choose one of {', '.join(SELECTIONS)}")
        if selection == "fading" and memory is not None:
            raise ValueError(f"memory={memory}: fading keeps one coefficient of every level; leave memory out")
        self.dim, self.kernel, self.levels = dim, kernel, levels
        self.width = dim
        if selection == "fading":
            self.kept = [1] * levels
        else:
            self.kept = uniform(kernel, levels, levels + 1 if memory is None else memory)
        self.smooth, self.detail = nn.Parameter(_drawn(dim, kernel)), nn.Parameter(_drawn(dim, kernel))
        self.weight = nn.Parameter(_drawn(dim, sum(self.kept) + 2))  # of a_J, b_J to b_1, and x
        self.mix = nn.Linear(dim, 2 * dim)

    @property
    def receptive_field(self) -> int:
        """Units that an output sees, its own included."""
        return 1 + (self.kernel - 1) * (2**self.levels - 1)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MultiresState:
        smooth = [(self.kernel - 1) * 2**level for level in range(self.levels)]
        detail = [max(0, kept - 1) * 2**level for level, kept in enumerate(self.kept, 1)]
        tails = (
            tuple(torch.zeros(batch, lags, self.width, device=device, dtype=dtype) for lags in each)
            for each in (smooth, detail)
        )
        return MultiresState(*tails)

    def scan(self, x: Float[Tensor, "B T D"], state: MultiresState, phase: int = 0) -> tuple[Tensor, MultiresState]:
        low, high = (taps.to(x.dtype).unbind(1) for taps in (self.smooth, self.detail))
        coarsest, *chosen, skip = self.weight.to(x.dtype).split([1, *self.kept[::-1], 1], 1)
        a, y, smooth, detail = x, skip[:, 0] * x, [], []
        for level, (weights, before, held) in enumerate(zip(chosen[::-1], *state, strict=True)):
            seen, before = _strided(a, before, self.kernel, 2**level)
            a = _weighted(seen, low)
            if weights.shape[1]:
                b, held = _strided(_weighted(seen, high), held, weights.shape[1], 2 ** (level + 1))
                y = y + _weighted(b, weights.unbind(1))
            smooth.append(before)
            detail.append(held)
        y = y + coarsest[:, 0] * a
        return F.glu(self.mix(F.gelu(y)), -1), MultiresState(tuple(smooth), tuple(detail))


def uniform(kernel: int, levels: int, memory: int) -> list[int]:
    """Coefficients of every level, the finest first, that fill a memory: those that the level above was made of."""
    counts = [1]
    while len(counts) < levels:
        counts.append(2 * (counts[-1] - 1) + kernel)
    if not 2 <= memory <= 1 + sum(counts):
        raise ValueError(
            f"memory={memory}: {levels} levels of {kernel} taps have {1 + sum(counts)} coefficients; give 2 or more, "
            "and at most that many"
        )
    ends = list(accumulate(counts, initial=1))  # one is a_J
    return [min(count, max(0, memory - end)) for count, end in zip(counts, ends, strict=False)][::-1]


def _drawn(dim: int, count: int) -> Float[Tensor, "D count"]:
    """As in the authors' code."""
    return torch.empty(dim, count).uniform_(-(count**-0.5), count**-0.5)


def _strided(
    x: Float[Tensor, "B T D"], tail: Float[Tensor, "B lags D"], taps: int, stride: int
) -> tuple[list[Float[Tensor, "B T D"]], Float[Tensor, "B lags D"]]:
    """x now, a stride ago, two strides ago and so on, and the new tail."""
    time, padded = x.shape[1], torch.cat([tail.to(x.dtype), x], 1)
    seen = [padded.narrow(1, (taps - 1 - tap) * stride, time) for tap in range(taps)]
    return seen, padded[:, time:].to(tail.dtype).clone()


def _weighted(parts: Sequence[Float[Tensor, "B T D"]], weights: Sequence[Float[Tensor, " D"]]) -> Tensor:
    # Products of slices: with a few taps for each channel alone up to five times as fast as a grouped convolution.
    y = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        y = torch.addcmul(y, part, weight)
    return y
