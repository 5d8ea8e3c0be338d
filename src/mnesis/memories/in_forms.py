"""Memories whose recurrence can be computed in several forms."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast

from torch import Tensor

from ..core.memory import Memory
from ..ops.kernels import NAME, stand_in
from ..ops.recurrence import FORMS, Recurrence
from ..ops.sequence_split import compute_split, is_split

S = TypeVar("S")
M = TypeVar("M", bound=Memory[Any])


class MemoryInForms(Memory[S]):
    """A memory around one :class:`~mnesis.ops.recurrence.Recurrence`: an author writes ``initial_state`` and ``read``.

    A single unit is always read by the recurrence's step.

    Args:
        dim: width of inputs and outputs.
        form: how a sequence is computed, one of ``forms``; changes speed, not results.
        chunk: units in a chunk of that form; None = the recurrence's own default.

    Raises:
        ValueError: an unknown form.
    """

    forms: ClassVar[tuple[str, ...]] = FORMS
    splits: ClassVar[bool] = True
    has_kernel: ClassVar[bool] = False
    """True where the recurrence is one that GPU kernels may stand in for."""

    def __init__(self, dim: int, form: str, chunk: int | None) -> None:
        super().__init__()
        if form not in self.forms:
            raise ValueError(f"{type(self).__name__} has no form {form!r}; choose one of {', '.join(self.forms)}")
        self.dim, self.form, self.chunk = dim, form, chunk
        self.run_instead: Callable[..., tuple[Tensor, ...]] | None = None

    @property
    def backend(self) -> str:
        """ "flash-linear-attention" where its kernels run sequences (:mod:`~mnesis.ops.kernels`), else "torch"."""
        if not (self.has_kernel and self.form == "chunk" and self.chunk is None):
            return "torch"
        weight = next(self.parameters())
        return NAME if stand_in(weight.device, weight.dtype) else "torch"

    @abstractmethod
    def read(self, x: Any, state: S, form: str) -> tuple[Any, S]:
        """Read ``x [B T ...]`` in one form."""

    def run(self, recurrence: Recurrence, form: str, *parts: Tensor | None) -> tuple[Tensor, ...]:
        """The recurrence of sequences and what is carried, in that form; or what stands instead of it just now."""
        if self.run_instead is not None:
            return self.run_instead(recurrence, form, *parts)
        return (compute_split if is_split() else Recurrence.compute)(recurrence, form, *parts, chunk=self.chunk)

    def in_form(self, form: str) -> MemoryInForms[S]:
        """A copy that computes sequences in that form; what was put inside it, such as adapters, stays there."""
        return switched(self, form)

    def scan(self, x: Any, state: S, phase: int = 0) -> tuple[Any, S]:
        return self.read(x, state, self.form)

    def step(self, x: Any, state: S) -> tuple[Any, S]:
        y, state = self.read(x[:, None], state, "naive")
        return y.squeeze(1), state


def switched(memory: M, form: str) -> M:
    """A copy of a memory that keeps its form in ``form``, and so do those inside it, switched to another of its forms.

    Raises:
        ValueError: an unknown form.
    """
    forms = getattr(memory, "forms", ())
    if form not in forms:
        raise ValueError(f"{type(memory).__name__} has no form {form!r}; choose one of {', '.join(forms)}")
    other = copy.deepcopy(memory)
    for part in other.modules():
        if isinstance(part, Memory) and "form" in part.config:
            cast(Any, part).form = form
            part.__dict__["_arguments"]["form"] = form
    return other
