"""Aaren: softmax attention of a learned query over all that has been read."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.exponential_gating import EMPTY, exponential_gating
from ..in_forms import MemoryInForms


class AarenState(NamedTuple):
    """What Aaren carries, in float32 or wider."""

    total: Float[Tensor, "B H V+1"]
    """a exp(-m); the last channel is the normaliser c exp(-m)."""
    maximum: Float[Tensor, "B H"]
    """m."""


class Aaren(MemoryInForms[AarenState]):
    """Attention as a recurrent network (Feng et al. 2024, arXiv 2405.13956).

    Each head keeps a_t = a_{t-1} + exp(s_t) v_t and c_t = c_{t-1} + exp(s_t), both scaled by the largest of all scores
    so far, and reads a_t / c_t: exactly softmax attention over the prefix. s = k . q / sqrt(V), where q is the same for
    all units, a projection of a learned token. So what is looked for does not depend on what is read, and nothing fades
    but by what outweighs it. State: dim + 2 heads numbers a row in float32. Observable: ``aaren/score`` (s) [B T H].

    The authors' code could not be had. The count of parameters in their paper is that of a Transformer layer and one
    token, so the token is projected as a unit would be.

    Args:
        dim: width of inputs and outputs.
        heads: queries side by side.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by matrix products, "parallel" as attention.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, an unknown form, or a chunk without units.
    """

    def __init__(self, dim: int, *, heads: int = 4, form: str = "chunk", chunk: int | None = None) -> None:
        super().__init__(dim, form, chunk)
        if dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        self.heads, self.width = heads, dim // heads
        self.token = nn.Parameter(torch.randn(dim))
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.value, self.output = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> AarenState:
        wide = torch.promote_types(dtype, torch.float32)
        return AarenState(
            torch.zeros(batch, self.heads, self.width + 1, device=device, dtype=wide),
            torch.full((batch, self.heads), EMPTY, device=device, dtype=wide),
        )

    def read(self, x: Float[Tensor, "B T D"], state: AarenState, form: str) -> tuple[Tensor, AarenState]:
        score, v = self.scores(x, state.total.dtype), self.value(x).unflatten(-1, (self.heads, -1))
        record("aaren/score", score)
        one, none = torch.ones_like(score)[..., None], torch.zeros_like(score)
        carried = state.total[..., None, :], state.maximum
        y, _, total, maximum = self.run(exponential_gating, form, one, one, v, score, none, *carried)
        y = (y[..., :-1] / y[..., -1:]).flatten(2).to(v.dtype)
        return self.output(y), AarenState(total.squeeze(-2), maximum)

    def scores(self, x: Float[Tensor, "B T D"], dtype: torch.dtype) -> Float[Tensor, "B T H"]:
        """s of every unit."""
        q, k = (part.unflatten(-1, (self.heads, -1)).to(dtype) for part in (self.query(self.token), self.key(x)))
        return (k * q).sum(-1) * self.width**-0.5


def prefix_attention(memory: Aaren, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
    """What it reads from a fresh state, as attention is written: softmax over every prefix, head by head."""
    scores = memory.scores(x, x.dtype)[:, None].expand(-1, x.shape[1], -1, -1)
    unseen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
    values = memory.value(x).unflatten(-1, (memory.heads, -1))
    parts = []
    for head in range(memory.heads):
        weight = scores[..., head].masked_fill(unseen, float("-inf")).softmax(-1)
        parts.append(weight @ values[:, :, head])
    return memory.output(torch.cat(parts, -1))
