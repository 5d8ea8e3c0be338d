"""GateLoop: linear attention whose channels fade and turn as the data say, and its simple real form."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.complex_pairs import as_complex
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms

TRANSITIONS = ("separate", "polar")
LEAST, MOST = 0.9, 0.99
"""Magnitudes of transitions at the start."""


class GateLoopState(NamedTuple):
    """What GateLoop carries, in float32 or wider."""

    matrix: Float[Tensor, "B H K K 2"]
    """S: real and imaginary part."""


class GateLoop(MemoryInForms[GateLoopState]):
    """GateLoop (Katsch 2023, arXiv 2311.01927): data-controlled complex decay of outer products.

    Each head keeps a complex S_t = diag(a_t) S_{t-1} + k_t v_t^T and reads Re(S^T q), gated with silu(W_g x). A key
    channel's a = sigmoid(W_alpha x + b) exp(i W_beta x): how much it keeps and how far it turns. With as many heads as
    channels, as in the paper, S is a number a channel. State: 2 dim^2 / heads numbers a row in float32; a sequence is
    computed with all of its states. Observables: ``gateloop/kept`` (|a|) and ``gateloop/phase``, [B T H K].

    Ours: q is real, so that Re may stand before or behind it; biases, which start |a| evenly in [0.9, 0.99].

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side; None = dim.
        transition: "separate" as in the paper; "polar" as in the code of others (lucidrains/gateloop-transformer):
            a = sigmoid(|z|) z / |z| of a complex projection z, which never keeps less than half.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: dim does not split into heads, an unknown transition or form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int | None = None,
        transition: str = "separate",
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        heads = dim if heads is None else heads
        if dim % heads:
            raise ValueError(f"dim={dim} does not split into {heads} heads; make dim a multiple of heads")
        self.heads, self.width = heads, dim // heads
        if transition not in TRANSITIONS:
            raise ValueError(f"GateLoop has no transition {transition!r}; choose one of {', '.join(TRANSITIONS)}")
        self.polar = transition == "polar"
        self.query, self.key = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.value, self.gate = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.transition, self.output = nn.Linear(dim, 2 * dim), nn.Linear(dim, dim, bias=False)
        if not self.polar:
            with torch.no_grad():
                magnitude, phase = self.transition.bias.chunk(2)
                magnitude.copy_(torch.linspace(LEAST, MOST, dim).logit())
                phase.zero_()

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GateLoopState:
        wide, shape = torch.promote_types(dtype, torch.float32), (batch, self.heads, self.width, self.width, 2)
        return GateLoopState(torch.zeros(shape, device=device, dtype=wide))

    def read(self, x: Float[Tensor, "B T D"], state: GateLoopState, form: str) -> tuple[Tensor, GateLoopState]:
        wide = state.matrix.dtype
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.query, self.key, self.value))
        first, second = self.transition(x).to(wide).unflatten(-1, (2, self.heads, -1)).unbind(2)
        if self.polar:
            z = torch.complex(first, second)
            magnitude, phase = z.abs().sigmoid(), z.angle()
        else:
            magnitude, phase = first.sigmoid(), second
        record("gateloop/kept", magnitude)
        record("gateloop/phase", phase)
        decay = torch.polar(magnitude, phase)[..., None]
        written = k.to(wide)[..., None] * v.to(wide)[..., None, :]
        held, last = self.run(diagonal, form, decay, written, as_complex(state.matrix))
        y = (q.to(wide)[..., None, :] @ held.real).flatten(2).to(v.dtype)
        return self.output(y * F.silu(self.gate(x))), GateLoopState(torch.view_as_real(last).clone())


class SimpleGateLoopState(NamedTuple):
    """What the simple GateLoop carries, in float32 or wider."""

    hidden: Float[Tensor, "B D"]


class SimpleGateLoop(MemoryInForms[SimpleGateLoopState]):
    """The simple GateLoop of lucidrains/gateloop-transformer, as a supplement to attention: real, without keys.

    h_t = a_t h_{t-1} + v_t and y_t = q_t h_t, channel by channel, with a = sigmoid(W_a x) and projections q and v.
    State: dim numbers a row in float32. Observable: ``gateloop/kept`` (a), [B T D].

    Args:
        dim: width of inputs and outputs.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: an unknown form, or a chunk without units.
    """

    def __init__(self, dim: int, *, form: str = "chunk", chunk: int | None = None) -> None:
        super().__init__(dim, form, chunk)
        self.width = dim
        self.query, self.value = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.decay = nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> SimpleGateLoopState:
        wide = torch.promote_types(dtype, torch.float32)
        return SimpleGateLoopState(torch.zeros(batch, self.width, device=device, dtype=wide))

    def read(
        self, x: Float[Tensor, "B T D"], state: SimpleGateLoopState, form: str
    ) -> tuple[Tensor, SimpleGateLoopState]:
        wide, q = state.hidden.dtype, self.query(x)
        kept = self.decay(x).to(wide).sigmoid()
        record("gateloop/kept", kept)
        held, hidden = self.run(diagonal, form, kept, self.value(x), state.hidden)
        return q * held.to(q.dtype), SimpleGateLoopState(hidden)
