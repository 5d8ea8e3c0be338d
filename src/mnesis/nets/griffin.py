"""Griffin: two recurrent layers, then one of local attention, and so on."""

from __future__ import annotations

from ..memories.bank.window import Window
from ..memories.linear.rg_lru import RGLRU
from .stack import Block, Stack

PATTERN = ("recurrent", "recurrent", "attention")


class Griffin(Stack):
    """Griffin's layers (De et al. 2024, arXiv 2402.19427; RecurrentGemma, Botev et al. 2024, arXiv 2404.07839).

    Of every three layers two are recurrent blocks (:class:`~mnesis.memories.linear.rg_lru.RGLRU`) and one attends to a
    window, all heads of queries sharing one of keys and values; a GeGLU MLP follows each. What is older than the
    windows reaches a unit through the recurrences alone, and the state keeps its size. State: layer by layer as those
    memories have it. RecurrentGemma also scales embeddings by sqrt(dim), and caps logits.

    Args:
        dim: width of inputs and outputs.
        layers: how many; RecurrentGemma 2B has 26.
        heads: of queries, in layers with attention; dim / heads must be even.
        window: units that those see (Griffin 1,024, RecurrentGemma 2,048).
        width: of the recurrences; None = 4/3 dim as in Griffin, up to the next multiple of ``blocks``.
        blocks: on the diagonal of their gates' projections.
        hidden: width of the MLPs; 3 dim if None.
        convolution: width of the causal convolution before the recurrences.
        released: recurrences as RecurrentGemma's code has them.
        chunk: units in a chunk of theirs; changes speed, not results.

    Raises:
        ValueError: no layers, or what the two memories do not take.
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 3,
        heads: int = 4,
        window: int = 1024,
        width: int | None = None,
        blocks: int = 16,
        hidden: int | None = None,
        convolution: int = 4,
        released: bool = False,
        chunk: int | None = None,
    ) -> None:
        built = [
            RGLRU(dim, width=width, blocks=blocks, convolution=convolution, released=released, chunk=chunk)
            if PATTERN[layer % len(PATTERN)] == "recurrent"
            else Window(dim, heads=heads, window=window, key_value_heads=1)
            for layer in range(layers)
        ]
        super().__init__(dim, memory=[Block(memory, hidden=hidden or 3 * dim, mlp="geglu") for memory in built])
