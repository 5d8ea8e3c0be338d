"""The network around a memory, and the width that makes two of them equal in size."""

from __future__ import annotations

import inspect
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import torch

from ..core.catalog import card
from ..core.memory import Memory
from ..core.state import nbytes
from ..core.task import Task
from ..nets import Classifier, LanguageModel
from .setting import Setting

STEP, WIDEST, LEAST = 16, 4096, 0.95
"""Widths are multiples of this, up to that; what is matched reaches at least so much of the limit."""
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

    Around a memory that is not trained stand no MLPs, which nothing would fit.

    Raises:
        ValueError: options that the memory does not take, or a width that it cannot have.
    """
    around: dict[str, Any] = {
        "dim": size.dim,
        "hidden": size.hidden,
        "memory": memory,
        "depth": setting.depth,
        "convolution": setting.convolution if _takes_convolution(memory) else None,
        "options": dict(size.options),
        "mlp": None if card("memories", memory).search else "gelu",
    }
    if not task.features:
        return LanguageModel(task.vocabulary, **around)
    return Classifier(task.features, task.target_features or task.vocabulary, **around)


def _takes_convolution(memory: str) -> bool:
    """Whether it stands in our blocks, or is a whole stack that has a place for one."""
    known = card("memories", memory)
    return not known.whole or "convolution" in inspect.signature(known.load().__init__).parameters


def matched(setting: Setting, task: Task, memory: str, options: Options) -> Size:
    """The size that a memory has in this setting.

    Raises:
        Unfit: none matches, or the memory cannot be built at the only one.
    """
    if setting.match is None:
        size = Size(setting.dim, None, _with_heads(memory, setting.dim, options))
        try:
            build(setting, task, memory, size)
        except ValueError as error:
            raise Unfit(f"cannot be built at width {setting.dim}: {error}") from None
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
        return count_parameters(build(setting, task, memory, Size(dim, hidden, _with_heads(memory, dim, options))))

    dim, found = _largest(count, range(STEP, WIDEST + 1, STEP), limit, "parameters", "width")
    hidden = 4 * dim
    each = (count(dim, hidden + STEP) - count(dim, hidden)) // STEP
    if each > 0:
        hidden += (limit - found) // each
        found = count(dim, hidden)
    if found < LEAST * limit:
        raise Unfit(f"has {found:,} parameters at width {dim} and more than {limit:,} at {dim + STEP}; none within 5 %")
    return Size(dim, hidden, _with_heads(memory, dim, options))


def _by_state(setting: Setting, limit: int, task: Task, memory: str, options: Options) -> Size:
    """The width stays, and what the card says that states grow with is chosen; the width, if it says nothing."""
    knob = card("memories", memory).size

    def size(value: int) -> Size:
        if knob:
            return Size(setting.dim, None, _with_heads(memory, setting.dim, {**options, knob: value}))
        return Size(value, None, _with_heads(memory, value, options))

    def count(value: int) -> int:
        return count_state(build(setting, task, memory, size(value)))

    values = range(1, WIDEST + 1) if knob else range(STEP, WIDEST + 1, STEP)
    value, found = _largest(count, values, limit, "bytes of state", knob or "width")
    if found < LEAST * limit:
        raise Unfit(
            f"has {found:,} bytes of state with {knob or 'width'} = {value} and more than {limit:,} with the next; "
            "none within 5 %"
        )
    return size(value)


def _largest(count: Callable[[int], int], values: range, limit: int, what: str, name: str) -> tuple[int, int]:
    """The largest value at which no more than the limit is counted, and the count. Counts rise with values.

    A value that a memory cannot have counts as the next lower one that it can.
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

    end = 1
    while end < len(values) and at(end - 1)[1] <= limit:
        end = min(2 * end, len(values))
    place = bisect_right(range(end), limit, key=lambda index: at(index)[1])
    value, found = at(place - 1) if place else (0, 0)
    if not value:
        raise Unfit(refused or f"has more {what} than {limit:,} with {name} = {values[0]} already")
    return value, found


def _with_heads(memory: str, dim: int, options: Options) -> Options:
    """Four heads, or as many as divide the width, where the memory has heads and no number was given."""
    parameters = inspect.signature(card("memories", memory).load().__init__).parameters
    if "heads" not in parameters or "heads" in options or parameters["heads"].default is None:
        return options
    return {**options, "heads": next(count for count in (4, 2, 1) if dim % (2 * count) == 0 or count == 1)}
