"""RG-LRU: a diagonal recurrence whose gate can discard the input and keep all that went before."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...layers.block_diagonal import BlockDiagonal
from ...layers.mlp import tanh_gelu
from ...layers.short_convolution import ShortConvolution
from ...ops.diagonal import diagonal
from ...ops.sequence_split import count_on
from ...ops.transforms import apply
from ..in_forms import MemoryInForms

EXPONENT = 8.0
"""c."""
LEAST, MOST = 0.9, 0.999
"""What is kept at the start."""
STEEPEST = 1000.0
"""Derivative of a root at most."""


class RGLRUState(NamedTuple):
    """What an RG-LRU carries; h in float32 or wider."""

    hidden: Float[Tensor, "B E"]
    tail: Float[Tensor, "B W-1 E"]
    """Of the convolution; W = 1 where ``bare``."""
    started: Float[Tensor, "B S"]
    """1 once a unit has been read; S = 0 unless ``released``."""


class RGLRU(MemoryInForms[RGLRUState]):
    """Griffin's recurrent block around its real-gated linear recurrent unit (De et al. 2024, arXiv 2402.19427).

    h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t u_t) with a_t = sigmoid(Lambda)^(8 r_t), where r and i are sigmoids of
    block-diagonal projections of u; u is a convolution of a projection of x, and the output a projection of
    h gelu(W x). Where r is near 0 the input is ignored and h stays. State: E numbers a row in float32, and
    E (convolution - 1) for the convolution. Observables: ``rg_lru/kept`` (a) and ``rg_lru/input_gate`` (i), [B T E].

    Args:
        dim: width of inputs and outputs.
        width: E; None = 4/3 dim as in Hawk, up to the next multiple of ``blocks`` (RecurrentGemma: dim).
        blocks: on the diagonal of the gates' projections.
        convolution: width of the causal depthwise convolution before the recurrence.
        bare: the RG-LRU alone: u = x, and h is the output.
        released: as RecurrentGemma's code has it (arXiv 2404.07839), where it differs from Griffin's text: the first
            unit is written without its factor sqrt(1 - a^2), which costs one more number a row, and at the start the
            roots of what is kept, sigmoid(Lambda), lie in [0.9, 0.999] rather than their 8th powers.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: a width that does not split into blocks or cannot be had, a convolution that sees no earlier unit,
            an unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        width: int | None = None,
        blocks: int = 16,
        convolution: int = 4,
        bare: bool = False,
        released: bool = False,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if bare and width not in (None, dim):
            raise ValueError(f"width={width}: the bare RG-LRU is as wide as its input, dim={dim}; leave width out")
        if width is None:
            width = dim if bare else math.ceil(4 * dim / (3 * blocks)) * blocks
        self.width, self.bare, self.released = width, bare, released
        self.recurrence_gate, self.input_gate = BlockDiagonal(width, blocks), BlockDiagonal(width, blocks)
        self.decay = nn.Parameter(initial_decay(width, released))
        if not bare:
            self.input, self.gate, self.output = nn.Linear(dim, width), nn.Linear(dim, width), nn.Linear(width, dim)
            self.convolution = ShortConvolution(width, convolution, plain=True)
            # As the authors' block begins that stands alone; the paper leaves these open. (In their stacks of layers
            # the output starts narrower, which the stack sees to.)
            for layer in (self.input, self.gate, self.output, self.convolution):
                scale = 0.1 * convolution**-0.5 if layer is self.convolution else layer.weight.shape[1] ** -0.5
                nn.init.normal_(layer.weight, std=scale)
                nn.init.zeros_(cast(Tensor, layer.bias))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> RGLRUState:
        wide, lags = torch.promote_types(dtype, torch.float32), 0 if self.bare else self.convolution.width - 1
        return RGLRUState(
            torch.zeros(batch, self.width, device=device, dtype=wide),
            torch.zeros(batch, lags, self.width, device=device, dtype=dtype),
            torch.zeros(batch, int(self.released), device=device, dtype=wide),
        )

    def read(self, x: Float[Tensor, "B T D"], state: RGLRUState, form: str) -> tuple[Tensor, RGLRUState]:
        read, _ = count_on(state.started, x.shape[1])
        state = state._replace(started=read.clamp_max(1))
        if self.bare:
            y, hidden = self._recurrence(x, state, form)
            return y, state._replace(hidden=hidden, started=torch.ones_like(state.started))
        u, tail = self.convolution(self.input(x), state.tail)
        y, hidden = self._recurrence(u, state, form)
        y = self.output(y * tanh_gelu(self.gate(x)))
        return y, RGLRUState(hidden, tail, torch.ones_like(state.started))

    def _recurrence(self, u: Float[Tensor, "B T E"], state: RGLRUState, form: str) -> tuple[Tensor, Tensor]:
        wide = state.hidden.dtype
        recurrence = self.recurrence_gate(u).to(wide).sigmoid()  # (1)
        gate = self.input_gate(u).to(wide).sigmoid()  # (2)
        log_kept = EXPONENT * recurrence * F.logsigmoid(self.decay.to(wide))  # (3)
        kept = log_kept.exp()
        record("rg_lru/kept", kept)
        record("rg_lru/input_gate", gate)
        scale = apply(_Root, -torch.expm1(2 * log_kept))
        if self.released:
            first = scale[:, :1].where(state.started[..., None] > 0, 1.0)
            scale = torch.cat([first, scale[:, 1:]], 1)
        y, hidden = self.run(diagonal, form, kept, scale * gate * u.to(wide), state.hidden)  # (4)
        return y.to(u.dtype), hidden


def initial_decay(width: int, released: bool) -> Float[Tensor, " E"]:
    """Lambda: sigmoid(Lambda)^c uniform in [0.9, 0.999], or, as released, sigmoid(Lambda) by area in that ring."""
    uniform = torch.rand(width)
    if released:
        log_root = 0.5 * (LEAST**2 + (MOST**2 - LEAST**2) * uniform).log()
    else:
        log_root = (LEAST + (MOST - LEAST) * uniform).log() / EXPONENT
    return log_root - torch.log(-torch.expm1(log_root))


class _Root(torch.autograd.Function):
    """sqrt(x), whose derivative, infinite at 0, is held at 1000 as in the authors' code."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.sqrt()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * (4 * x).clamp_min(STEEPEST**-2).rsqrt()

    jvp = backward
