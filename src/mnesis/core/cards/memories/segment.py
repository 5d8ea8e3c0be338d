"""Memories that read segment by segment."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "rmt", "memories.segment.rmt:RMT", "segment",
        "memory tokens read at the start and written at the end of a segment",
        papers=("bulatov2022rmt",), whole=True, size="memory_tokens", cost="memory_tokens * dim + segment cache",
        sees="segment", limits=("segment",),
        example={"dim": 16, "segment": 8, "memory_tokens": 3, "heads": 2, "hidden": 24},
        equations=(
            r"[\,\cdot\,;\; Y_n;\; M_{n+1}] &= \operatorname{host}([M_n;\; X_n;\; M_n])",
        ),
    ),
    Card(
        "armt", "memories.segment.armt:ARMT", "segment",
        "a matrix per layer, written by memory tokens with a delta rule",
        papers=("rodkin2024armt",), whole=True, size="memory_dim",
        cost="layers * 6 memory_dim * (dim + 1) + segment cache",
        sees="segment", limits=("segment",),
        example={
            "dim": 16, "segment": 40, "memory_tokens": 6, "memory_dim": 24, "heads": 2, "hidden": 24,
            "convolution": 3, "output_norm": True,
        },
        equations=(
            r"x &\leftarrow x + \frac{A^\top \phi(W_q x)}{z \cdot \phi(W_q x)}",
            r"A &\leftarrow A + \sum_m \beta_m \phi(k_m) \left(v_m - \frac{A^\top \phi(k_m)}{z \cdot "
            r"\phi(k_m)}\right)^\top",
            r"z &\leftarrow z + \sum_m \gamma_m \phi(k_m), \quad "
            r"\gamma_m = 1 - \frac{z \cdot \phi(k_m)}{|\phi(k_m)|^2}",
        ),
    ),
    Card(
        "transformer-xl", "memories.segment.transformer_xl:TransformerXL", "segment",
        "inputs of every layer in the segments before, read and not trained through",
        papers=("dai2019transformerxl",), whole=True, size="memory_length",
        cost="layers * (memory_length + segment) * dim + 1",
        sees="segment + memory_length", limits=("segment", "memory_length"),
        example={"dim": 16, "segment": 8, "memory_length": 12, "heads": 2, "hidden": 24},
        earlier=({},),
        equations=(
            r"\tilde{h} &= [\operatorname{SG}(\text{memory}),\; h]",
            r"q, k, v &= h W_q,\; \tilde{h} W_{kE},\; \tilde{h} W_v",
            r"\text{score}_{ij} &= (q_i + u) \cdot k_j + (q_i + v) \cdot W_{kR} R_{i-j}",
        ),
    ),
    Card(
        "block-recurrent", "memories.segment.block_recurrent:BlockRecurrent", "segment",
        "state vectors that one layer reads and that read every block of tokens, through gates",
        papers=("hutchins2022block",), whole=True, size="slots",
        cost="3 * slots * dim + 2 * layers * segment * dim + 1 + segment cache",
        sees="segment", limits=("segment",),
        example={"dim": 16, "segment": 8, "slots": 4, "heads": 2, "hidden": 24},
        equations=(
            r"y &= x + W_o [\operatorname{window}(q, k, v);\; \operatorname{att}(q', k_c, v_c)]",
            r"z &= W_r [\operatorname{att}(q_c, k_c, v_c);\; \operatorname{att}(q'_c, k, v)]",
            r"c &\leftarrow g \odot c + (1 - g) \odot z, \quad g = \sigma(b)",
        ),
    ),
)  # fmt: skip
