"""One recurrence in the forms that it can be computed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .kernels import stand_in
from .precision import without_autocast
from .transforms import readable, transformed

FORMS = ("naive", "chunk", "parallel")
"""Unit after unit; chunk after chunk; all units at once."""


class Summary(NamedTuple):
    """What a piece of a sequence makes of anything that is carried into it: it decays, and the update is added."""

    decay: Tensor
    update: tuple[Tensor, ...]
    """What the piece leaves where nothing was carried."""


def chunk_after_chunk(
    one: Callable[..., tuple[Tensor, Tensor]],
    sequences: Sequence[Shaped[Tensor, "B T ..."]],
    carried: Tensor,
    chunk: int,
    *,
    anew: bool = True,
) -> tuple[Tensor, Tensor]:
    """Outputs and what is carried on, of a function of each chunk and what was carried into it.

    Args:
        one: of a chunk's sequences and what is carried.
        sequences: of the same length.
        carried: into the first.
        chunk: units in each.
        anew: what a chunk needs besides its inputs is made anew in the backward pass, not kept; but kept under a
            transform of torch.func, which knows no such thing.
    """
    outputs, again = [], anew and torch.is_grad_enabled() and not transformed()
    for piece in zip(*(part.split(chunk, 1) for part in sequences), strict=True):
        y, carried = checkpoint(one, *piece, carried, use_reentrant=False) if again else one(*piece, carried)
        outputs.append(y)
    return torch.cat(outputs, 1), carried


def decayed_sum(summary: Summary, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """decay * carried + update."""
    return (torch.addcmul(summary.update[0], summary.decay, carried[0]),)


@dataclass(frozen=True)
class Passage:
    """How a whole piece of a sequence acts on what is carried into it, for recurrences that are linear in it.

    Args:
        decay: of the piece's sequences and what is carried.
        apply: what is carried out, of a summary and what is carried in.
        empty: what is carried before the first unit; None = zeros.
    """

    decay: Callable[..., Tensor]
    apply: Callable[[Summary, tuple[Tensor, ...]], tuple[Tensor, ...]] = decayed_sum
    empty: Callable[..., tuple[Tensor, ...]] | None = None


@dataclass(frozen=True)
class Recurrence:
    """``step`` is the equations; the other forms say the same of a whole sequence, faster.

    Every function takes sequences, then what is carried, and returns outputs, then what is carried on.

    Args:
        step: of one unit, ``[B ...]``.
        chunk: of a sequence ``[B T ...]``, with ``chunk=``: linear in T.
        sequences: how many; one that is None is left out.
        outputs: how many of the results belong to units.
        parallel: of a sequence; None = ``chunk`` with a single chunk.
        passage: of a whole piece; None where what a piece does has no short form.
        domain: raises ValueError where sequences or what is carried cannot be meant.
        kernel: that stands in for ``chunk`` where it can (:mod:`~mnesis.ops.kernels`); its result is None for sizes
            that it does not take.
    """

    step: Callable[..., tuple[Tensor, ...]]
    chunk: Callable[..., tuple[Tensor, ...]]
    sequences: int
    outputs: int = 1
    parallel: Callable[..., tuple[Tensor, ...]] | None = None
    passage: Passage | None = None
    domain: Callable[..., None] | None = None
    kernel: Callable[..., tuple[Tensor, ...] | None] | None = None

    def __call__(self, form: str, *parts: Any, chunk: int | None = None) -> tuple[Tensor, ...]:
        """Outputs, then what is carried on.

        Args:
            form: one of ``FORMS``.
            parts: sequences, then what is carried.
            chunk: units in a chunk of that form; None = the operation's own default, or a kernel's where one stands in.

        Raises:
            ValueError: an unknown form, a chunk without units, sequences of different lengths, or values outside the
                operation's domain (on a CPU; an accelerator would have to be waited for).
        """
        self._check(form, parts, chunk)
        return self.compute(form, *parts, chunk=chunk)

    def compute(self, form: str, *parts: Any, chunk: int | None = None) -> tuple[Tensor, ...]:
        """The same of parts that are known to be right."""
        if form == "naive":
            return self._unit_by_unit(*parts)
        if form == "parallel":
            time = next(part.shape[1] for part in parts[: self.sequences] if part is not None)
            return self.parallel(*parts) if self.parallel else self.chunk(*parts, chunk=time)
        if chunk is not None:
            return self.chunk(*parts, chunk=chunk)
        if self.kernel is not None and stand_in(parts[self.sequences].device, parts[self.sequences].dtype):
            found = self.kernel(*parts)
            if found is not None:
                return found
        return self.chunk(*parts)

    def summary(self, form: str, *parts: Any, chunk: int | None = None) -> Summary:
        """What this piece makes of anything that is carried into it, whatever is carried here.

        Pieces can so be read at the same time: ``follow`` hands on what each of them starts from.

        Raises:
            TypeError: a recurrence that is not linear in what it carries.
        """
        sequences, carried = parts[: self.sequences], parts[self.sequences :]
        passage = self._passage()
        empty = passage.empty(*carried) if passage.empty else tuple(torch.zeros_like(part) for part in carried)
        update = self.compute(form, *sequences, *empty, chunk=chunk)[self.outputs :]
        with without_autocast(carried[0].device):
            return Summary(passage.decay(*sequences, *carried), update)

    def follow(self, summary: Summary, *carried: Tensor) -> tuple[Tensor, ...]:
        """What is carried out of a piece, of what is carried into it.

        Raises:
            TypeError: a recurrence that is not linear in what it carries.
        """
        with without_autocast(carried[0].device):
            return self._passage().apply(summary, carried)

    def _passage(self) -> Passage:
        if self.passage is None:
            raise TypeError("this recurrence has no summary of a piece; read the pieces one after the other")
        return self.passage

    def _unit_by_unit(self, *parts: Any) -> tuple[Tensor, ...]:
        sequences, carried = parts[: self.sequences], parts[self.sequences :]
        outputs = []
        for unit in zip(*(repeat(None) if part is None else part.unbind(1) for part in sequences), strict=False):
            found = self.step(*unit, *carried)
            outputs.append(found[: self.outputs])
            carried = found[self.outputs :]
        return *(torch.stack(each, 1) for each in zip(*outputs, strict=True)), *carried

    def _check(self, form: str, parts: tuple[Any, ...], chunk: int | None) -> None:
        if form not in FORMS:
            raise ValueError(f"no form is called {form!r}; choose one of {', '.join(FORMS)}")
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk={chunk}: a chunk holds at least one unit; give 1 or more, or None for the default")
        sequences = [part for part in parts[: self.sequences] if part is not None]
        found = sorted({tuple(part.shape[:2]) for part in sequences})
        if len(found) != 1 or 0 in found[0]:
            raise ValueError(f"sequences of [batch, time] {found}: give all of them the same, at least one unit")
        rows = sorted({part.shape[0] for part in parts[self.sequences :]} | {found[0][0]})
        if len(rows) != 1:
            raise ValueError(f"sequences and what is carried have batches of {rows} rows; give all of them the same")
        if self.domain is not None:
            self.domain(*parts)


def check_log_decay(log_decay: Tensor | None) -> None:
    """Raises ValueError where something would grow, or is not a number."""
    if log_decay is None or log_decay.device.type != "cpu" or not readable(log_decay):
        return
    most = float(log_decay.detach().amax())
    if not most <= 0:
        raise ValueError(
            f"log_decay reaches {most:g}: a decay lies in [0, 1], so its logarithm is at most 0; give logsigmoid(x) or "
            "-softplus(x)"
        )


def check_complex(state: Tensor, **parts: Tensor) -> None:
    """Raises ValueError where complex numbers meet a state that cannot hold them."""
    found = next((name for name, part in parts.items() if part.is_complex()), None)
    if found and not state.is_complex():
        raise ValueError(
            f"a {found} of {parts[found].dtype} makes the state complex, and {state.dtype} holds no complex numbers; "
            "give a state of complex64 or complex128"
        )
