"""minGRU: a GRU whose gate and candidate do not see the past."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms


class MinGRUState(NamedTuple):
    """What minGRU carries, in float32 or wider."""

    hidden: Float[Tensor, "B E"]


class MinGRU(MemoryInForms[MinGRUState]):
    """minGRU (Feng et al. 2024, arXiv 2410.01201): each channel a moving average whose pace follows the data.

    h_t = (1 - z_t) h_{t-1} + z_t c_t with the gate z = sigmoid(W_z x + b_z) and the candidate c = g(W_c x + b_c); the
    output is a projection of h, as in the authors' code (BorealisAI/minRNNs). The paper computes it in logarithms, for
    which its g keeps candidates positive; here all stays in linear space, which takes any g and loses no digits. The
    state starts from 0; the authors' option of a learned start g(h_0) (``use_init_hidden_state``) is left out.
    State: expansion dim numbers a row in float32. Observable: ``min_gru/update`` (z), [B T E].

    Args:
        dim: width of inputs and outputs.
        expansion: E / dim.
        candidate: g, "positive" as the authors train it (appendix B.3) or "linear" as the paper's section 3 defines it.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no channels, an unknown candidate or form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        expansion: float = 1.0,
        candidate: str = "positive",
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.hidden, self.activation = expanded(dim, expansion), activation(candidate)
        self.gate, self.candidate = nn.Linear(dim, self.hidden), nn.Linear(dim, self.hidden)
        self.output = nn.Linear(self.hidden, dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MinGRUState:
        wide = torch.promote_types(dtype, torch.float32)
        return MinGRUState(torch.zeros(batch, self.hidden, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T D"], state: MinGRUState, form: str) -> tuple[Tensor, MinGRUState]:
        candidate, gate = self.candidate(x), self.gate(x).to(state.hidden.dtype)
        update = gate.sigmoid()
        record("min_gru/update", update)
        kept = (-gate).sigmoid()  # 1 - z, with all its digits where z is near 1
        written = update * self.activation(candidate.to(update.dtype))
        y, hidden = self.run(diagonal, form, kept, written, state.hidden)
        return self.output(y.to(candidate.dtype)), MinGRUState(hidden)


def expanded(dim: int, expansion: float) -> int:
    """Channels of a hidden state; none are a ValueError."""
    hidden = round(dim * expansion)
    if hidden < 1:
        raise ValueError(f"expansion={expansion} leaves no channels of dim={dim}; give 1 or more")
    return hidden


def activation(candidate: str) -> Callable[[Tensor], Tensor]:
    """g by its name; an unknown one is a ValueError."""
    if candidate not in CANDIDATES:
        raise ValueError(f"there is no candidate {candidate!r}; choose one of {', '.join(CANDIDATES)}")
    return CANDIDATES[candidate]


def positive(x: Tensor) -> Tensor:
    """g(x) = x + 1/2 where x >= 0, else sigmoid(x): continuous, and above 0 (appendix B.3)."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def linear(x: Tensor) -> Tensor:
    """g(x) = x."""
    return x


CANDIDATES: dict[str, Callable[[Tensor], Tensor]] = {"positive": positive, "linear": linear}
