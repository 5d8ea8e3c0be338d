"""Claims about memories that read segment by segment."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "armt-rewrite", "claims.armt_rewrite:ARMTRewrite", "segment",
        "ARMT follows rewritten associations far beyond its training length", papers=("rodkin2024armt",),
    ),
    Card(
        "rmt-copy", "claims.rmt_copy:RMTCopy", "segment",
        "RMT copies across segments where Transformer-XL with equal memory does not", papers=("bulatov2022rmt",),
    ),
    Card(
        "rmt-length", "claims.rmt_length:RMTLength", "segment",
        "RMT trained on a few segments holds a fact over many", papers=("bulatov2023scaling",),
    ),
)  # fmt: skip
