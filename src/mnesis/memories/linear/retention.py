"""Retention: outer products that fade at a fixed rate per head, with rotary phases."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...ops.gated_linear_attention import gated_linear_attention
from ...ops.rotary import turn
from ...ops.sequence_split import count_on
from ..in_forms import MemoryInForms

NORMS = ("group", "rms")
EPSILON = 1e-6


class RetentionState(NamedTuple):
    """What retention carries; the matrix in float32 or wider."""

    matrix: Float[Tensor, "B H K V"]
    """Its keys turned as seen from the last unit."""


class Retention(MemoryInForms[RetentionState]):
    """RetNet's multi-scale retention (Sun et al. 2023, arXiv 2307.08621).

    Head h keeps S_t = gamma S_{t-1} + k_t v_t^T with gamma = 1 - 2^(-5-h) and reads S^T q, normalised by itself and
    gated with swish(W x). Queries and keys turn with their position, so that what fades is also told by its distance.
    State: 2 dim^2 / heads numbers a row in float32.

    The paper's three scalings of scores cancel in the norm of each head and are left out. Channels i and i + K/2 turn
    together, where the paper pairs neighbours: the same up to an order of channels.

    Args:
        dim: width of inputs and outputs; values are twice as wide.
        heads: matrices side by side.
        norm: of what a head reads, without weights: "group" as in the paper, "rms" as in the authors' later code.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads of even width, an unknown norm or form, or a chunk without units.
    """

    has_kernel = True

    def __init__(
        self, dim: int, *, heads: int = 4, norm: str = "group", form: str = "chunk", chunk: int | None = None
    ) -> None:
        super().__init__(dim, form, chunk)
        if dim % (2 * heads):
            raise ValueError(
                f"dim={dim} does not split into {heads} heads of even width; make it a multiple of {2 * heads}"
            )
        if norm not in NORMS:
            raise ValueError(f"Retention has no norm {norm!r}; choose one of {', '.join(NORMS)}")
        self.heads, self.norm, self.width, self.value_width = heads, norm, dim // heads, 2 * dim // heads
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.value, self.gate = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, 2 * dim, bias=False)
        self.output = nn.Linear(2 * dim, dim, bias=False)
        for layer in (self.query, self.key, self.value, self.gate):
            nn.init.xavier_uniform_(layer.weight, gain=2**-2.5)
        nn.init.xavier_uniform_(self.output.weight, gain=2**-1)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> RetentionState:
        wide = torch.promote_types(dtype, torch.float32)
        shape = (batch, self.heads, self.width, self.value_width)
        return RetentionState(torch.zeros(shape, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T D"], state: RetentionState, form: str) -> tuple[Tensor, RetentionState]:
        batch, time, wide = *x.shape[:2], state.matrix.dtype
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.query, self.key, self.value))
        begun, end = count_on(torch.zeros(batch, device=x.device, dtype=torch.float64), time)
        angle = (begun[:1] + torch.arange(1, time + 1, device=x.device))[:, None] * _rates(q)
        q, k = turn(q.to(wide), angle), turn(k.to(wide), angle) * k.shape[-1] ** -0.5
        # gamma (equation 8) as a logarithm of each unit and head.
        log_decay = torch.log1p(-(2.0 ** -torch.arange(5, 5 + self.heads, device=x.device, dtype=wide)))
        log_decay = log_decay.expand(batch, time, self.heads)
        y, matrix = self.run(gated_linear_attention, form, q, k, v, log_decay, state.matrix)
        y = self._normalised(y).flatten(2).to(v.dtype)
        # Phases count from the last unit read, so that no position has to be carried.
        matrix = self.recounted(matrix.mT, end[0]).mT.contiguous()
        return self.output(F.silu(self.gate(x)) * y), RetentionState(matrix)

    @staticmethod
    def recounted(keys: Float[Tensor, "B N M K"], units: Float[Tensor, ""]) -> Float[Tensor, "B N M K"]:
        """Keys whose phases count from so many units later, a number in float64."""
        return turn(keys, (-units * _rates(keys)).expand(keys.shape[1], -1))

    def _normalised(self, y: Float[Tensor, "B T H V"]) -> Float[Tensor, "B T H V"]:
        if self.norm == "group":
            return F.layer_norm(y, y.shape[-1:], eps=EPSILON)
        return F.rms_norm(y, y.shape[-1:], eps=EPSILON)


def _rates(keys: Float[Tensor, "B N M K"]) -> Float[Tensor, " half"]:
    """Of the phases. Float64, whatever else is narrow: angles of long sequences need the digits."""
    return 10_000.0 ** -torch.linspace(0, 1, keys.shape[-1] // 2, device=keys.device, dtype=torch.float64)
