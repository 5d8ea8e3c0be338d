"""Memories that each break one law on purpose; the law must notice."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mnesis.core.memory import Memory
from mnesis.layers.transformer import Transformer, TransformerLayer
from mnesis.memories.segment.rmt import RMT


class State(NamedTuple):
    h: Tensor


class Counted(NamedTuple):
    h: Tensor
    count: Tensor


class Stored(NamedTuple):
    h: Tensor
    kept: Tensor
    units: Tensor

    growing = {"kept": "units"}  # noqa: RUF012 - of a NamedTuple
    clocks = ()


class Leaky(Memory[State]):
    """h_t = 0.7 h_{t-1} + W x_t, y_t = h_t + x_t: obeys every law. The others below spoil one thing each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.rise = nn.Linear(dim, dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return State(torch.zeros(batch, self.dim, device=device, dtype=dtype))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        h, outputs = state.h.to(x.dtype), []
        for u in self.rise(x).unbind(1):
            h = 0.7 * h + u
            outputs.append(h)
        return torch.stack(outputs, 1) + x, State(h.to(state.h.dtype))


class DropsItsState(Leaky):
    def scan(self, x, state, phase=0):
        fresh = self.initial_state(x.shape[0], device=x.device, dtype=state.h.dtype)
        return super().scan(x, fresh, phase)


class AnswersZeros(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return torch.zeros_like(y), state


class StopsGradients(Leaky):
    def scan(self, x, state, phase=0):
        return super().scan(x, State(state.h.detach()), phase)


class SeesTheFuture(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return y + 0.1 * x.mean(1, keepdim=True), state


class Narrow(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y[..., :-1], after


class LetsPaddingIn(Leaky):
    def forward(self, x, state=None, *, reset=None, length=None):  # type: ignore[misc]
        y, state = super().forward(x, state, reset=reset)
        if length is not None:
            y = y.masked_fill((torch.arange(x.shape[1])[None] >= length[:, None])[..., None], 0)
        return y, state


class ResetsLate(Leaky):
    native_reset = True

    def scan(self, x, state, phase=0, reset=None):
        outputs, flags = [], [None] * x.shape[1] if reset is None else reset.unbind(1)
        for unit, flag in zip(x.split(1, 1), flags, strict=True):
            y, state = super().scan(unit, state)
            if flag is not None:
                state = State(torch.where(flag[:, None], 0, state.h))
            outputs.append(y)
        return torch.cat(outputs, 1), state


class MixesRows(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return y + 0.1 * y.mean(0, keepdim=True), state


class Grows(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, State(state.h[:, -self.dim :]), phase)
        return y, State(torch.cat([state.h[:, : -self.dim], x[:, -1], after.h], 1))


class GrowsFaster(Leaky):
    """It keeps its inputs twice and declares them once."""

    bounded = False

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.growth = dim

    def initial_state(self, batch, *, device, dtype):
        h = super().initial_state(batch, device=device, dtype=dtype).h
        return Stored(h, h.new_zeros(batch, 0, self.dim), torch.zeros(batch, dtype=torch.long, device=device))

    def scan(self, x, state, phase=0):
        y, after = super().scan(x, State(state.h), phase)
        place = state.units[:, None] + torch.arange(2 * x.shape[1])
        kept = torch.cat([state.kept, x.new_zeros(len(x), 2 * x.shape[1], self.dim)], 1)
        kept = kept.scatter(1, place[..., None].expand(-1, -1, self.dim), torch.cat([x, x], 1))
        units = state.units + 2 * x.shape[1]
        return y, Stored(after.h, kept[:, : int(units.max())], units)


class KeepsAView(Leaky):
    def scan(self, x, state, phase=0):
        y, _ = super().scan(torch.cat([x, x], 1), state, phase)
        h = super().scan(x, state, phase)[1].h
        return y[:, : x.shape[1]], State(torch.cat([torch.zeros(9, *h.shape[1:], dtype=h.dtype), h])[9:])


class WritesInPlace(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, State(state.h.clone()), phase)
        with torch.no_grad():
            state.h.copy_(after.h)
        return y, after


class HidesAState(Leaky):
    """Keeps on the module what belongs in the state."""

    hidden: Any = None

    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        if self.hidden is not None and self.hidden.shape == after.h.shape and not bool((state.h == 0).all()):
            y = y + 0.1 * self.hidden[:, None]
        self.hidden = after.h.detach()
        return y, after


class CountsForItself(Leaky):
    """Counts units on the module, where nobody who goes back can reach."""

    read = 0

    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        self.read += x.shape[1]
        return y + 0.01 * self.read, after


class PromotesItsState(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y, State(after.h.double() if after.h.dtype == torch.float32 else after.h.float())


class HasAClock(Leaky):
    """A float32 angle of an absolute position: wrong by 0.1 at ten million."""

    def initial_state(self, batch, *, device, dtype):
        return Counted(super().initial_state(batch, device=device, dtype=dtype).h, torch.zeros(batch, dtype=torch.long))

    def scan(self, x, state, phase=0):
        y, after = super().scan(x, State(state.h), phase)
        position = state.count[:, None] + torch.arange(x.shape[1])
        angle = position.float() * 0.37
        return y * (1 + 0.1 * angle.sin()[..., None]).to(y.dtype), Counted(after.h, state.count + x.shape[1])


class Explodes(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y.exp(), after


class Branches(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return (y if float(y.sum()) > 0 else y * 1.0), after


class TwoForms(Leaky):
    forms = ("naive", "fast")

    def __init__(self, dim: int, *, form: str = "naive") -> None:
        super().__init__(dim)
        self.form = form

    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return (y if self.form == "naive" else y + 0.01 * y.square()), after


class LosesItsPlace(TransformerLayer):
    """A layer whose rotary positions start anew with every call."""

    def forward(self, h, cache=None, position=0, both_ways=(0, 0), length=None, attend=None):
        heads = self.project(h)
        turned = heads._replace(query=self.rotate(heads.query, torch.arange(h.shape[1])))
        context, cache = self.attend(self, turned, cache, position, both_ways, length)
        return h + self.output(context.flatten(2)), cache


class WrapsAHostThatLosesItsPlace(RMT):
    def __init__(self, dim: int) -> None:
        host = Transformer(dim, layers=1, heads=1)
        host.layers[0] = LosesItsPlace(dim, heads=1)
        super().__init__(dim, segment=8, memory_tokens=2, host=host)


BREAKS: dict[type[Memory], str] = {
    Narrow: "shapes",
    DropsItsState: "cuts",
    AnswersZeros: "remembers",
    StopsGradients: "remembers",
    SeesTheFuture: "causality",
    LetsPaddingIn: "padding",
    ResetsLate: "resets",
    CountsForItself: "rollback",
    MixesRows: "rows",
    Grows: "bounded",
    KeepsAView: "bounded",
    GrowsFaster: "grows",
    WritesInPlace: "purity",
    HidesAState: "saved",
    PromotesItsState: "dtypes",
    HasAClock: "late",
    Explodes: "extremes",
    Branches: "compiles",
    TwoForms: "forms",
    WrapsAHostThatLosesItsPlace: "host",
}
