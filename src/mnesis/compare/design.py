"""The network around a memory, and the width that makes two of them equal in size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import count as count_up
from typing import Any, NamedTuple

import torch

from ..core.catalog import card
from ..core.memory import Memory
from ..core.state import nbytes
from ..core.task import Task
from ..nets.for_task import network_for, usual_heads
from .setting import Setting

STEP, WIDEST, LEAST = 16, 4096, 0.95
"""Widths are multiples of this, up to that; what is matched reaches at least so much of the limit."""
FINE, HEADS = 4, (4, 2, 8, 3, 6, 5, 1)
"""Steps of widths, and numbers of heads, where states come near the limit with no usual ones."""
TRIES = 8
"""Values that are given back for a window, one after the other, until both together come near the limit."""
_ALL = range(1, WIDEST + 1)
Options = Mapping[str, Any]


class Unfit(Exception):  # noqa: N818 (a finding, not a mistake)
    """A memory cannot take part, and why."""


class Size(NamedTuple):
    """What of a network follows from what is matched."""

    dim: int
    hidden: int | None
    """Width of the MLPs; None = four times the network's."""
    options: Options
    """Of the memory."""


def build(setting: Setting, task: Task, memory: str, size: Size) -> Memory[Any]:
    """A network for the task: token ids or vectors in, logits or numbers out.

    Raises:
        ValueError: options that the memory does not take, or a width that it cannot have.
    """
    return network_for(
        task,
        memory,
        dim=size.dim,
        depth=setting.depth,
        hidden=size.hidden,
        convolution=setting.convolution,
        options=size.options,
    )


def matched(setting: Setting, task: Task, memory: str, options: Options) -> Size:
    """The size that a memory has in this setting.

    Raises:
        Unfit: none matches.
        ValueError: the memory cannot be built, whatever its size.
    """
    if setting.match is None:
        size = Size(setting.dim, None, usual_heads(memory, setting.dim, options))
        try:
            build(setting, task, memory, size)
        except ValueError as error:
            raise ValueError(f"{memory} cannot be built at width {setting.dim}: {error}") from None
        return size
    if setting.match.kind == "parameters":
        return _by_parameters(setting, setting.match.amount, task, memory, options)
    return _by_state(setting, setting.match.amount, task, memory, options)


def count_parameters(network: Memory[Any]) -> int:
    """Numbers that training moves."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_state(network: Memory[Any]) -> int:
    """Bytes of one sequence's fresh state."""
    return nbytes(network.initial_state(1, device=torch.device("cpu"), dtype=torch.float32))


def _by_parameters(setting: Setting, limit: int, task: Task, memory: str, options: Options) -> Size:
    """The largest width that stays within the limit; wider MLPs then use up what is left."""

    def count(dim: int, hidden: int | None = None) -> int:
        return count_parameters(build(setting, task, memory, Size(dim, hidden, usual_heads(memory, dim, options))))

    dim, found = _largest(count, range(STEP, WIDEST + 1, STEP), limit, "parameters", "width", memory)
    hidden = 4 * dim
    each = (count(dim, hidden + STEP) - count(dim, hidden)) // STEP
    if each > 0:
        hidden += (limit - found) // each
        found = count(dim, hidden)
    if found < LEAST * limit:
        raise Unfit(f"has {found:,} parameters at width {dim} and more than {limit:,} at {dim + STEP}; none within 5 %")
    return Size(dim, hidden, usual_heads(memory, dim, options))


def _by_state(setting: Setting, limit: int, task: Task, memory: str, options: Options) -> Size:
    """The width stays, and what the card says that states grow with is chosen; the width, if it says nothing.

    What a memory sees verbatim is a part of its state: where the argument that limits it is another one and was not
    given, at most half of the bytes are its, and what is too coarse to come near is filled up by it.
    """
    known = card("memories", memory)

    def counted(size: Size) -> int:
        return count_state(build(setting, task, memory, size))

    def largest(size: Callable[[int], Size], most: int, name: str, values: range = _ALL) -> tuple[Size, int]:
        value, found = _largest(lambda value: counted(size(value)), values, most, "bytes of state", name, memory)
        return size(value), found

    def with_options(more: Mapping[str, Any]) -> Size:
        return Size(setting.dim, None, usual_heads(memory, setting.dim, {**options, **more}))

    free = [name for name in known.limits if name not in options]
    if not known.size:
        size, found = _by_width(limit, memory, options, largest)
    elif known.size in known.limits or not free:
        names = free if known.size in free else [known.size]
        size, found = largest(lambda value: with_options(shared(value, names)), limit, " and ".join(names))
    else:
        (window,) = free
        seen = 1
        with suppress(Unfit):
            seeing, _ = largest(lambda value: with_options({window: value, known.size: 1}), limit // 2, window)
            seen = seeing.options[window]
        size, found = largest(lambda value: with_options({window: seen, known.size: value}), limit, known.size)
        for held in range(size.options[known.size], max(0, size.options[known.size] - TRIES), -1):
            if found < LEAST * limit:
                size, found = largest(
                    lambda value, own=held: with_options({window: value, known.size: own}), limit, window
                )
    if known.size and size.options[known.size] == WIDEST:  # what it names is not in so shallow a stack
        size, found = _by_width(limit, memory, options, largest)
    if found < LEAST * limit:
        named = dict.fromkeys([*free, known.size])
        told = ", ".join(f"{name} = {size.options[name]}" for name in named if name in size.options)
        raise Unfit(
            f"has {found:,} bytes of state with {told or f'width = {size.dim}'} and more than {limit:,} with the next; "
            "none within 5 %"
        )
    return size


def _by_width(limit: int, memory: str, options: Options, largest: Callable[..., tuple[Size, int]]) -> tuple[Size, int]:
    """The largest width of usual steps; where that does not come near, of finer ones, if need be in other heads."""
    size, found = largest(
        lambda dim: Size(dim, None, usual_heads(memory, dim, options)), limit, "width", range(STEP, WIDEST + 1, STEP)
    )
    chosen = "heads" in size.options and "heads" not in options
    for more in [{"heads": heads} for heads in HEADS] if chosen else [{}]:
        if found < LEAST * limit:
            finer = range(FINE, WIDEST + 1, FINE)
            with suppress(Unfit, ValueError):
                near = largest(lambda dim, own={**options, **more}: Size(dim, None, own), limit, "width", finer)
                size, found = max((size, found), near, key=lambda each: each[1])
    return size, found


def shared(value: int, names: Sequence[str]) -> dict[str, int]:
    """So many units for several arguments together, at least one each."""
    return {name: max(1, value // len(names) + (at < value % len(names))) for at, name in enumerate(names)}


def _largest(
    count: Callable[[int], int], values: range, limit: int, what: str, name: str, memory: str
) -> tuple[int, int]:
    """The largest value at which no more than the limit is counted, and the count. Counts rise with values.

    A value that a memory cannot have counts as the next lower one that it can. Counts are foretold from three by a
    polynomial, which most are, so that few networks are built: large ones take their time.

    Raises:
        Unfit: more is counted at the least already.
        ValueError: it can have none of them.
    """
    refused = ""

    @cache
    def at(index: int) -> tuple[int, int]:
        nonlocal refused
        for lower in range(index, -1, -1):
            try:
                return values[lower], count(values[lower])
            except ValueError as error:
                refused = str(error)
        return 0, 0

    low, high, counted = -1, len(values), {}
    for step in count_up():
        if high - low <= 1:
            break
        foretold = _foretold(counted, limit) if step % 3 else None
        halfway = 2 * low + 1 if high == len(values) else (low + high) // 2
        index = min(max(halfway if foretold is None else foretold, low + 1), high - 1)
        value, found = at(index)
        if value == values[index]:
            counted[index] = found
        low, high = (index, high) if found <= limit else (low, index)
    value, found = at(low) if low >= 0 else (0, 0)
    if not value and not at(min(high, len(values) - 1))[0]:
        raise ValueError(f"{memory} cannot be built with any {name}: {refused}")
    if not value:
        raise Unfit(f"has more {what} than {limit:,} with {name} = {at(high)[0]} already{_hint(memory)}")
    return value, found


def _hint(memory: str) -> str:
    """Of what stands verbatim in a memory whose several options say how much."""
    known = card("memories", memory)
    return f": of {known.sees} units, which other options lessen" if known.sees and not known.limits else ""


def _foretold(counted: Mapping[int, int], limit: int) -> int | None:
    """The largest index at which the polynomial through the last three counts is within the limit; None = unknown."""
    if len(counted) < 3:
        return None
    (a, at), (b, bt), (c, ct) = sorted(counted.items())[-3:]
    first, second = (bt - at) / (b - a), (ct - bt) / (c - b)
    curve = (second - first) / (c - a)
    slope = first - curve * (a + b)
    start = at - limit - slope * a - curve * a * a
    if abs(curve) * c <= 1e-9 * abs(slope):
        return math.floor(-start / slope + 1e-9) if slope > 0 else None
    inside = slope * slope - 4 * curve * start
    return math.floor((-slope + math.sqrt(inside)) / (2 * curve) + 1e-9) if inside >= 0 else None
