"""xLSTM: blocks with matrix memories, and some with cells that see their own output."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.domain import Count
from ..memories.linear.mlstm_block import MLSTMBlock
from ..memories.recurrent.slstm import SLSTM
from .stack import Block, Stack


class XLSTM(Stack):
    """xLSTM's residual blocks (Beck et al. 2024, arXiv 2405.04517).

    A block holds an mLSTM between projections (:class:`~mnesis.memories.linear.mlstm_block.MLSTMBlock`) and no MLP, or
    an sLSTM (:class:`~mnesis.memories.recurrent.slstm.SLSTM`) and a GeGLU MLP of 4/3 dim. The paper writes xLSTM[a:b]
    for the ratio of the two: with none of the latter all blocks are linear recurrences and read in parallel; the
    latter can track states that no linear recurrence can, unit by unit. State: block by block as those memories have
    it. (xLSTM 7B of 2025 is another body: a :class:`~mnesis.nets.stack.Stack` of "mlstm" with ``mlp="swiglu"``.)

    Args:
        dim: width of inputs and outputs.
        layers: blocks.
        slstm_at: which of them, from 0, have an sLSTM.
        heads: of every block.
        expansion: of the mLSTM's projections.
        hidden: width of the MLPs; None = 4/3 dim.
        convolution: width of the causal convolutions.
        chunk: units in a chunk of the mLSTMs; changes speed, not results.

    Raises:
        ValueError: no blocks, an sLSTM where there is no block, or what the two memories do not take.
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 2,
        slstm_at: Sequence[Count] = (),
        heads: int = 4,
        expansion: float = 2.0,
        hidden: int | None = None,
        convolution: int = 4,
        chunk: int | None = None,
    ) -> None:
        if not set(slstm_at) <= set(range(layers)):
            raise ValueError(f"slstm_at={list(slstm_at)}: there are blocks 0 to {layers - 1}; name some of these")
        wide = hidden or math.ceil(4 * dim / 3)
        built = [
            Block(SLSTM(dim, heads=heads, convolution=convolution), hidden=wide, mlp="geglu")
            if layer in slstm_at
            else Block(
                MLSTMBlock(dim, heads=heads, expansion=expansion, convolution=convolution, chunk=chunk), mlp=None
            )
            for layer in range(layers)
        ]
        super().__init__(dim, memory=built)
