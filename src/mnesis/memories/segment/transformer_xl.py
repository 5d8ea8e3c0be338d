"""Transformer-XL: every layer attends to its own inputs of the segments before, through which no gradient flows."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ...core.memory import Memory
from ...layers.constants import Table
from ...layers.wide_linear import WideLinear, pulled_back
from ...ops.relative_attention import relative_attention, relative_attention_step, sinusoids
from ...ops.transforms import readable
from ...ops.window_attention import push, unfilled

SPREAD = 0.02
"""Standard deviation of weights at the start."""


class TransformerXLState(NamedTuple):
    """The inputs of every layer for the units that can still be seen; zero where there are none."""

    memory: tuple[Float[Tensor, "B M D"], ...]
    """Of the segments before, the latest last; without gradient."""
    present: tuple[Float[Tensor, "B L D"], ...]
    """Of the present segment, from its start."""
    position: Int[Tensor, " B"]
    """Units read."""


class TransformerXLLayer(nn.Module):
    """Relative attention and an MLP, each with a residual and a norm after (or before) it.

    Args:
        dim: width.
        heads: attention heads.
        hidden: width of the MLP.
        norm: "post" or "pre".
    """

    def __init__(self, dim: int, *, heads: int, hidden: int, norm: str) -> None:
        super().__init__()
        self.heads, self.norm = heads, norm
        # In this order; a step needs the middle ones in wider arithmetic.
        kinds = (nn.Linear, WideLinear, WideLinear, WideLinear, nn.Linear)
        self.query, self.key, self.value, self.position, self.output = (kind(dim, dim, bias=False) for kind in kinds)
        self.rise, self.fall = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, h: Tensor, *given: Any, step: bool = False) -> Tensor:
        """:meth:`several` units of each row; with ``step``, :meth:`one`."""
        return self.one(h, *given) if step else self.several(h, *given)

    def several(
        self,
        h: Float[Tensor, "B T D"],
        earlier: Float[Tensor, "B P D"],
        memory: Float[Tensor, "B R D"],
        sinusoid: Float[Tensor, "E D"],
        biases: tuple[Float[Tensor, "H K"], Float[Tensor, "H K"]],
        seen: Bool[Tensor, "C Q N"],
    ) -> Float[Tensor, "B T D"]:
        """Some units of one segment, or S whole segments side by side.

        Args:
            h: the layer's inputs.
            earlier: its inputs for the units before these in the segment; S = 1 if there are any.
            memory: its inputs for the M units before the first segment and for all segments but the last.
            sinusoid: R for the distances N..0, N = M + P + Q.
            biases: u and v.
            seen: which of the N units each one may attend to.
        """
        segments = seen.shape[0] // h.shape[0]
        length = h.shape[1] // segments
        remembered = seen.shape[2] - earlier.shape[1] - length
        inputs, earlier, memory = (self._before(t) for t in (h, earlier, memory.detach()))
        own = torch.cat([earlier, inputs], 1)

        def project(linear: nn.Linear) -> Float[Tensor, "C N H K"]:
            both = linear(own).unflatten(1, (segments, -1))
            if remembered:
                # W SG(h): the weights learn from the memory, the layers below do not; h~ = [SG(memory), own] (3.2).
                both = torch.cat([linear(memory).unfold(1, remembered, length).mT, both], 2)
            return rearrange(both, "b s n (h k) -> (b s) n h k", h=self.heads)

        query = rearrange(self.query(inputs), "b (s q) (h k) -> (b s) q h k", s=segments, h=self.heads)
        position = rearrange(self.position(sinusoid), "n (h k) -> n h k", h=self.heads)
        context = relative_attention(query, project(self.key), project(self.value), position, *biases, seen)
        return self._after(h, rearrange(context, "(b s) q h k -> b (s q) (h k)", s=segments))

    def one(
        self,
        h: Float[Tensor, "B D"],
        units: Float[Tensor, "B N D"],
        sinusoid: Float[Tensor, "N D"],
        biases: tuple[Float[Tensor, "H K"], Float[Tensor, "H K"]],
        distance: Int[Tensor, "B N"],
        seen: Bool[Tensor, "B N"],
    ) -> Float[Tensor, "B D"]:
        """One unit a row, its own input among the stored ones.

        In float32 or wider: a product that is rounded on the query's side departs from one of projected units.
        """
        before, wide = self._before(h), torch.promote_types(h.dtype, torch.float32)
        query = self.query(before).unflatten(1, (self.heads, -1)).to(wide)
        units, sinusoid = self._before(units).to(wide), sinusoid.to(wide)
        own = before.to(wide)[:, None].expand(-1, self.heads, -1)
        given = torch.stack([query + bias for bias in biases]) * query.shape[-1] ** -0.5
        # Of each head a row with its channels, and zeros for the others'.
        given = torch.diag_embed(given.mT).permute(0, 1, 3, 4, 2).flatten(3)
        content, places = pulled_back((self.key, self.position), (own, own), given.unbind(0))
        blend = relative_attention_step(content, places, units, sinusoid, distance, seen)
        value = self.value(blend).unflatten(2, (self.heads, -1))
        return self._after(h, value.diagonal(dim1=1, dim2=2).mT.flatten(1).to(h.dtype))

    def _before(self, h: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        return self.attention_norm(h) if self.norm == "pre" else h

    def _after(self, h: Float[Tensor, "... D"], context: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        h = h + self.output(context)
        if self.norm == "pre":
            return h + self.fall(F.relu(self.rise(self.mlp_norm(h))))
        h = self.attention_norm(h)
        return self.mlp_norm(h + self.fall(F.relu(self.rise(h))))


class TransformerXL(Memory[TransformerXLState]):
    """Transformer-XL (Dai et al. 2019, arXiv 1901.02860): segment-level recurrence with relative positions.

    In a segment of L units, layer n attends causally to its own segment and to its inputs of the M units before the
    segment, through which no gradient flows: h~ = [SG(memory), h], q, k, v = h W_q, h~ W_kE, h~ W_v and
    score_ij = (q_i + u) . k_j + (q_i + v) . W_kR R_{i-j}. What a unit sees reaches layers * M units back. The state is
    layers * (M + L) * dim numbers.

    Layers need only their own inputs of earlier segments, so whole segments run side by side, layer by layer.

    The start is that of the authors' code, since the paper names none: every matrix, u and v are N(0, 0.02^2), weights
    of norms N(1, 0.02^2), biases 0.

    Args:
        dim: width of inputs and outputs; even.
        segment: L, also the grid at which gradients end.
        memory_length: M; the paper trains with L and evaluates with more.
        layers: how many.
        heads: attention heads.
        hidden: width of the MLPs; 4 dim if None.
        norm: "post" as in the paper; "pre" trains without warm-up but leaves its output without a norm.
    """

    truncates: ClassVar[bool] = True
    """No gradient passes the grid: the paper's own stop-gradient at the start of every segment."""
    native_length: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        *,
        segment: int = 512,
        memory_length: int = 512,
        layers: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        norm: str = "post",
    ) -> None:
        super().__init__()
        if dim % heads or dim % 2:
            raise ValueError(f"dim={dim} must be even and split into {heads} heads; make dim a multiple of {2 * heads}")
        if norm not in ("post", "pre"):
            raise ValueError(f"norm={norm!r} is unknown; give 'post' or 'pre'")
        self.dim = self.width = dim
        self.period = self.segment = segment
        self.memory_length = memory_length
        self.table = Table(partial(_table, memory_length + segment, dim))
        self.layers = nn.ModuleList(
            TransformerXLLayer(dim, heads=heads, hidden=hidden or 4 * dim, norm=norm) for _ in range(layers)
        )
        # u and v are one for all layers.
        self.content_bias = nn.Parameter(torch.randn(heads, dim // heads) * SPREAD)
        self.position_bias = nn.Parameter(torch.randn(heads, dim // heads) * SPREAD)
        for part in self.layers.modules():
            if isinstance(part, (nn.Linear, nn.LayerNorm)):
                nn.init.normal_(part.weight, float(isinstance(part, nn.LayerNorm)), SPREAD)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> TransformerXLState:
        memory, present = (
            tuple(torch.zeros(batch, units, self.width, device=device, dtype=dtype) for _ in self.layers)
            for units in (self.memory_length, self.segment)
        )
        return TransformerXLState(memory, present, torch.zeros(batch, dtype=torch.long, device=device))

    def phase_of(self, state: TransformerXLState) -> Int[Tensor, " B"]:
        return state.position % self.segment

    def scan(
        self,
        x: Float[Tensor, "B T D"],
        state: TransformerXLState | None,
        phase: int = 0,
        *,
        length: Int[Tensor, " B"] | None = None,
        keep: bool = True,
    ) -> tuple[Tensor, Any]:
        if state is None or length is not None:
            return self._ragged(x, state, phase, cast(Tensor, length), keep)
        time, outputs = x.shape[1], []
        head = min(self.segment - phase, time) if phase else 0
        whole = (time - head) // self.segment * self.segment
        for part, start in zip(x.split([head, whole, time - head - whole], 1), (phase, 0, 0), strict=True):
            if part.shape[1]:
                y, state = self._part(part, state, start)
                outputs.append(y)
        return torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0], state

    def step(self, x: Float[Tensor, "B D"], state: TransformerXLState) -> tuple[Tensor, TransformerXLState]:
        position = state.position
        phase = (position % self.segment)[:, None]
        slots = torch.arange(self.segment, device=x.device)
        seen = torch.cat([self._real(position - phase[:, 0]), slots <= phase], 1)
        every = torch.arange(self.memory_length + self.segment, device=x.device)
        distance = (self.memory_length + phase - every).clamp(min=0)
        sinusoid = self.table.on(x.device, x.dtype)
        here, before, closes = (rows[..., None] for rows in (slots == phase, slots < phase, phase + 1 == self.segment))
        closing = not readable(closes) or bool(closes.any())
        memories, presents, h = [], [], x
        for layer, memory, present in zip(self.layers, state.memory, state.present, strict=True):
            memory, new = memory.detach(), h[:, None].to(present.dtype)
            present = torch.where(here, new, torch.where(before, present, 0.0))
            units = torch.cat([memory, present], 1)
            h = layer(h, units.to(h.dtype), sinusoid, self._biases, distance, seen, step=True)
            if closing:
                memory = torch.where(closes, units[:, self.segment :].detach(), memory)
                present = torch.where(closes, torch.zeros_like(present), present)
            memories.append(memory)
            presents.append(present)
        return h, TransformerXLState(tuple(memories), tuple(presents), position + 1)

    @property
    def _biases(self) -> tuple[Float[Tensor, "H K"], Float[Tensor, "H K"]]:
        return self.content_bias, self.position_bias

    def _part(
        self, h: Float[Tensor, "B T D"], state: TransformerXLState, phase: int
    ) -> tuple[Float[Tensor, "B T D"], TransformerXLState]:
        """Some units of one segment, or whole segments."""
        y, inputs = self._layers(h, state, phase)
        position = state.position + h.shape[1]
        if (phase + h.shape[1]) % self.segment:
            memory = tuple(memory.detach() for memory in state.memory)
            return y, TransformerXLState(memory, self._presents(inputs, state.present), position)
        memory = tuple(push(*pair).detach() for pair in zip(state.memory, inputs, strict=True))
        return y, TransformerXLState(memory, tuple(torch.zeros_like(present) for present in state.present), position)

    def _ragged(
        self,
        h: Float[Tensor, "B T D"],
        state: TransformerXLState | None,
        phase: int,
        length: Int[Tensor, " B"],
        keep: bool,
    ) -> tuple[Float[Tensor, "B T D"], TransformerXLState | None]:
        """Rows that end at different places inside one segment; without a state they are fresh and remember nothing."""
        nothing = (h[:, :0],) * len(self.layers)
        before = state or TransformerXLState(nothing, nothing, torch.zeros_like(length))
        y, inputs = self._layers(h, before, phase)
        if not keep:
            return y, None
        after = state or self._fresh(h.shape[0], h)
        real = (torch.arange(phase + h.shape[1], device=h.device) < phase + length[:, None])[..., None]
        inputs = [torch.where(real, own, torch.zeros_like(own)) for own in inputs]
        memory = tuple(memory.detach() for memory in after.memory)
        return y, TransformerXLState(memory, self._presents(inputs, after.present), before.position + length)

    def _layers(
        self, h: Float[Tensor, "B T D"], state: TransformerXLState, phase: int
    ) -> tuple[Float[Tensor, "B T D"], list[Float[Tensor, "B E D"]]]:
        """Outputs, and every layer's own inputs since the start of the segment."""
        time, inputs = h.shape[1], []
        segments = max(1, time // self.segment)
        length = time // segments
        before, places = state.position - phase, state.memory[0].shape[1]
        # What is the first segment's to leave out may be filled for later ones.
        empty = unfilled(before, places) if segments == 1 else 0
        seen = self._seen(before, phase, segments, length)[..., self.memory_length - places + empty :]
        distance = torch.arange(seen.shape[2], -1, -1, device=h.device)
        sinusoid = sinusoids(distance, self.width, h.dtype)
        for layer, memory, present in zip(self.layers, state.memory, state.present, strict=True):
            earlier = present[:, :phase].to(h.dtype)
            inputs.append(torch.cat([earlier, h], 1))
            memory = torch.cat([memory[:, empty:].to(h.dtype), h[:, : time - length]], 1)
            h = layer(h, earlier, memory, sinusoid, self._biases, seen)
        return h, inputs

    def _presents(
        self, inputs: list[Float[Tensor, "B E D"]], like: tuple[Float[Tensor, "B L D"], ...]
    ) -> tuple[Float[Tensor, "B L D"], ...]:
        """The inputs of an unfinished segment in a state's shape and dtype."""
        padded = (F.pad(own, (0, 0, 0, self.segment - own.shape[1])) for own in inputs)
        return tuple(own.to(present.dtype) for own, present in zip(padded, like, strict=True))

    def _real(self, before: Int[Tensor, "*R"]) -> Bool[Tensor, "*R M"]:
        """Which slots of the memory hold a unit, with so many units before the segment."""
        slots = torch.arange(-self.memory_length, 0, device=before.device)
        return slots >= -before[..., None]

    def _seen(self, before: Int[Tensor, " B"], phase: int, segments: int, length: int) -> Bool[Tensor, "C Q N"]:
        """What units phase..phase+length-1 of consecutive segments see: the memory that there is, and no later unit."""
        starts = before[:, None] + self.segment * torch.arange(segments, device=before.device)
        remembered = self._real(starts).flatten(0, 1)[:, None].expand(-1, length, -1)
        causal = torch.ones(length, phase + length, dtype=torch.bool, device=before.device).tril(phase)
        return torch.cat([remembered, causal.expand(remembered.shape[0], -1, -1)], 2)


def _table(units: int, dim: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "N D"]:
    """R for the distances 0..N-1."""
    return sinusoids(torch.arange(units, device=device), dim, dtype)
