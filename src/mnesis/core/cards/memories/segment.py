"""Memories that read segment by segment."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "rmt", "memories.segment.rmt:RMT", "segment",
        "memory tokens read at the start and written at the end of a segment",
        papers=("bulatov2022rmt",), whole=True, size="memory_tokens", cost="memory_tokens * dim + segment cache",
        example={"dim": 16, "segment": 8, "memory_tokens": 3, "heads": 2, "hidden": 24},
    ),
    Card(
        "armt", "memories.segment.armt:ARMT", "segment",
        "a matrix per layer, written by memory tokens with a delta rule",
        papers=("rodkin2024armt",), whole=True, size="memory_dim",
        cost="layers * 6 memory_dim * (dim + 1) + segment cache",
        example={
            "dim": 16, "segment": 40, "memory_tokens": 6, "memory_dim": 24, "heads": 2, "hidden": 24,
            "convolution": 3, "output_norm": True,
        },
    ),
    Card(
        "transformer-xl", "memories.segment.transformer_xl:TransformerXL", "segment",
        "inputs of every layer in the segments before, read and not trained through",
        papers=("dai2019transformerxl",), whole=True, size="memory_length",
        cost="layers * (memory_length + segment) * dim + 1",
        example={"dim": 16, "segment": 8, "memory_length": 12, "heads": 2, "hidden": 24},
        earlier=({},),
    ),
)  # fmt: skip
