"""A stack of memories, itself a memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.catalog import card, create_memory
from ..core.domain import Epsilon
from ..core.memory import Memory
from ..layers.mlp import MLP
from ..layers.mlp import mlp as mlp_of
from ..layers.norm import NormKind
from ..layers.norm import norm as norm_of
from ..layers.short_convolution import ShortConvolution
from .stack_host import StackHost


class BlockState(NamedTuple):
    """What one block carries."""

    memory: Any
    tail: Float[Tensor, "B tail D"]
    """Of the short convolution; W = 1 without one."""


class Block(Memory[BlockState]):
    """h + memory(convolution(norm(h))), then h + MLP(norm(h)), on its way out normalised if asked.

    Args:
        memory: any memory of width ``dim``.
        hidden: width of the MLP; 4 dim if None.
        convolution: width of a causal convolution before the memory; None = without.
        mlp: its kind, "gelu", or gated, "geglu" or "swiglu", or the MLP itself; None = without one.
        norm: kind of all norms, "rms" or "layer".
        epsilon: of all; None = 1e-6 of "rms", 1e-5 of "layer".
        output_norm: normalise what the block hands on, so that a memory which feeds on it cannot blow up.
    """

    added: ClassVar[Mapping[str, Any]] = {"output_norm": False, "epsilon": None}
    splits = True
    starts_inside = True

    def __init__(
        self,
        memory: Memory,
        *,
        hidden: int | None = None,
        convolution: int | None = None,
        mlp: str | MLP | None = "gelu",
        norm: NormKind = "rms",
        epsilon: Epsilon | None = None,
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        if memory.dim is None:
            raise ValueError(f"{type(memory).__name__} has no width of its own, so no block can stand around it")
        self.dim, self.period, self.memory = memory.dim, memory.period, memory
        self.memory_norm = norm_of(norm, self.dim, epsilon)
        self.mlp_norm = norm_of(norm, self.dim, epsilon) if mlp else None
        self.convolution = ShortConvolution(self.dim, convolution) if convolution else None
        self.mlp = mlp_of(mlp, self.dim, hidden=hidden) if isinstance(mlp, str) else mlp
        self.output_norm = norm_of(norm, self.dim, epsilon) if output_norm else nn.Identity()

    @property
    def bounded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the state keeps its size: as the memory inside."""
        return self.memory.bounded

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> BlockState:
        tail = self._no_tail(batch, device, dtype)
        return BlockState(self.memory.initial_state(batch, device=device, dtype=dtype), tail)

    def _no_tail(self, batch: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "B tail D"]:
        width = self.convolution.width if self.convolution else 1
        return torch.zeros(batch, width - 1, cast(int, self.dim), device=device, dtype=dtype)

    @property
    def native_length(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether ``scan`` takes rows of different lengths: as the memory inside."""
        return self.memory.native_length

    def phase_of(self, state: BlockState) -> Int[Tensor, " B"] | None:
        return self.memory.phase_of(state.memory)

    def scan(
        self, x: Float[Tensor, "B T D"], state: BlockState | None, phase: int = 0, **ragged: Any
    ) -> tuple[Tensor, BlockState]:
        earlier = None if state is None else state.memory
        h, tail = self._convolved(self.memory_norm(x), state, ragged.get("length"))
        y, memory = self.memory(h, earlier, phase=phase, **ragged)
        return self._after(x + y), BlockState(memory, tail)

    def step(self, x: Float[Tensor, "B D"], state: BlockState | None) -> tuple[Tensor, BlockState]:
        h, tail = self._convolved(self.memory_norm(x).unsqueeze(1), state, None)
        y, memory = self.memory(h.squeeze(1), None if state is None else state.memory, step=True)
        return self._after(x + y), BlockState(memory, tail)

    def _convolved(
        self, h: Float[Tensor, "B T D"], state: BlockState | None, length: Tensor | None
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B tail D"]]:
        tail = self._no_tail(h.shape[0], h.device, self.compute_dtype(h)) if state is None else state.tail
        return (h, tail.clone()) if self.convolution is None else self.convolution(h, tail, length)

    def _after(self, h: Tensor) -> Tensor:
        h = h if self.mlp is None or self.mlp_norm is None else h + self.mlp(self.mlp_norm(h))
        return self.output_norm(h)


class StackState(NamedTuple):
    """What a stack carries."""

    blocks: tuple[BlockState, ...]
    position: Int[Tensor, " B"] | tuple[()]
    """On the common grid; empty where no block has one."""


class Stack(Memory[StackState]):
    """Blocks one above the other and a final norm. Its grid is the least common multiple of theirs.

    A stack of blocks without a grid may also stand inside a segment memory, as its host: ``ARMT(dim, host=stack)``.

    Args:
        dim: width.
        memory: name of the memory in every block, or one name, Memory or ready :class:`Block` per block.
        depth: blocks, where one name is given.
        hidden: width of the blocks' MLPs; 4 dim if None.
        convolution: width of a causal convolution before every memory; None = without.
        mlp: kind of the blocks' MLPs, "gelu", or gated, "geglu" or "swiglu"; None = without.
        options: further arguments of the named memories.
        norm: kind of the norms, "rms" or "layer"; ready blocks keep their own.
        epsilon: of the norms; None = 1e-6 of "rms", 1e-5 of "layer".
        output_norm: normalise what every block hands on, so that a memory which feeds on it (ARMT) cannot blow up.
    """

    added: ClassVar[Mapping[str, Any]] = {"output_norm": False, "epsilon": None}
    splits = True
    starts_inside = True

    def __init__(
        self,
        dim: int,
        *,
        memory: str | Sequence[str | Memory] = "gru",
        depth: int = 2,
        hidden: int | None = None,
        convolution: int | None = None,
        mlp: str | None = "gelu",
        options: Mapping[str, Any] | None = None,
        norm: NormKind = "rms",
        epsilon: Epsilon | None = None,
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        chosen = (memory for _ in range(depth)) if isinstance(memory, str) else memory
        self.dim = dim
        built = [create_memory(m, dim=dim, **(options or {})) if isinstance(m, str) else m for m in chosen]
        if not built:
            raise ValueError("a stack of no blocks holds nothing; name at least one memory")
        each: dict[str, Any] = {"hidden": hidden, "convolution": convolution, "mlp": mlp, "norm": norm}
        each |= {"epsilon": epsilon, "output_norm": output_norm}
        self.blocks = nn.ModuleList(m if isinstance(m, Block) else Block(m, **each) for m in built)
        self.final_norm = norm_of(norm, dim, epsilon)
        periods = [m.period for m in built if m.period is not None]
        self.period = math.lcm(*periods) if periods else None

    @property
    def bounded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the state keeps its size: if every block's does."""
        return all(block.bounded for block in self._blocks())

    @property
    def native_length(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether ``scan`` takes rows of different lengths: if every block does, on no finer grid than the stack's."""
        return all(block.native_length and block.period in (None, self.period) for block in self._blocks())

    def as_host(self) -> StackHost:
        """Its blocks and final norm as the layers that a segment memory runs: ``RMT(dim, host=stack)`` asks for it.

        Raises:
            ValueError: a block with a grid of its own, or whose state grows.
        """
        return StackHost(cast(int, self.dim), self._blocks(), self.final_norm)

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> StackState:
        blocks = tuple(block.initial_state(batch, device=device, dtype=dtype) for block in self._blocks())
        return StackState(blocks, () if self.period is None else torch.zeros(batch, dtype=torch.long, device=device))

    def phase_of(self, state: StackState) -> Int[Tensor, " B"] | None:
        return None if self.period is None else cast(Tensor, state.position) % self.period

    def scan(
        self, x: Float[Tensor, "B T D"], state: StackState | None, phase: int = 0, **ragged: Any
    ) -> tuple[Tensor, StackState]:
        kept = []
        for block, own in self._with_states(state):
            x, own = block(x, own, phase=phase % block.period if block.period else 0, **ragged)
            kept.append(own)
        return self.final_norm(x), StackState(tuple(kept), self._moved(x, state, ragged.get("length", x.shape[1])))

    def step(self, x: Float[Tensor, "B D"], state: StackState | None) -> tuple[Tensor, StackState]:
        kept = []
        for block, own in self._with_states(state):
            x, own = block(x, own, step=True)
            kept.append(own)
        return self.final_norm(x), StackState(tuple(kept), self._moved(x, state, 1))

    def _with_states(self, state: StackState | None) -> list[tuple[Block, BlockState | None]]:
        blocks = self._blocks()
        return list(zip(blocks, [None] * len(blocks) if state is None else state.blocks, strict=True))

    def _moved(self, x: Tensor, state: StackState | None, units: int | Tensor) -> Tensor | tuple[()]:
        """The place on the grid after so many units; fresh rows start at 0."""
        if self.period is None:
            return ()
        before = cast(Tensor, state.position) if state else torch.zeros(len(x), dtype=torch.long, device=x.device)
        return (before + units) % self.period


def network(
    dim: int,
    *,
    memory: str | Sequence[str],
    depth: int,
    hidden: int | None,
    convolution: int | None,
    mlp: str | None,
    options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    epsilon: float | None = None,
) -> Memory:
    """The body of a network: the memory itself where it is a whole stack of layers, else a :class:`Stack` of it.

    Raises:
        ValueError: unlike blocks without options for each, or what the memory does not take.
    """
    if not isinstance(memory, str):
        each = [{}] * len(memory) if options is None else options
        if isinstance(each, Mapping) or len(each) != len(memory):
            raise ValueError(f"{len(memory)} blocks ({', '.join(memory)}) need options for each; give a list as long")
        built = [create_memory(name, dim=dim, **own) for name, own in zip(memory, each, strict=True)]
        return Stack(dim, memory=built, hidden=hidden, convolution=convolution, mlp=mlp, epsilon=epsilon)
    if not (options is None or isinstance(options, Mapping)):
        raise ValueError(f"options={list(options)}: one memory, {memory}, takes one mapping of options")
    if card("memories", memory).whole:
        if mlp != "gelu":
            raise ValueError(f"{memory} is a whole stack with MLPs of its own, so mlp={mlp!r} cannot be; leave it out")
        given = {"layers": depth, "hidden": hidden} | ({"convolution": convolution} if convolution else {})
        given |= {} if epsilon is None else {"epsilon": epsilon}
        return create_memory(memory, dim=dim, **{**given, **(options or {})})
    sizes: dict[str, Any] = {"hidden": hidden, "convolution": convolution, "mlp": mlp, "epsilon": epsilon}
    return Stack(dim, memory=memory, depth=depth, options=options, **sizes)
