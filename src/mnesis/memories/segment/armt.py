"""Associative Recurrent Memory Transformer: every layer keeps a matrix that memory tokens write and all units read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.host import Host, OffersHost
from ...core.record import record
from ...layers.wide_linear import WideLinear
from ...ops.associative import associative_read, associative_write, dpfp
from ...ops.precision import without_autocast
from .segments import SegmentMemory

CLOSED = 8.0
"""A gate whose logit is below minus this writes less than 0.04 % and is not penalised."""


class Associations(NamedTuple):
    """What one layer remembers; float32 or wider."""

    matrix: Float[Tensor, "B K D"]
    normaliser: Float[Tensor, "B K"]


class AssociativeLayer(nn.Module):
    """Queries, keys, values and write gates of one layer; in the matrix's width, since the quotient magnifies rounding.

    Args:
        dim: width of the host.
        memory_dim: width of queries and keys before the feature map.
        gate_bias: start of the write gates' bias; negative starts with closed gates.
        correction: the gamma correction.
        penalty: weight of the recorded loss ``loss/write_gate``.
        features: "plain" or "unit" (see :class:`ARMT`).
    """

    def __init__(
        self,
        dim: int,
        *,
        memory_dim: int,
        gate_bias: float,
        correction: bool,
        penalty: float,
        features: Literal["plain", "unit"],
    ) -> None:
        super().__init__()
        self.correction, self.penalty, self.unit = correction, penalty, features == "unit"
        self.query, self.key = WideLinear(dim, memory_dim, bias=False), WideLinear(dim, memory_dim, bias=False)
        self.value, self.gate = WideLinear(dim, dim, bias=False), WideLinear(dim, 1)
        nn.init.zeros_(self.value.weight)  # a new memory adds nothing: training starts from the plain host
        if gate_bias:
            nn.init.constant_(self.gate.bias, gate_bias)

    def forward(
        self, h: Float[Tensor, "B T D"], stored: Associations, *, write: bool = False
    ) -> Float[Tensor, "B T D"] | Associations:
        """Units with what they read; with ``write``, what is stored once the memory tokens h have written."""
        with without_autocast(h.device):
            return self._write(h, stored) if write else self._read(h, stored)

    def _read(self, h: Float[Tensor, "B T D"], stored: Associations) -> Float[Tensor, "B T D"]:
        query = self._features(self.query(h.to(stored.matrix.dtype)))
        return h + associative_read(query, *stored).to(h.dtype)

    def _write(self, h: Float[Tensor, "B M D"], stored: Associations) -> Associations:
        wide = h.to(stored.matrix.dtype)
        key, value, gate = self._features(self.key(wide)), self.value(wide), self.gate(wide).squeeze(-1)
        if self.penalty:
            record("loss/write_gate", self.penalty * (gate + CLOSED).relu().mean())
        return Associations(*associative_write(key, value, gate.sigmoid(), *stored, correction=self.correction))

    def _features(self, x: Tensor) -> Tensor:
        return F.normalize(dpfp(x), dim=-1) if self.unit else dpfp(x)


class ARMT(SegmentMemory):
    """Associative Recurrent Memory Transformer (Rodkin et al. 2024, arXiv 2407.04841).

    The same m learned tokens stand behind every segment. Before layer l all units read its matrix,
    x <- x + A^T phi(W_q x) / (z . phi(W_q x)); after it the memory tokens' outputs write it with a delta rule whose
    normaliser does not count a rewritten key twice (gamma correction); phi is DPFP-3. The state is
    layers * 6 memory_dim * (dim + 1) numbers in float32, and the keys and values of the present segment.

    Args:
        dim: width.
        segment: units in a segment.
        memory_tokens: m.
        memory_dim: width of keys before the feature map (32 in the paper, 64 in the released scripts).
        correction: the gamma correction; False is the paper's ablation.
        gate_bias: start of the write gates' bias (0 in the paper).
        gate_penalty: weight of the recorded loss ``loss/write_gate``, the mean of relu(logit + 8) over all writes:
            gates that have nothing to write learn to close (not in the paper).
        features: "plain" as in the paper: phi grows with the square of what it is given. "unit" makes its length one,
            as the authors' later code for pretrained hosts does, whose hidden states are of any size.
        layers, heads, hidden, convolution, rotary, output_norm: of the native Transformer; without effect on a host
            that is handed in.
        host: any causal stack of layers instead: a host of your own, a :class:`mnesis.nets.Stack` of recurrent blocks.
        checkpoint: recompute activations in the backward pass (see :class:`SegmentMemory`).
    """

    added: ClassVar[Mapping[str, Any]] = {"features": "plain"}

    def __init__(
        self,
        dim: int,
        *,
        segment: int = 512,
        memory_tokens: int = 10,
        memory_dim: int = 32,
        correction: bool = True,
        gate_bias: float = 0.0,
        gate_penalty: float = 0.0,
        features: Literal["plain", "unit"] = "plain",
        layers: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        convolution: int | None = None,
        rotary: bool = True,
        output_norm: bool = False,
        host: Host | OffersHost | None = None,
        checkpoint: bool = False,
    ) -> None:
        native = {"layers": layers, "heads": heads, "hidden": hidden, "convolution": convolution}
        native |= {"rotary": rotary, "output_norm": output_norm}
        super().__init__(dim, host, native, segment=segment, write_tokens=memory_tokens, checkpoint=checkpoint)
        self.width, self.memory_dim = dim, memory_dim
        self.memory = nn.Parameter(torch.randn(memory_tokens, dim) * self.spread)
        self.associative = nn.ModuleList(
            AssociativeLayer(
                dim,
                memory_dim=memory_dim,
                gate_bias=gate_bias,
                correction=correction,
                penalty=gate_penalty,
                features=features,
            )
            for _ in self.host.layers
        )

    def initial_carried(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> tuple[Associations, ...]:
        wide = torch.promote_types(dtype, torch.float32)
        features = 6 * self.memory_dim
        return tuple(
            Associations(
                torch.zeros(batch, features, self.width, device=device, dtype=wide),
                torch.zeros(batch, features, device=device, dtype=wide),
            )
            for _ in self.associative
        )

    def read(self, layer: int, h: Tensor, carried: tuple[Associations, ...]) -> Tensor:
        return self.associative[layer](h, carried[layer])

    def opening(self, carried: tuple[Associations, ...]) -> None:
        return None

    def closing(self, carried: tuple[Associations, ...]) -> Tensor:
        return self.memory.expand(carried[0].matrix.shape[0], -1, -1)

    def write(self, outputs: list[Tensor], carried: tuple[Associations, ...]) -> tuple[Associations, ...]:
        layers = zip(self.associative, outputs, carried, strict=True)
        return tuple(layer(h, stored, write=True) for layer, h, stored in layers)
