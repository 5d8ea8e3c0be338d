"""xLSTM: blocks with matrix memories, and some with cells that see their own output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from torch import nn

from ..core.domain import Count
from ..layers.mlp import GatedMLP
from ..layers.norm import NormKind
from ..memories.linear.mlstm_block import MLSTMBlock
from ..memories.recurrent.slstm import SLSTM
from .stack import Block, Stack


class XLSTM(Stack):
    """xLSTM's residual blocks (Beck et al. 2024, arXiv 2405.04517).

    A block holds an mLSTM between projections (:class:`~mnesis.memories.linear.mlstm_block.MLSTMBlock`) and no MLP, or
    an sLSTM (:class:`~mnesis.memories.recurrent.slstm.SLSTM`) and a GeGLU MLP of 4/3 dim; a LayerNorm without a bias
    stands before each and behind the last block. The paper writes xLSTM[a:b] for the ratio of the two: with none of the
    latter all blocks are linear recurrences and read in parallel; the latter can track states that no linear recurrence
    can, unit by unit. State: block by block as those memories have it. (xLSTM 7B of 2025 is another body: a
    :class:`~mnesis.nets.stack.Stack` of "mlstm" with ``mlp="swiglu"``.)

    All starts as in the authors' code (NX-AI/xlstm): the forget biases of the sLSTM in block b of B are
    5 - 12 r^(0.3 + 1.3 b / (B - 1)) with r from 0 to 1 within a head, and projections back to dim have the deviation
    2 / (B sqrt(dim)). That code's MLPs are 1.3 dim wide, and it rounds widths inside blocks up to a multiple of 64.

    Args:
        dim: width of inputs and outputs.
        layers: blocks.
        slstm_at: which of them, from 0, have an sLSTM.
        heads: of every block.
        expansion: of the mLSTM's projections.
        hidden: width of the MLPs; None = 4/3 dim.
        convolution: width of the causal convolutions.
        chunk: units in a chunk of the mLSTMs; changes speed, not results.
        norm: kind of the norms before cells and MLPs and behind the last block, "layer" as published, or "rms", which
            xLSTM 7B has; networks trained before there was a choice here have "rms" too.

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
        norm: NormKind = "layer",
    ) -> None:
        if not set(slstm_at) <= set(range(layers)):
            raise ValueError(f"slstm_at={list(slstm_at)}: there are blocks 0 to {layers - 1}; name some of these")
        wide, back = hidden or math.ceil(4 * dim / 3), 2 / (layers * dim**0.5)
        built: list[Block] = []
        for layer in range(layers):
            if layer in slstm_at:
                cell = SLSTM(dim, heads=heads, convolution=convolution)
                cell.start_at(layer / max(layers - 1, 1))
                block = Block(cell, hidden=wide, mlp="geglu", norm=norm)
                mlp = cast(GatedMLP, block.mlp)
                for into in (mlp.gate, mlp.rise):
                    nn.init.normal_(into.weight, std=(2 / (5 * dim)) ** 0.5)
                nn.init.normal_(mlp.fall.weight, std=back)
            else:
                inner = MLSTMBlock(dim, heads=heads, expansion=expansion, convolution=convolution, chunk=chunk)
                nn.init.normal_(inner.output.weight, std=back)
                block = Block(inner, mlp=None, norm=norm)
            built.append(block)
        super().__init__(dim, memory=built, norm=norm)
