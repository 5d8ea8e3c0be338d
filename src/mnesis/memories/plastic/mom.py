"""Mixture-of-Memories: several matrices, of which every unit writes and reads a few, and one that all of them share."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...core.domain import Positive
from ...core.record import record
from ...layers.norm import RMSNorm
from ...layers.short_convolution import ShortConvolution
from ...layers.time_step import initial_log_rate, initial_time_step
from ...layers.wide_linear import WideLinear
from ...ops.delta_rule import delta_rule, unit_length
from ...ops.precision import without_autocast
from ...ops.transforms import readable
from ..in_forms import MemoryInForms


class MoMState(NamedTuple):
    """What a mixture carries, the shared memory last; matrices in float32 or wider."""

    matrix: Float[Tensor, "B M H K V"]
    tail: Float[Tensor, "B M W-1 H*(2*K+V)"]
    """Of the short convolution, for each memory that of its own units; W = 1 without one."""


class MoM(MemoryInForms[MoMState]):
    """Mixture-of-Memories (Du et al. 2025, arXiv 2502.13685), each memory a Gated DeltaNet, the paper's main choice.

    A router, g = softmax(W x), sends a unit to the best few memories. They run S = alpha S + beta k (v - alpha S^T k)^T
    with keys, values and gates of their own; the others neither change nor fade. What is read is sum_m g_m S_m^T q over
    the chosen, g divided by its sum there, plus S^T q of the shared memory, then normalised and gated as in Gated
    DeltaNet. State: (memories + shared) heads width^2 expansion numbers a row in float32, and (memories + shared) heads
    width (2 + expansion) (convolution - 1) for the convolution. Observables: ``mom/routing_weight`` (g) [B T memories],
    and ``loss/mom_balance``, which is least where memories are chosen equally often.

    Of each memory the units that chose it run side by side, packed. The convolution runs over those too, as in the
    authors' code, one for all memories; in training that code lets it reach across memories and rows, and so into the
    future, which ours never does. Choices are made in float32 or wider, lest rounding flips them.

    As in the authors' code, rates A start between 0 and 16, where Mamba-2 has 1 to 16. The norm adds 1e-6, as their
    models do (their layer by itself, unless told, 1e-5).

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side in each memory.
        width: K of a head; None = dim / heads.
        expansion: V / K.
        memories: how many there are to choose from.
        activated: how many a unit chooses; with 1 its weight is 1, and the router learns from the balance alone.
        shared: one more memory, of every unit.
        convolution: width of the causal depthwise convolution behind the projections; None = without.
        balance: weight of the auxiliary loss.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: a head without width, more memories activated than there are, or none, an unknown form, or a chunk
            without units.
    """

    splits = False
    """What a memory sees of a piece may be shorter than its convolution looks back."""

    has_kernel = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int | None = None,
        expansion: Positive = 1.0,
        memories: int = 4,
        activated: int = 2,
        shared: bool = True,
        convolution: int | None = 4,
        balance: float = 0.01,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        width = dim // heads if width is None else width
        if min(width, int(width * expansion)) < 1:
            raise ValueError(f"heads of width {width} and values of {int(width * expansion)}: give 1 or more of both")
        if not 1 <= activated <= memories:
            raise ValueError(f"activated={activated} of {memories} memories; choose between 1 and all of them")
        self.heads, self.memories, self.activated, self.balance = heads, memories, activated, balance
        self.width, self.value_width, self.count = width, int(width * expansion), memories + shared
        self.sizes = (heads * width, heads * width, heads * self.value_width)
        self.router, self.query = WideLinear(dim, memories, bias=False), nn.Linear(dim, self.sizes[0], bias=False)
        self.key_value = nn.Linear(dim, self.count * sum(self.sizes[1:]), bias=False)
        self.strength, self.decay = (nn.Linear(dim, self.count * heads, bias=False) for _ in range(2))
        self.convolution = ShortConvolution(sum(self.sizes), convolution) if convolution else None
        self.log_rate = nn.Parameter(initial_log_rate(heads, slowest=0.0))
        self.time_step = nn.Parameter(initial_time_step(heads))
        self.gate = nn.Linear(dim, self.sizes[2], bias=False)
        self.norm = RMSNorm(self.value_width)
        self.output = nn.Linear(self.sizes[2], dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MoMState:
        wide, shape = torch.promote_types(dtype, torch.float32), (self.heads, self.width, self.value_width)
        tail = self.convolution.width - 1 if self.convolution else 0
        return MoMState(
            torch.zeros(batch, self.count, *shape, device=device, dtype=wide),
            torch.zeros(batch, self.count, tail, sum(self.sizes), device=device, dtype=dtype),
        )

    def read(self, x: Float[Tensor, "B T D"], state: MoMState, form: str) -> tuple[Tensor, MoMState]:
        weight, choice = self._route(x, state.matrix.dtype)
        chosen = self._counted(choice)
        units = chosen.sum(1)
        # Only as long as the busiest memory needs, where lengths may depend on the data.
        longest = int(units.max()) if readable(units) else x.shape[1]
        order = chosen.argsort(dim=1, descending=True, stable=True)[:, :longest].mT
        # Of every memory for every unit: less than it costs to pick units first, and each map is called once.
        query = self.query(x)
        every = [layer(x).unflatten(-1, (self.count, -1)) for layer in (self.key_value, self.strength, self.decay)]
        rows, memory = (torch.arange(size, device=x.device) for size in (x.shape[0], self.memories))
        own = [part[rows[:, None, None], order, memory[:, None]] for part in every]
        y, *after = self._remember(_at(query, order), own, units, slice(self.memories), state, form)
        place = choice * longest + (chosen.cumsum(1) - 1).gather(2, choice)
        y = (weight[..., None, None] * _at(y.flatten(1, 2), place)).sum(2)
        if self.count > self.memories:
            own = [part[:, None, :, self.memories] for part in every]
            of_all, *shared = self._remember(query[:, None], own, None, slice(self.memories, None), state, form)
            y, after = y + of_all[:, 0], [torch.cat(parts, 1) for parts in zip(after, shared, strict=True)]
        y = self.norm(y).flatten(2).to(x.dtype)
        return self.output(F.silu(self.gate(x)) * y), MoMState(*after)

    def _route(
        self, x: Float[Tensor, "B T D"], wide: torch.dtype
    ) -> tuple[Float[Tensor, "B T C"], Int[Tensor, "B T C"]]:
        """The chosen memories of every unit and their weights."""
        with without_autocast(x.device):
            scores = self.router(x.to(wide)).softmax(-1)
        weight, choice = scores.topk(self.activated, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        record("mom/routing_weight", torch.zeros_like(scores).scatter(-1, choice, weight))
        share = self._counted(choice).to(wide).mean((0, 1))
        record("loss/mom_balance", self.balance * self.memories * share @ scores.mean((0, 1)))
        return weight, choice

    def _counted(self, choice: Int[Tensor, "B T C"]) -> Int[Tensor, "B T M"]:
        """How often each memory was chosen by each unit: once or not at all."""
        return (choice[..., None] == torch.arange(self.memories, device=choice.device)).sum(2)

    def _remember(
        self,
        query: Float[Tensor, "B M L Q"],
        own: list[Tensor],
        units: Int[Tensor, "B M"] | None,
        which: slice,
        state: MoMState,
        form: str,
    ) -> tuple[Float[Tensor, "B M L H V"], Float[Tensor, "B M H K V"], Float[Tensor, "B M W E"]]:
        """What some of the memories read of their own sequences, of which the first ``units`` are real (None = all).

        Own are keys with values, strengths and decays of each memory, [B M L ...].
        """
        key_value, strength, decay = own
        wide, rows = state.matrix.dtype, query.shape[:2]
        matrix, tail = (part[:, which] for part in state)
        # A memory of a row is a row of its own.
        projected = torch.cat([query, key_value], -1).flatten(0, 1)
        if self.convolution is not None:
            lengths = None if units is None else units.flatten()
            projected, tail = self.convolution(projected, tail.flatten(0, 1), lengths)
            tail = tail.unflatten(0, rows)
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in F.silu(projected).split(self.sizes, -1))
        beta = strength.to(wide).sigmoid()
        log_decay = -self.log_rate.to(wide).exp() * F.softplus(decay.to(wide) + self.time_step.to(wide))
        if units is not None:
            beyond = torch.arange(query.shape[2], device=query.device)[:, None] >= units[..., None, None]
            beta, log_decay = beta.masked_fill(beyond, 0.0), log_decay.masked_fill(beyond, 0.0)
        sequences = (unit_length(q.to(wide)), unit_length(k.to(wide)), v, beta.flatten(0, 1), log_decay.flatten(0, 1))
        y, matrix = self.run(delta_rule, form, *sequences, matrix.flatten(0, 1))
        return y.unflatten(0, rows), matrix.unflatten(0, rows), tail


def _at(x: Float[Tensor, "B N ..."], place: Int[Tensor, "B I J"]) -> Float[Tensor, "B I J ..."]:
    """Of every row the entries at these places."""
    rows = torch.arange(x.shape[0], device=x.device)[:, None, None]
    return x[rows, place]
