"""Mistakes that beginners make; the laws say each in one sentence. ``MISTAKES`` has the sentences."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mnesis.core.memory import Memory

from .broken import Leaky, Narrow, State


class NoInitialState(Memory):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def scan(self, x, state, phase=0):
        return x, state


class NoScan(Memory):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def initial_state(self, batch, *, device, dtype):
        return State(torch.zeros(batch, self.dim, device=device, dtype=dtype))


class ListState(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return [torch.zeros(batch, self.dim, device=device, dtype=dtype)]


class DictState(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return {"h": torch.zeros(batch, self.dim, device=device, dtype=dtype)}


class NoneState(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return None


class BatchlessState(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return State(torch.zeros(self.dim, device=device, dtype=dtype))


class OneRow(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return State(torch.zeros(1, self.dim, device=device, dtype=dtype))


class PositionalInitialState(Leaky):
    def initial_state(self, batch):
        return State(torch.zeros(batch, self.dim))


class ForgetsTheDtype(Leaky):
    def initial_state(self, batch, *, device, dtype):
        return State(torch.zeros(batch, self.dim))

    def scan(self, x, state, phase=0):
        return self.rise(x + state.h[:, None] @ self.rise.weight), state


class Raises(Leaky):
    def scan(self, x, state, phase=0):
        raise RuntimeError("kaboom in my scan\nand more")


class RaisesLate(Leaky):
    def scan(self, x, state, phase=0):
        if x.shape[1] > 64:
            raise KeyError("too long")
        return super().scan(x, state, phase)


class NoPhase(Leaky):
    def scan(self, x, state):
        return super().scan(x, state)


class OutputAlone(Leaky):
    def scan(self, x, state, phase=0):
        return super().scan(x, state, phase)[0]


class ThreeThings(Leaky):
    def scan(self, x, state, phase=0):
        return (*super().scan(x, state, phase), None)


class Nothing(Leaky):
    def scan(self, x, state, phase=0):
        super().scan(x, state, phase)


class WritesInPlace(Leaky):
    def scan(self, x, state, phase=0):
        outputs = []
        for u in self.rise(x).unbind(1):
            state.h.mul_(0.7).add_(u)
            outputs.append(state.h.clone())
        return torch.stack(outputs, 1), state


class WritesIntoInput(Leaky):
    def scan(self, x, state, phase=0):
        x += 1
        return super().scan(x, state, phase)


class LosesRows(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y, State(after.h[:1])


class OtherState(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y, after.h


class NotANumber(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y.log(), after


class Numpy(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y.detach().float().numpy(), after


class WrongDtype(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y.half(), after


class DoubleState(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y, State(after.h.half())


class LastUnit(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y[:, -1], after


class TimeFirst(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        return y.transpose(0, 1), after


class GridWithoutPhases(Leaky):
    period = 4


class OverwritesWhatGradientsNeed(Leaky):
    def scan(self, x, state, phase=0):
        y, after = super().scan(x, state, phase)
        y = y.sigmoid()
        y.mul_(2)
        return y, after


MISTAKES: dict[type[Memory], str] = {
    NoInitialState: "NoInitialState has no initial_state; define initial_state(self, batch, *, device, dtype)",
    NoScan: "NoScan has no scan; define scan(self, x, state, phase=0)",
    ListState: "initial_state gives a state that holds a list of 1; hold tensors in tuples or NamedTuples",
    DictState: "initial_state gives a state that holds a dict of 1; hold tensors in tuples or NamedTuples",
    NoneState: "initial_state gives a state that holds None; hold tensors in tuples or NamedTuples",
    BatchlessState: "initial_state(2) gives a leaf of shape [8]; the first axis of every leaf is the batch: [2, ...]",
    OneRow: "initial_state(2) gives a leaf of shape [1, 8]; the first axis of every leaf is the batch: [2, ...]",
    PositionalInitialState: "initial_state(self, batch) cannot be called (got an unexpected keyword argument "
    "'device'); write initial_state(self, batch, *, device, dtype)",
    ForgetsTheDtype: "; initial_state gives float32 for dtype=float64: pass dtype on",
    Raises: "scan raises RuntimeError: kaboom in my scan (mistakes.py, line ",
    NoPhase: "scan(self, x, state) cannot be called (too many positional arguments); write scan(self, x, "
    "state, phase=0)",
    OutputAlone: "scan returns a tensor of shape [2, 1, 8]; return (y, state)",
    ThreeThings: "scan returns 3 things; return (y, state)",
    Nothing: "scan returns None; return (y, state)",
    WritesInPlace: "scan writes into the state that it was given; make a new tensor (h = h + u, not h += u or "
    "h.copy_(u))",
    WritesIntoInput: "scan writes into the input that it was given; make a new tensor (h = h + u, not h += u or "
    "h.copy_(u))",
    LosesRows: "scan returns a state of 1 rows for a batch of 2 (a leaf of shape [1, 8]); the first axis of every leaf "
    "is the batch",
    OtherState: "scan returns a state that is a tensor of shape [2, 8] where initial_state gives State(h); return the "
    "same structure",
    NotANumber: "scan returns NaN for inputs of size 1; keep its outputs finite",
    Numpy: "scan returns outputs that are a ndarray; return a tensor [batch, time, dim]",
    WrongDtype: "scan returns float16 where float64 is read; return y.to(x.dtype)",
    DoubleState: "scan returns a state in float16 where initial_state gives float64; keep its dtype: h.to(state.dtype)",
    Narrow: "scan returns outputs of shape [2, 1, 7]; return [batch, time, dim], here [2, 1, 8]",
    LastUnit: "scan returns outputs of shape [2, 8]; return [batch, time, dim], here [2, 1, 8]",
    TimeFirst: "scan returns outputs of shape [1, 2, 8]; return [batch, time, dim], here [2, 1, 8]",
    GridWithoutPhases: "phase_of gives None of a state of 2 rows; with period=4, give each row's place in it: [2]",
    OverwritesWhatGradientsNeed: "the backward pass of scan raises RuntimeError: one of the variables needed for "
    "gradient computation has been modified by an inplace operation: ",
}


class Wide(nn.Module):
    """Not a memory, and examined all the same: h = 0.7 h + x, with its state in a dictionary."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.rise = dim, nn.Linear(dim, dim)

    def forward(self, x: Any, state: Any = None) -> Any:
        h, outputs = state["h"] if state else torch.zeros_like(x[:, 0]), []
        for u in self.rise(x).unbind(1):
            h = 0.7 * h + u
            outputs.append(h)
        return torch.stack(outputs, 1), {"h": h}


class Neither(nn.Module):
    pass
