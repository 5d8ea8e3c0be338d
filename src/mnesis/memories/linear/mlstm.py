"""mLSTM: a matrix with exponential input gates, a normaliser and a running maximum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Epsilon
from ...core.record import record
from ...ops.exponential_gating import EMPTY, exponential_gating
from ..in_forms import MemoryInForms

EPSILON = 1e-6


class MLSTMState(NamedTuple):
    """What mLSTM carries, in float32 or wider."""

    matrix: Float[Tensor, "B H K V+1"]
    """C exp(-m); the last column is the normaliser n exp(-m)."""
    maximum: Float[Tensor, "B H"]
    """m."""


class MLSTM(MemoryInForms[MLSTMState]):
    """xLSTM 7B's cell (Beck et al. 2025, arXiv 2503.13427; the cell of 2024, arXiv 2405.04517).

    Each head keeps C_t = f C_{t-1} + i k v^T and n_t = f n_{t-1} + i k with f = sigmoid and i = exp of projections,
    both capped at 15, and reads C^T q / max(|n . q|, 1), normalised and gated with a sigmoid. State:
    dim^2 / (2 heads) + dim / 2 + heads numbers a row in float32. Observables: ``mlstm/kept`` (f) and
    ``mlstm/log_input`` (log i), [B T H].

    Args:
        dim: width of inputs and outputs; a head's values have dim / heads channels, queries and keys half as many.
        heads: matrices side by side.
        cap: of gates before their nonlinearity, cap tanh(x / cap); None = without, as in 2024.
        epsilon: what the norm of heads adds to the variance.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads of even width, an unknown form, or a chunk without units.
    """

    added: ClassVar[Mapping[str, Any]] = {"epsilon": EPSILON}

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        cap: float | None = 15.0,
        epsilon: Epsilon = EPSILON,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if dim % (2 * heads):
            raise ValueError(
                f"dim={dim} does not split into {heads} heads of even width; make it a multiple of {2 * heads}"
            )
        self.heads, self.width, self.cap, self.epsilon = heads, dim // (2 * heads), cap, epsilon
        self.query, self.key = nn.Linear(dim, dim // 2, bias=False), nn.Linear(dim, dim // 2, bias=False)
        self.value, self.gate = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.input_gate, self.forget_gate = nn.Linear(dim, heads), nn.Linear(dim, heads)
        nn.init.zeros_(self.input_gate.weight)
        nn.init.constant_(self.input_gate.bias, -10.0)
        open_for_long(self.forget_gate)
        self.scale = nn.Parameter(torch.ones(heads, 2 * self.width))
        self.output = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> MLSTMState:
        wide = torch.promote_types(dtype, torch.float32)
        return MLSTMState(
            torch.zeros(batch, self.heads, self.width, 2 * self.width + 1, device=device, dtype=wide),
            torch.full((batch, self.heads), EMPTY, device=device, dtype=wide),
        )

    def read(self, x: Float[Tensor, "B T D"], state: MLSTMState, form: str) -> tuple[Tensor, MLSTMState]:
        wide = state.matrix.dtype
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.query, self.key, self.value))
        log_input = self._capped(self.input_gate(x).to(wide))
        log_kept = F.logsigmoid(self._capped(self.forget_gate(x).to(wide)))
        cell = (q, k, v, log_input, log_kept, state.matrix, state.maximum)
        h, *carried = read_cell(self, form, *cell, norm_epsilon=self.epsilon)
        h = (h * self.scale.to(wide)).flatten(2).to(v.dtype)
        return self.output(self.gate(x).sigmoid() * h), MLSTMState(*carried)

    def _capped(self, x: Tensor) -> Tensor:
        return x if self.cap is None else self.cap * torch.tanh(x / self.cap)


def read_cell(
    memory: MemoryInForms,
    form: str,
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B T H K"],
    value: Float[Tensor, "B T H V"],
    log_input: Float[Tensor, "B T H"],
    log_kept: Float[Tensor, "B T H"],
    matrix: Float[Tensor, "B H K V+1"],
    maximum: Float[Tensor, "B H"],
    *,
    norm_epsilon: float = EPSILON,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the cell's heads read, normalised head by head, [B T H V], and the carried matrix and maximum."""
    record("mlstm/kept", log_kept.exp())
    record("mlstm/log_input", log_input)
    key = key * key.shape[-1] ** -0.5
    y, m, *carried = memory.run(exponential_gating, form, query, key, value, log_input, log_kept, matrix, maximum)
    least = torch.maximum(y[..., -1:].abs(), (-m[..., None]).exp())
    h = F.layer_norm(y[..., :-1] / (least + EPSILON), value.shape[-1:], eps=norm_epsilon)
    return h, carried[0], carried[1]


def open_for_long(forget_gate: nn.Linear) -> None:
    """Let heads start by keeping, f = sigmoid of 3 to 6, whatever the input."""
    nn.init.zeros_(forget_gate.weight)
    with torch.no_grad():
        forget_gate.bias.copy_(torch.linspace(3, 6, forget_gate.out_features))
