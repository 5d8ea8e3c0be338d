"""The law ``host``: a layer that a memory wraps gives the same, in whatever pieces and by whichever call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..host import Host
from ..memory import Memory
from ..state import detach, take
from .examining import NotOffered
from .subject import Run, Subject, compare, joined, stacked

UNITS, CAPACITY = 13, 16
BLOCKS = (2, 3)
"""Memory tokens before and behind the units, where a memory lets them see one another in both directions."""

Call = Callable[..., tuple[Tensor, Any]]


def host(subject: Subject) -> float:
    """Every layer of a host gives the same without a cache, with one, cut anywhere, and with its own ``attend``."""
    memory, wrapped = next(_wrapping(subject.memory), (None, None))
    if wrapped is None:
        raise NotOffered("it wraps no host")
    worst = 0.0
    for layer in wrapped.layers:
        h = torch.randn(2, UNITS, wrapped.dim, generator=subject.generator, dtype=torch.float64).to(subject.dtype)
        empty = detach(layer.initial_cache(2, CAPACITY, device=h.device, dtype=h.dtype))
        calls: list[Call] = [layer]
        if getattr(layer, "attention", None) is not None:
            calls.append(lambda *given, layer=layer, **named: layer(*given, **named, attend=layer.attend))
        worst = max(worst, _without_memory_tokens(subject, h, empty, calls))
        if getattr(memory, "both_ways", False):
            worst = max(worst, _with_memory_tokens(subject, h, empty, calls))
    return worst


def wraps_a_host(memory: Memory) -> bool:
    """Whether a memory, itself or inside, calls the layers of a host."""
    return any(True for _ in _wrapping(memory))


def _wrapping(memory: Memory) -> Iterator[tuple[Any, Any]]:
    """Memories that wrap a host, with their hosts."""
    for part in memory.modules():
        if isinstance(found := getattr(part, "host", None), Host):
            yield part, found


def _without_memory_tokens(subject: Subject, h: Tensor, empty: Any, calls: list[Call]) -> float:
    ways = [in_pieces(call, sizes) for call in calls for sizes in ([UNITS], [1, 5, 7], [UNITS - 1, 1])]
    ways += [unit_by_unit(call) for call in calls]
    worst = compare(subject, h, empty, *ways)
    worst = max(worst, compare(subject, h, empty, *(outputs_of(way) for way in (without_cache(calls[0]), *ways))))
    worst = max(worst, compare(subject, h, empty, *(at_places_of_their_own(call, ahead=4) for call in calls)))
    return max(worst, compare(subject, h, empty, *(way for call in calls for way in ragged(call, [UNITS, 5]))))


def _with_memory_tokens(subject: Subject, h: Tensor, empty: Any, calls: list[Call]) -> float:
    first, last = BLOCKS

    def whole(call: Call, cached: bool) -> Run:
        return lambda h, cache: (call(h, cache if cached else None, 0, BLOCKS)[0], ())

    def cut(call: Call) -> Run:
        def run(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
            start, cache = call(h[:, :6], cache, 0, (first, 0))
            middle, cache = call(h[:, 6:-last], cache, 6)
            end, _ = call(h[:, -last:], cache, h.shape[1] - last, (0, last))
            return torch.cat([start, middle, end], 1), ()

        return run

    ways = [whole(calls[0], cached=False)]
    ways += [way for call in calls for way in (whole(call, cached=True), cut(call))]
    return compare(subject, h, empty, *ways)


def without_cache(call: Call) -> Run:
    """A whole segment in one call that keeps nothing."""
    return lambda h, cache: call(h, None, 0)


def outputs_of(run: Run) -> Run:
    """What a way of reading gives, without the cache behind it."""
    return lambda h, cache: (run(h, cache)[0], ())


def in_pieces(call: Call, sizes: list[int]) -> Run:
    """Pieces of these sizes, at positions that are numbers."""

    def run(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
        outputs, position = [], 0
        for piece in h.split(sizes, 1):
            y, cache = call(piece, cache, position)
            outputs.append(y)
            position += piece.shape[1]
        return joined(outputs), cache

    return run


def unit_by_unit(call: Call, ahead: int = 0) -> Run:
    """Single units at positions of their rows; the second row's first ``ahead`` units are in its cache already."""

    def run(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
        outputs = []
        for t, unit in enumerate(h.split(1, 1)):
            y, cache = call(unit, cache, torch.tensor([t, t + ahead]))
            outputs.append(y)
        return joined(outputs), cache

    return run


def at_places_of_their_own(call: Call, ahead: int) -> Run:
    """The first row from its start, the second from further on, against each row by itself."""

    def run(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
        units = h.shape[1] - ahead
        _, second = call(h[1:, :ahead], take(cache, [1]), 0)
        start = stacked([take(cache, [0]), second])
        together, after = unit_by_unit(call, ahead)(torch.cat([h[:1, :units], h[1:, ahead:]]), start)
        rows = [call(h[:1, :units], take(cache, [0]), 0), call(h[1:, ahead:], second, ahead)]
        apart, after_apart = torch.cat([y for y, _ in rows]), stacked([c for _, c in rows])
        return torch.cat([together, apart]), (after, after_apart)

    return run


def ragged(call: Call, length: list[int]) -> list[Run]:
    """Rows of which only the first units are real: padded together, and each by itself."""

    def padded(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
        y, cache = call(h, cache, 0, length=torch.tensor(length))
        real = torch.arange(h.shape[1])[None] < torch.tensor(length)[:, None]
        return torch.where(real[..., None], y, 0.0), cache

    def alone(h: Tensor, cache: Any) -> tuple[Tensor, Any]:
        rows = [call(h[row : row + 1, :n], take(cache, [row]), 0) for row, n in enumerate(length)]
        filled = [torch.cat([y, y.new_zeros(1, h.shape[1] - y.shape[1], y.shape[2])], 1) for y, _ in rows]
        return torch.cat(filled), stacked([c for _, c in rows])

    return [padded, alone]
