"""A memory under examination: redrawn parameters, inputs, and ways of reading that must agree."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..memory import Memory
from ..pieces import first_leaf, map_leaves
from ..state import detach, leaves, put, take, tree_map

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}


class Subject:
    """A memory under examination: redrawn parameters, its inputs, one dtype."""

    def __init__(self, memory: Memory, dtype: torch.dtype, seed: int = 0) -> None:
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(seed)
        self.memory = copy.deepcopy(memory).to("cpu", dtype).eval()
        self.redraw()

    @property
    def tolerance(self) -> float:
        return TOLERANCE[self.dtype]

    def redraw(self, shift: float = 0.0) -> None:
        """Draw every parameter anew: matrices normal, deviation 1/sqrt(fan in); vectors spread around their values."""
        with torch.no_grad():
            for parameter in self.memory.parameters():
                noise = torch.randn(parameter.shape, generator=self.generator, dtype=torch.float64)
                if parameter.ndim > 1:
                    parameter.copy_(noise * math.prod(parameter.shape[1:]) ** -0.5)
                else:
                    parameter.copy_(parameter.double() + noise + shift * noise.sign())

    def draw(self, batch: int, time: int, scale: float = 1.0) -> Any:
        """Random inputs that the memory may read."""
        x = self.memory.example(batch, time, self.generator, scale)
        return map_leaves(x, lambda leaf: leaf.to(self.dtype) if leaf.is_floating_point() else leaf)

    def flags(self, batch: int, time: int, rate: float) -> Tensor:
        return torch.rand(batch, time, generator=self.generator) < rate

    def fresh(self, batch: int) -> Any:
        return self.memory.initial_state(batch, device=torch.device("cpu"), dtype=self.dtype)

    def started(self, batch: int) -> Any:
        """A state off the grid, as found in mid-stream."""
        with torch.no_grad():
            _, state = self.memory(self.draw(batch, 7))
        return detach(state)


def in_form(memory: Memory, form: str) -> Memory:
    """The same memory, weights included, with its recurrence computed in another form.

    By its own ``in_form`` where it has one, which keeps adapters and whatever else was put into it.
    """
    if (own := getattr(memory, "in_form", None)) is not None:
        return own(form)
    other = type(memory)(**{**memory.config, "form": form})
    # Assigned, not copied: a new memory is float32, and copying would round the weights of a float64 one.
    other.load_state_dict(copy.deepcopy(memory.state_dict()), assign=True)
    return other


def difference(a: Any, b: Any) -> float:
    """The gap between two outputs, states or lists of gradients; infinite where one is not finite."""
    worst = 0.0
    for u, v in zip(_tensors(a), _tensors(b), strict=True):
        if u.shape != v.shape:
            return float("inf")
        if u.numel() == 0:
            continue
        u, v = u.detach().double(), v.detach().double()
        gap = float((u - v).abs().max() / max(1.0, float(u.abs().max())))
        worst = max(worst, gap if gap == gap else float("inf"))
    return worst


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, list):
        return [tensor for item in tree for tensor in _tensors(item)]
    return leaves(tree)


Run = Callable[[Any, Any], tuple[Any, Any]]
"""Reads x from a state in some way: (x, state) -> (y, state)."""


def graded(subject: Subject, run: Run, x: Any, state: Any, seed: int = 1) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs with state, and the gradients of a random projection of both to parameters, inputs and start."""
    memory = subject.memory
    differentiable = first_leaf(x).is_floating_point()
    x = map_leaves(x, lambda leaf: leaf.clone().requires_grad_(leaf.is_floating_point()))
    state = tree_map(lambda leaf: leaf.clone().requires_grad_(leaf.is_floating_point()), state)
    y, after = run(x, state)
    results = [*leaves(y), *leaves(after)]
    generator = torch.Generator().manual_seed(seed)
    scalar = torch.zeros((), dtype=torch.float64)
    for tensor in results:
        weight = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if tensor.is_floating_point() and tensor.requires_grad:
            scalar = scalar + (tensor.double() * weight).sum()
    wanted = [p for p in memory.parameters() if p.requires_grad] + [
        leaf for leaf in leaves(state) if leaf.requires_grad
    ]
    wanted += leaves(x) if differentiable else []
    if not scalar.requires_grad:
        return results, []
    gradients = torch.autograd.grad(scalar, wanted, allow_unused=True)
    return results, [g if g is not None else torch.zeros_like(w) for g, w in zip(gradients, wanted, strict=True)]


def compare(subject: Subject, x: Any, state: Any, run: Run, *others: Run) -> float:
    """The largest gap between one way of reading and others, gradients included (outputs alone in bfloat16)."""
    if subject.dtype is torch.bfloat16:
        with torch.no_grad():
            y = leaves(run(x, state)[0])
            return max(difference(y, leaves(other(x, state)[0])) for other in others)
    results, gradients = graded(subject, run, x, state)
    worst = 0.0
    for other in others:
        results_other, gradients_other = graded(subject, other, x, state)
        worst = max(worst, difference(results, results_other), difference(gradients, gradients_other))
    return worst


def chunked(memory: Memory, sizes: Sequence[int], **options: Tensor) -> Run:
    """Reading in pieces of these sizes; ``options`` (such as reset) are cut alike."""

    def run(x: Any, state: Any) -> tuple[Any, Any]:
        outputs, start = [], 0
        for size in sizes:
            piece = map_leaves(x, lambda leaf, a=start, n=size: leaf[:, a : a + n])
            y, state = memory(piece, state, **{k: v[:, start : start + size] for k, v in options.items()})
            outputs.append(y)
            start += size
        return joined(outputs), state

    return run


def joined(outputs: list[Any], dim: int = 1) -> Any:
    """Outputs of several calls as those of one."""
    if isinstance(outputs[0], Tensor):
        return torch.cat(outputs, dim)
    return type(outputs[0])(*(joined(list(parts), dim) for parts in zip(*outputs, strict=True)))


def cuttings(time: int, generator: torch.Generator) -> list[list[int]]:
    """Ways to cut a stream: unit by unit, after the first, before the last, at random."""
    if time == 1:
        return []
    random = (torch.randperm(time - 1, generator=generator)[: min(6, time - 1)] + 1).sort().values.tolist()
    edges = [0, *random, time]
    return [[1] * time, [1, time - 1], [time - 1, 1], [b - a for a, b in pairwise(edges)]]


def lengthened(leaf: Tensor, time: int) -> Tensor:
    """One row, padded with zeros."""
    return torch.cat([leaf, leaf.new_zeros(1, time - leaf.shape[1], *leaf.shape[2:])], 1)


def stacked(states: list[Any]) -> Any:
    """States of single rows as one batch."""
    whole = take(states[0], [0] * len(states))
    for row, state in enumerate(states):
        whole = put(whole, [row], state)
    return whole
