"""Block-Recurrent Transformer: state vectors that one layer reads, and that read a block of tokens through gates."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ...layers.heads import Attention, Heads
from ...layers.mlp import MLP
from ...layers.norm import RMSNorm
from ...layers.position_bias import PositionBias
from ...layers.segment_attention import SegmentCache, appended, attend_in_segment, positions
from ...layers.transformer import Transformer, TransformerLayer
from ...ops.attention import attend
from .segments import SegmentMemory

EPSILON = 1e-6
"""Added to the squared length of keys and queries."""
START = 0.1
"""Deviation of the first states and of the gates' biases."""


class Block(NamedTuple):
    """What a layer keeps of the block before; zero where there is none."""

    key: Float[Tensor, "B W H K"]
    value: Float[Tensor, "B W H K"]


class Slots(NamedTuple):
    """The state vectors, and what tokens read of them."""

    vector: Float[Tensor, "B S D"]
    key: Float[Tensor, "B S H K"]
    value: Float[Tensor, "B S H K"]


class BlockRecurrentCarried(NamedTuple):
    """What passes from block to block."""

    slots: Slots
    blocks: tuple[Block, ...]
    """Of every layer."""
    begun: Bool[Tensor, " B"]
    """Whether there is a block before."""


class BlockRecurrentLayer(TransformerLayer):
    """Attention with keys and queries of length one under a learned scale a head, then an MLP with ReLU.

    Args:
        dim: width.
        heads: of the attention.
        hidden: width of the MLP.
        reads: whether it reads the state vectors too, by second queries, into one output projection.
    """

    def __init__(self, dim: int, *, heads: int, hidden: int | None, reads: bool) -> None:
        super().__init__(dim, heads=heads, hidden=hidden, rotary=False)
        self.mlp = MLP(dim, hidden=hidden, nonlinearity=F.relu)
        self.bias = PositionBias(heads)
        self.scale = nn.Parameter(torch.ones(heads))
        self.reads = reads
        if reads:
            self.second_query = nn.Linear(dim, dim, bias=False)
            self.second_scale = nn.Parameter(torch.ones(heads))
            self.output = nn.Linear(2 * dim, dim, bias=False)

    @property
    def attention(self) -> Attention:
        width = self.dim // self.heads
        return Attention(self.heads, self.heads, width, width, 1.0)

    def _project(
        self,
        h: Float[Tensor, "B T D"],
        cache: SegmentCache | None,
        position: int | Int[Tensor, " B"],
        length: Int[Tensor, " B"] | None,
    ) -> tuple[Heads, Tensor | None]:
        heads, tail = super()._project(h, cache, position, length)
        query, key = _of_length_one(heads.query) * self.scale.abs()[:, None], _of_length_one(heads.key)
        return heads._replace(query=query, key=key), tail

    @staticmethod
    def attend(layer: BlockRecurrentLayer, *given: Any) -> tuple[Float[Tensor, "B T E K"], SegmentCache | None]:
        """The segment alone: where no memory is handed in, nothing is read of one."""
        context, cache = attend_in_segment(layer, *given)
        return torch.cat([context, torch.zeros_like(context)], 2) if layer.reads else context, cache

    def read(self, inputs: Float[Tensor, "B T D"], slots: Slots) -> Float[Tensor, "B T H K"]:
        """What tokens read of the state vectors."""
        query = _of_length_one(_split(self.second_query(inputs), self.heads)) * self.second_scale.abs()[:, None]
        return _attend(query, slots.key, slots.value)


class Gate(nn.Module):
    """How much of a new vector takes the place of an old one.

    "fixed": c' = g c + (1 - g) z, g = sigmoid(b) of each channel, whatever is read. "lstm": c' = f c + i z,
    f = sigmoid(W_f u + 1), i = sigmoid(W_i u - 1), of what z was made from, u.

    Args:
        kind: "fixed" or "lstm".
        inputs: width of u.
        dim: width of z and c.
    """

    def __init__(self, kind: str, inputs: int, dim: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "fixed":
            self.bias = nn.Parameter(torch.randn(dim) * START)
            return
        self.forget, self.input = nn.Linear(inputs, dim), nn.Linear(inputs, dim)
        for part in (self.forget, self.input):
            nn.init.trunc_normal_(part.weight, std=(0.1 / inputs) ** 0.5)
            nn.init.normal_(part.bias, std=START)

    def forward(self, old: Tensor, u: Tensor, new: Tensor) -> Tensor:
        if self.kind == "fixed":
            g = self.bias.sigmoid()
            return g * old + (1 - g) * new
        return (self.forget(u) + 1).sigmoid() * old + (self.input(u) - 1).sigmoid() * new


class StateLayer(nn.Module):
    """The state vectors once a block: they read one another and the tokens, and are renewed through gates.

    Args:
        dim: width.
        slots: S.
        heads: of the attention.
        hidden: width of the MLP.
        gate: "fixed" or "lstm".
        structure: "skip" = one gate behind the projection, no MLP; "dual" = an MLP with a gate of its own behind that;
            "single" = an MLP in the projection's place, with a tanh at its end and the only gate.
    """

    def __init__(self, dim: int, *, slots: int, heads: int, hidden: int | None, gate: str, structure: str) -> None:
        super().__init__()
        self.heads, self.structure = heads, structure
        self.norm, self.place = RMSNorm(dim), nn.Parameter(torch.randn(slots, dim))
        names = ("query", "second_query", "key", "value")
        self.project = nn.ModuleDict({name: nn.Linear(dim, dim, bias=False) for name in names})
        self.scale, self.second_scale = nn.Parameter(torch.ones(heads)), nn.Parameter(torch.ones(heads))
        if structure != "single":
            self.output, self.gate = nn.Linear(2 * dim, dim, bias=False), Gate(gate, 2 * dim, dim)
        if structure != "skip":
            wide = hidden or 4 * dim
            self.mlp_norm = RMSNorm(dim) if structure == "dual" else nn.Identity()
            self.rise = nn.Linear(dim if structure == "dual" else 2 * dim, wide, bias=False)
            self.fall, self.mlp_gate = nn.Linear(wide, dim, bias=False), Gate(gate, wide, dim)

    def forward(self, given: Slots | Tensor, *tokens: Tensor) -> Slots:
        """State vectors ``[B S D]`` as they are read, or, given those and the tokens of a block, renewed by these."""
        return self._after(given, *tokens) if isinstance(given, Slots) else self._slots(given)

    def _slots(self, vector: Float[Tensor, "B S D"]) -> Slots:
        """With what tokens, and they themselves, read of them: their places count behind the norm."""
        placed = self.norm(vector) + self.place.to(vector.dtype)
        return Slots(vector, _of_length_one(self._heads("key", placed)), self._heads("value", placed))

    def _after(
        self, slots: Slots, key: Float[Tensor, "B N H K"], value: Float[Tensor, "B N H K"], seen: Bool[Tensor, "B N"]
    ) -> Slots:
        """The state vectors after a block; they read the tokens that are ``seen``."""
        placed = self.norm(slots.vector) + self.place.to(slots.vector.dtype)
        query, second = (_of_length_one(self._heads(name, placed)) for name in ("query", "second_query"))
        own = _attend(query * self.scale.abs()[:, None], slots.key, slots.value)
        tokens = _attend(second * self.second_scale.abs()[:, None], key, value, seen[:, None, None])
        u = torch.cat([own, tokens], 2).flatten(2)
        return self._slots(self._renewed(slots.vector, u))

    def _renewed(self, vector: Float[Tensor, "B S D"], u: Float[Tensor, "B S E"]) -> Float[Tensor, "B S D"]:
        if self.structure != "single":
            vector = self.gate(vector, u, self.output(u))
        if self.structure == "skip":
            return vector
        between = self.rise(self.mlp_norm(vector) if self.structure == "dual" else u).relu()
        new = self.fall(between)
        return self.mlp_gate(vector, between, new.tanh() if self.structure == "single" else new)

    def _heads(self, name: str, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S H K"]:
        return _split(self.project[name](x), self.heads)


class BlockRecurrent(SegmentMemory):
    """Block-Recurrent Transformer (Hutchins et al. 2022, arXiv 2203.07852).

    Every layer attends to the last W units, across blocks of W, with T5's relative positions. One layer also reads S
    state vectors by second queries, and once a block the vectors read one another and the two blocks that the window
    spans, and are renewed through a gate. Tokens of a block see the vectors as the blocks before left them. The state
    is S dim numbers (three times so many with the keys and values that tokens read) and 2 layers W dim of keys and
    values, beside those of the present block.

    Keys and values of the block before hand gradients on here; the authors' code cuts them between its training
    sequences, as truncation does. Their code, from which the scale of T5's positions is taken
    as well, lets a unit see the W units before it without itself (``itself=False``), and lets keys of zeros stand where
    a text has no block before: here there are none.

    Args:
        dim: width.
        segment: W, units in a block and in the window.
        slots: S.
        layers: how many.
        recurrent: which layer has the state, counted from 0; from the end if negative.
        heads: of the attention.
        hidden: width of the MLPs; 4 dim if None.
        gate: "fixed" (a rate a channel, learned and the same for all inputs) or "lstm".
        structure: "skip" (the paper's best), "single" or "dual": where the state has an MLP and its gates.
        feedback: whether all layers read the state, as the recurrent layer left it after the block before.
        itself: whether a unit sees itself and W - 1 units before it; False = W units before it.

    Raises:
        ValueError: heads that do not split the width, or no such layer.
    """

    stores: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        *,
        segment: int = 512,
        slots: int = 512,
        layers: int = 2,
        recurrent: int = -1,
        heads: int = 4,
        hidden: int | None = None,
        gate: Literal["fixed", "lstm"] = "fixed",
        structure: Literal["skip", "single", "dual"] = "skip",
        feedback: bool = False,
        itself: bool = True,
    ) -> None:
        if not -layers <= recurrent < layers:
            raise ValueError(f"recurrent={recurrent}: there are {layers} layers; give one of 0 to {layers - 1}")
        host = Transformer(dim, layers=layers, heads=heads)
        host.layers = nn.ModuleList(
            BlockRecurrentLayer(dim, heads=heads, hidden=hidden, reads=feedback or index == recurrent % layers)
            for index in range(layers)
        )
        super().__init__(dim, host, {}, segment=segment)
        self.recurrent, self.itself = recurrent % layers, itself
        self.state_layer = StateLayer(dim, slots=slots, heads=heads, hidden=hidden, gate=gate, structure=structure)
        self.start = nn.Parameter(torch.randn(slots, dim) * START)
        for part in (*self.host.modules(), *self.state_layer.modules()):
            if isinstance(part, nn.Linear) and part.bias is None:
                nn.init.trunc_normal_(part.weight, std=part.in_features**-0.5)

    def initial_carried(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> BlockRecurrentCarried:
        slots = self.state_layer(self.start.expand(batch, -1, -1))
        empty = self._empty(batch, device, dtype)
        return BlockRecurrentCarried(
            Slots(*(part.to(dtype).clone() for part in slots)),
            tuple(Block(cache.key, cache.value) for cache in empty),
            torch.zeros(batch, dtype=torch.bool, device=device),
        )

    def read(self, layer: int, h: Tensor, carried: BlockRecurrentCarried) -> Tensor:
        return h

    def opening(self, carried: BlockRecurrentCarried) -> None:
        return None

    def closing(self, carried: BlockRecurrentCarried) -> None:
        return None

    def write(self, outputs: list[Tensor], carried: BlockRecurrentCarried) -> BlockRecurrentCarried:
        return carried

    def attend(self, layer: int, carried: BlockRecurrentCarried) -> Any:
        return partial(self._attend, carried, carried.blocks[layer])

    def _attend(
        self,
        carried: BlockRecurrentCarried,
        before: Block,
        layer: BlockRecurrentLayer,
        heads: Heads,
        cache: SegmentCache | None,
        position: int | Int[Tensor, " B"],
        both_ways: tuple[int, int],
        length: Int[Tensor, " B"] | None,
    ) -> tuple[Float[Tensor, "B T E K"], SegmentCache | None]:
        """The last W units, and the state vectors where the layer reads them."""
        key, value, cache = appended(heads.key, heads.value, cache, position, length)
        at = positions(position, heads.query.shape[1], key.device)[..., None]
        place = torch.arange(key.shape[1], device=key.device) - torch.zeros_like(at)
        earlier = torch.arange(-self.segment, 0, device=key.device) - torch.zeros_like(at)
        distance = at - torch.cat([earlier, place], -1)
        nearest = 0 if self.itself else 1
        seen = (distance >= nearest) & (distance < self.segment + nearest)
        begun = carried.begun[:, None, None] | (torch.arange(distance.shape[-1], device=key.device) >= self.segment)
        bias = layer.bias(distance) * layer.scale.abs()[:, None, None]  # products and biases alike are scaled
        bias = bias.to(key.dtype).masked_fill(~(seen & begun)[:, None], float("-inf"))
        alone = ~(seen & begun).any(-1)  # the first unit of all, where it does not see itself
        bias = bias.masked_fill(alone[:, None, :, None], 0.0)
        keys, values = (torch.cat([old.to(new.dtype), new], 1) for old, new in zip(before, (key, value), strict=True))
        context = _attend(heads.query, keys.to(heads.query.dtype), values.to(heads.query.dtype), bias)
        context = context.masked_fill(alone[..., None, None], 0.0)
        if layer.reads:
            slots = Slots(*(part.to(heads.query.dtype) for part in carried.slots))
            context = torch.cat([context, layer.read(heads.inputs, slots)], 2)
        return context, cache

    def store(self, caches: tuple[SegmentCache, ...], carried: BlockRecurrentCarried) -> BlockRecurrentCarried:
        """The block's keys and values take the place of those before, once the state vectors have read both."""
        dtype = carried.blocks[0].key.dtype
        blocks = tuple(Block(cache.key.to(dtype), cache.value.to(dtype)) for cache in caches)
        both = (torch.cat(pair, 1) for pair in zip(carried.blocks[self.recurrent], blocks[self.recurrent], strict=True))
        own = torch.ones_like(carried.begun)
        seen = torch.stack([carried.begun, own], 1).repeat_interleave(self.segment, 1)
        dtype = next(self.state_layer.parameters()).dtype
        slots = self.state_layer(Slots(*(part.to(dtype) for part in carried.slots)), *(t.to(dtype) for t in both), seen)
        slots = Slots(*(new.to(old.dtype) for new, old in zip(slots, carried.slots, strict=True)))
        return BlockRecurrentCarried(slots, blocks, own)


def _split(x: Float[Tensor, "B T D"], heads: int) -> Float[Tensor, "B T H K"]:
    return x.unflatten(-1, (heads, -1))


def _of_length_one(x: Float[Tensor, "... K"]) -> Float[Tensor, "... K"]:
    return x * (x.square().sum(-1, keepdim=True) + EPSILON).rsqrt()


def _attend(
    query: Float[Tensor, "B T H K"],
    key: Float[Tensor, "B N H K"],
    value: Float[Tensor, "B N H K"],
    mask: Tensor | None = None,
) -> Float[Tensor, "B T H K"]:
    heads_first = (t.transpose(1, 2) for t in (query, key, value))
    return attend(*heads_first, mask=mask, scale=1.0).transpose(1, 2)
