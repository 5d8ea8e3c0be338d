"""MemMamba: Mamba that takes notes of units that matter and attends to them where its state may have lost them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...core.record import record
from ...layers.wide_linear import WideLinear
from ...ops.precision import without_autocast
from ...ops.recurrence import Recurrence
from ..in_forms import MemoryInForms
from .mamba import Mamba, MambaState

EMPTY = -1e30
"""Score of what must not be seen: finite, so that a pool without notes has a softmax too."""


class MemMambaState(NamedTuple):
    """What MemMamba carries; notes and the last output in the compute dtype."""

    mamba: MambaState
    last: Float[Tensor, "B D"]
    """z: Mamba's output of the unit before."""
    notes: Float[Tensor, "B S N"]
    """The pool, newest last."""
    taken: Float[Tensor, "B S"]
    """1 for slots that hold a note; in float32 or wider."""


class MemMamba(MemoryInForms[MemMambaState]):
    """One layer of MemMamba without attention across layers (Wang et al. 2025, arXiv 2510.03279).

    A unit whose importance I = sigmoid(w . x) is above a threshold is summarised, s = I W_s x, and put into a pool of
    S slots, first in, first out. Where a score of Mamba's last output, J = sigmoid(v . z_{t-1}), says that the state
    forgets, the pool so far is read by attention: y = Mamba(x) + (J - threshold)_+ W_o Attention(W_q x, s, s). State:
    Mamba's, dim + slots summary numbers a row, and slots in float32. Observables: ``memmamba/importance`` (I) and
    ``memmamba/forgetting`` (J), [B T], and Mamba's.

    The formulas are second-hand: from reports of the paper and another's code after it, whose pool sees the future, not
    read in the paper, of which no code is public. As reported, both scores are compared with thresholds, and how such
    choices are learned is left open; here what passes is weighted by its score, so that both get gradients, and scores
    are linear. What is reported beside it and missing here: every few layers the pools of other layers are read too,
    which a memory that stands in one block cannot see, and a note of low priority, not the oldest, may give way.

    Args:
        dim: width of inputs and outputs.
        slots: S, notes in the pool.
        summary: N, width of a note.
        importance: threshold of I, above which a unit is noted.
        forgetting: threshold of J, above which notes are read.
        states: of Mamba, for each of its channels.
        expansion: of Mamba, channels / dim.
        convolution: width of Mamba's convolution.
        rank: of Mamba's time steps; None = dim / 16, rounded up.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: notes without slots or width, thresholds outside [0, 1), an unknown form, or a chunk without units;
            what Mamba cannot be built with.
    """

    splits = False

    def __init__(
        self,
        dim: int,
        *,
        slots: int = 50,
        summary: int = 64,
        importance: float = 0.5,
        forgetting: float = 0.3,
        states: int = 16,
        expansion: int = 2,
        convolution: int = 4,
        rank: int | None = None,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if not (0 <= importance < 1 and 0 <= forgetting < 1):
            raise ValueError(f"importance={importance}, forgetting={forgetting}: thresholds of a sigmoid lie in [0, 1)")
        self.slots, self.width, self.noted, self.thresholds = slots, dim, summary, (importance, forgetting)
        self.mamba = Mamba(
            dim, states=states, expansion=expansion, convolution=convolution, rank=rank, form=form, chunk=chunk
        )
        # Wide, also under autocast: on which side of a threshold a score lies must not depend on a form.
        self.importance, self.forgetting = WideLinear(dim, 1), WideLinear(dim, 1)
        self.summary, self.query = nn.Linear(dim, summary), nn.Linear(dim, summary)
        self.output = nn.Linear(summary, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MemMambaState:
        return MemMambaState(
            self.mamba.initial_state(batch, device=device, dtype=dtype),
            torch.zeros(batch, self.width, device=device, dtype=dtype),
            torch.zeros(batch, self.slots, self.noted, device=device, dtype=dtype),
            torch.zeros(batch, self.slots, device=device, dtype=torch.promote_types(dtype, torch.float32)),
        )

    def scan(self, x: Float[Tensor, "B T D"], state: MemMambaState, phase: int = 0) -> tuple[Tensor, MemMambaState]:
        y, mamba = self.mamba(x, state.mamba, phase=phase)
        return self._with_notes(x, y, mamba, state, self.form)

    def step(self, x: Float[Tensor, "B D"], state: MemMambaState) -> tuple[Tensor, MemMambaState]:
        y, mamba = self.mamba(x, state.mamba, step=True)
        y, state = self._with_notes(x[:, None], y[:, None], mamba, state, "naive")
        return y.squeeze(1), state

    def _with_notes(
        self, x: Float[Tensor, "B T D"], y: Float[Tensor, "B T D"], mamba: MambaState, state: MemMambaState, form: str
    ) -> tuple[Tensor, MemMambaState]:
        """Mamba's outputs y with what is found in the notes."""
        before, wide = torch.cat([state.last[:, None].to(y.dtype), y[:, :-1]], 1), state.taken.dtype
        with without_autocast(x.device):
            important = self.importance(x.to(wide)).squeeze(-1).sigmoid()
            forgets = self.forgetting(before.to(wide)).squeeze(-1).sigmoid()
        record("memmamba/importance", important)
        record("memmamba/forgetting", forgets)
        query, summary = self.query(x), self.summary(x)
        summary = important[..., None].to(summary.dtype) * summary
        noted = (important > self.thresholds[0]).to(state.taken.dtype)
        found, notes, taken = self.run(POOL, form, query, summary, noted, state.notes, state.taken)
        weight = F.relu(forgets - self.thresholds[1])
        read = self.output((weight[..., None] * found).to(y.dtype))
        return y + read, MemMambaState(mamba, y[:, -1].to(state.last.dtype).clone(), notes, taken)


def _attention(
    query: Float[Tensor, "B T N"], notes: Float[Tensor, "B E N"], visible: Bool[Tensor, "B T E"]
) -> Float[Tensor, "B T N"]:
    scores = (query @ notes.mT * query.shape[-1] ** -0.5).masked_fill(~visible, EMPTY)
    return (scores.softmax(-1) * visible) @ notes


def _step(
    query: Float[Tensor, "B N"],
    summary: Float[Tensor, "B N"],
    noted: Float[Tensor, " B"],
    notes: Float[Tensor, "B S N"],
    taken: Float[Tensor, "B S"],
) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B S N"], Float[Tensor, "B S"]]:
    """One unit: what it finds in the pool, then the pool with its own note."""
    with without_autocast(taken.device):
        found = _attention(query[:, None].to(taken.dtype), notes.to(taken.dtype), taken[:, None] > 0)
        longer = torch.cat([notes, summary[:, None].to(notes.dtype)], 1)
        moved, here = noted[:, None] > 0, torch.cat([taken, torch.ones_like(taken[:, :1])], 1)
        return found[:, 0], longer[:, 1:].where(moved[..., None], notes), here[:, 1:].where(moved, taken)


def _chunks(
    query: Float[Tensor, "B T N"],
    summary: Float[Tensor, "B T N"],
    noted: Float[Tensor, "B T"],
    notes: Float[Tensor, "B S N"],
    taken: Float[Tensor, "B S"],
    *,
    chunk: int = 64,
) -> tuple[Float[Tensor, "B T N"], Float[Tensor, "B S N"], Float[Tensor, "B S"]]:
    """Pool and notes of a chunk as one list, of which unit t sees S places from the number of notes before it."""
    slots, outputs = taken.shape[1], []
    with without_autocast(taken.device):
        for q, s, note in zip(*(part.split(chunk, 1) for part in (query, summary, noted)), strict=True):
            entries, there = torch.cat([notes, s.to(notes.dtype)], 1), torch.cat([taken, note], 1)
            count = note.cumsum(1).long()
            before = count - note.long()
            own = torch.arange(slots, device=q.device).expand(q.shape[0], -1)
            place = torch.cat([own, slots + before], 1)
            ahead = place[:, None] - before[..., None]
            visible = (there > 0)[:, None] & (ahead >= 0) & (ahead < slots)
            outputs.append(_attention(q.to(taken.dtype), entries.to(taken.dtype), visible))
            # What falls out of the pool, or is no note, goes to one slot more.
            slot = place - count[:, -1:]
            slot = slot.where((slot >= 0) & torch.cat([torch.ones_like(taken), note], 1).bool(), slots)
            notes = F.pad(torch.zeros_like(notes), (0, 0, 0, 1)).scatter(1, slot[..., None].expand_as(entries), entries)
            taken = F.pad(torch.zeros_like(taken), (0, 1)).scatter(1, slot, there)
            notes, taken = notes[:, :slots].clone(), taken[:, :slots].clone()
        return torch.cat(outputs, 1), notes, taken


POOL = Recurrence(_step, _chunks, sequences=3)
