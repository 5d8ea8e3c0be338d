"""Observables: what a memory lets others watch (gates, surprise, attention over slots, auxiliary losses).

A mechanism calls ``record(name, value)``; nothing happens unless somebody listens::

    with recording() as observed:
        y, state = memory(x)
    observed["delta_rule/write_strength"]   # a list with one [B T ...] tensor per layer that recorded it

Values are ``[B T ...]``, one per unit, or scalars for losses (``loss/...``), which ``learn`` adds. Row order is that of
the caller's batch, however the rows were regrouped inside; gradients are kept; recomputation under activation
checkpointing records nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import zip_longest

import torch
from jaxtyping import Int
from torch import Tensor

_listener: ContextVar[_Listener | None] = ContextVar("mnesis_listener", default=None)


@dataclass
class _Call:
    values: dict[str, list[Tensor]] = field(default_factory=dict)
    place: Int[Tensor, "b n"] | None = None
    """Flat position (row * T + t) of every unit that this call reads, -1 = padding; None = the whole batch in order."""


@dataclass
class _Listener:
    calls: list[_Call] = field(default_factory=lambda: [_Call()])


def record(name: str, value: Tensor) -> None:
    """Hand a value to whoever listens; free of charge where nobody does."""
    if torch.compiler.is_compiling():
        return
    if (listener := _listener.get()) is not None:
        listener.calls[-1].values.setdefault(name, []).append(value)


@contextmanager
def recording() -> Iterator[dict[str, list[Tensor]]]:
    """Listen; the dictionary is filled when the block ends."""
    observed: dict[str, list[Tensor]] = {}
    token = _listener.set(listener := _Listener())
    try:
        yield observed
        for call in listener.calls:
            for name, values in call.values.items():
                observed.setdefault(name, []).extend(values)
    finally:
        _listener.reset(token)


@contextmanager
def silent() -> Iterator[None]:
    """Record nothing in this block (recomputation, probing)."""
    token = _listener.set(None)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def losses_alone() -> Iterator[None]:
    """Keep only losses of what this block records: its units are not the caller's, memory tokens stand among them."""
    outer = _listener.get()
    inner = None if outer is None else _Listener()
    token = _listener.set(inner)
    try:
        yield
    finally:
        _listener.reset(token)
    if outer is not None and inner is not None:
        for name, values in inner.calls[-1].values.items():
            if losses := [value for value in values if value.ndim == 0]:
                outer.calls[-1].values.setdefault(name, []).extend(losses)


@contextmanager
def regrouped(batch: int, length: int) -> Iterator[_Regrouping]:
    """Collect the records of several scans over pieces of a batch and put them back in the caller's order."""
    outer = _listener.get()
    grouping = _Regrouping()
    token = _listener.set(grouping.listener if outer is not None else None)
    try:
        yield grouping
    finally:
        _listener.reset(token)
    if outer is not None:
        for name, values in grouping.assemble(batch, length).items():
            outer.calls[-1].values.setdefault(name, []).extend(values)


class _Regrouping:
    def __init__(self) -> None:
        self.listener = _Listener([])

    def next(self, place: Int[Tensor, "b n"]) -> None:
        self.listener.calls.append(_Call(place=place))

    def assemble(self, batch: int, length: int) -> dict[str, list[Tensor]]:
        names = dict.fromkeys(name for call in self.listener.calls for name in call.values)
        return {name: self._assemble(name, batch, length) for name in names}

    def _assemble(self, name: str, batch: int, length: int) -> list[Tensor]:
        calls = [call for call in self.listener.calls if name in call.values]
        places = [call.place for call in calls if call.place is not None]
        if calls[0].values[name][0].ndim == 0:
            return _mean_losses([call.values[name] for call in calls], places)
        results = []
        for parts in zip(*(call.values[name] for call in calls), strict=True):
            flat = torch.cat([part.flatten(0, 1) for part in parts])
            index = torch.cat([place.flatten() for place in places])
            flat, index = flat[index >= 0], index[index >= 0]
            whole = flat.new_zeros(batch * length, *flat.shape[1:]).index_copy(0, index, flat)
            results.append(whole.unflatten(0, (batch, length)))
        return results


def _mean_losses(losses: list[list[Tensor]], places: list[Tensor]) -> list[Tensor]:
    """Losses of several calls, weighted by their units; a call that reads more segments records more of them."""
    units = [float((place >= 0).sum()) for place in places]
    weighted = [[loss * (own / sum(units)) for loss in call] for call, own in zip(losses, units, strict=True)]
    alike = zip_longest(*weighted)
    return [torch.stack([part for part in parts if part is not None]).sum() for parts in alike]
