"""Lattice: slots of length 1, to which only what is orthogonal to them is added."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.memory import Memory
from ...core.record import record
from ...layers.query_key_value import QueryKeyValue
from ...ops.precision import without_autocast

OBJECTIVES = ("decoding", "similarity")


class LatticeState(NamedTuple):
    """What Lattice carries; slots in float32 or wider."""

    slots: Float[Tensor, "B H M V"]
    """Each of length 1."""
    tail: Float[Tensor, "B W-1 H*(2*M+V)"]
    """Of the short convolution; W = 1 without one."""


class Lattice(Memory[LatticeState]):
    """Lattice's orthogonal state recurrence (Karami et al. 2025, arXiv 2504.05646).

    Each head keeps m slots s_i of length 1, takes one gradient step a unit on how badly they compress it, and reads
    sum_i q_i s_i, so keys and queries have m channels. The gradient goes through the normalisation of the slots, which
    leaves the part that is orthogonal to each, and the slots go back to length 1, which is how they forget:
    s_i = (s_i + gamma k_i (I - s_i s_i^T) h) / |...|, gamma = sigmoid(W x). What h is depends on the objective:

    - "decoding", |v - sum_i k_i s_i|^2 / 2: h = v - sum_i k_i s_i;
    - "similarity", -v . sum_i k_i s_i: h = v.

    The formulas are second-hand: derived anew from the losses as others report them, not read in the paper, of which no
    code is public. Of its three objectives the third is missing, "encoding", |k - (s_i . v)_i|^2 / 2 (h = v, written
    with k_i - s_i . v in place of k_i), and so are its decay of old slots, slots of any length, and chunks that hold
    slots fixed inside, an approximation. That gamma is a sigmoid, that the first slots are learned, and how many there
    are, are choices made here. Writes are not linear in the slots, so that there is one form only, unit by unit. What
    stands around the recurrence is left to the block.
    State: slots dim numbers a row in float32, and (2 heads slots + dim) (convolution - 1) for the convolution.
    Observable: ``lattice/step_size`` (gamma) [B T H].

    Args:
        dim: width of inputs and outputs.
        heads: groups of slots, each of width dim / heads.
        slots: m; None = dim / heads, which costs as much as a matrix of linear attention.
        objective: what a step reduces.
        convolution: width of a causal depthwise convolution over queries, keys and values, behind the projections
            (the place that later linear memories chose); None = without.

    Raises:
        ValueError: dim does not split into heads, no slots, or an unknown objective.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        slots: int | None = None,
        objective: str = "decoding",
        convolution: int | None = None,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        if objective not in OBJECTIVES:
            raise ValueError(f"Lattice has no objective {objective!r}; choose one of {', '.join(OBJECTIVES)}")
        self.dim, self.objective = dim, objective
        self.query_key_value = QueryKeyValue(
            dim, heads=heads, width=slots, value_width=dim // heads, convolution=convolution
        )
        self.step_size = nn.Linear(dim, heads, bias=False)
        self.start = nn.Parameter(torch.randn(heads, self.query_key_value.width, dim // heads))
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LatticeState:
        start = F.normalize(self.start.to(device, torch.promote_types(dtype, torch.float32)), dim=-1)
        tail = self.query_key_value.initial_tail(batch, device=device, dtype=dtype)
        return LatticeState(start.repeat(batch, 1, 1, 1), tail)

    def scan(self, x: Float[Tensor, "B T D"], state: LatticeState, phase: int = 0) -> tuple[Tensor, LatticeState]:
        slots, tail = state
        q, k, v, tail = self.query_key_value(x, tail)
        gamma = self.step_size(x).to(slots.dtype).sigmoid()
        record("lattice/step_size", gamma)
        outputs = []
        with without_autocast(x.device):
            sequences = (part.to(slots.dtype).unbind(1) for part in (q, k, v, gamma))
            for query, key, value, rate in zip(*sequences, strict=True):
                slots = self._write(key, value, rate, slots)
                outputs.append((query[..., None, :] @ slots).squeeze(-2))
        return self.output(torch.stack(outputs, 1).flatten(2).to(v.dtype)), LatticeState(slots, tail)

    def _write(
        self,
        key: Float[Tensor, "B H M"],
        value: Float[Tensor, "B H V"],
        rate: Float[Tensor, "B H"],
        slots: Float[Tensor, "B H M V"],
    ) -> Float[Tensor, "B H M V"]:
        news = value
        if self.objective == "decoding":
            news = value - (key[..., None, :] @ slots).squeeze(-2)
        novel = news[..., None, :] - (slots @ news[..., None]) * slots
        # Orthogonal to slots of length 1, so no sum is shorter than 1.
        return F.normalize(torch.addcmul(slots, (rate[..., None] * key)[..., None], novel), dim=-1)
