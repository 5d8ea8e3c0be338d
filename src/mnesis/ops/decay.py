"""Products of decays inside a chunk, without ever dividing by one.

What unit s wrote has decayed by prod_{s < r <= t} a_r when unit t reads it. The usual way there, exp(G_t) / exp(G_s)
with G the running sum of log a, overflows once a chunk forgets more than e^88, and G_t - G_s loses digits long before.
Here a chunk is halved again and again: a pair on two sides of a boundary decays from s to the boundary and from there
to t, and both sums are made of their own terms alone. Every factor is at most 1, and a decay of 0 (log a = -inf: a
reset) is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor


class Decayed(NamedTuple):
    """A chunk under decay: its scores, and the decays from its start up to a unit and from a unit to its end.

    ``from_start`` meets what the chunk found, ``to_end`` what a unit leaves behind; of shape [N C 1] or [N C K].
    """

    scores: list[Float[Tensor, "N C C"]]
    from_start: Tensor
    to_end: Tensor


def decayed(
    queries: Sequence[Float[Tensor, "N T K"]],
    key: Float[Tensor, "N T K"],
    log_decay: Float[Tensor, "N T"] | Float[Tensor, "N T K"],
    chunk: int,
) -> Iterator[Decayed]:
    """Of every chunk: sum_k q_tk k_sk prod_{s < r <= t} a_rk for s <= t, else 0, for each of the queries."""
    if log_decay.ndim == 2:
        pieces = zip(*(x.split(chunk, 1) for x in (*queries, key)), strict=True)
        for (*q, k), (between, *ends) in zip(pieces, side_by_side(_between, [log_decay], chunk), strict=True):
            yield Decayed([(x @ k.mT) * between for x in q], *ends)
    else:
        found = [side_by_side(_by_halves, [query, key, log_decay], chunk) for query in queries]
        for each in zip(*found, strict=True):
            yield Decayed([scores for scores, *_ in each], *each[0][1:])


def side_by_side(
    function: Callable[..., tuple[Tensor, ...]], parts: Sequence[Shaped[Tensor, "N T ..."]], chunk: int
) -> Iterator[tuple[Tensor, ...]]:
    """What the function makes of each chunk, asked once for all whole ones."""
    rows, time = parts[0].shape[:2]
    whole = time - time % chunk
    for start, stop in (0, whole), (whole, time):
        if start < stop:
            size = min(chunk, stop - start)
            folded = (x[:, start:stop].unflatten(1, (-1, size)).flatten(0, 1) for x in parts)
            yield from zip(*(x.unflatten(0, (rows, -1)).unbind(1) for x in function(*folded)), strict=True)


def _between(log_decay: Float[Tensor, "N C"]) -> tuple[Tensor, Tensor, Tensor]:
    one = torch.ones_like(log_decay)[..., None]
    return _by_halves(one, one, log_decay[..., None])


def _by_halves(
    query: Float[Tensor, "N C K"], key: Float[Tensor, "N C K"], log_decay: Float[Tensor, "N C K"]
) -> tuple[Float[Tensor, "N C C"], Float[Tensor, "N C K"], Float[Tensor, "N C K"]]:
    size = query.shape[1]
    missing = (1 << (size - 1).bit_length()) - size
    if missing:
        query, key, log_decay = (F.pad(x, (0, 0, 0, missing)) for x in (query, key, log_decay))
    q, k, up_to = query[:, :, None], key[:, :, None], log_decay[:, :, None]  # N blocks m K, blocks of one unit
    after = torch.zeros_like(up_to)
    scores = (q * k).sum(-1, keepdim=True)  # N blocks m m
    while up_to.shape[1] > 1:
        (_, q_late), (k_early, _) = halves(q), halves(k)
        (up_early, up_late), (after_early, after_late) = halves(up_to), halves(after)
        crossing = (q_late * up_late.exp()) @ (k_early * after_early.exp()).mT
        early, late = halves(scores)
        scores = torch.cat([F.pad(early, (0, crossing.shape[-1])), torch.cat([crossing, late], -1)], -2)
        whole_early, whole_late = up_early[:, :, -1:], up_late[:, :, -1:]
        up_to = torch.cat([up_early, up_late + whole_early], 2)
        after = torch.cat([after_early + whole_late, after_late], 2)
        q, k = (x.unflatten(1, (-1, 2)).flatten(2, 3) for x in (q, k))
    return scores[:, 0, :size, :size], up_to[:, 0, :size].exp(), after[:, 0, :size].exp()


def halves(x: Tensor) -> tuple[Tensor, ...]:
    """Earlier and later of every two blocks."""
    return x.unflatten(1, (-1, 2)).unbind(2)
