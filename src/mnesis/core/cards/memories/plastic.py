"""Memories that correct what they hold."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "delta-rule", "memories.plastic.delta_rule:DeltaRule", "plastic",
        "a matrix that corrects what it holds under a key",
        papers=("yang2024deltanet", "schlag2021fast", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        cost="dim^2 / heads + 3 dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
    ),
    Card(
        "gated-delta-rule", "memories.plastic.gated_delta_rule:GatedDeltaRule", "plastic",
        "a matrix that forgets, then corrects what it holds under a key",
        papers=("yang2024gateddeltanet", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads * (width^2 * expansion + width (2 + expansion) (convolution - 1))",
        example={"dim": 12, "heads": 2, "width": 5, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
        earlier=({},),
    ),
    Card(
        "delta-product", "memories.plastic.delta_product:DeltaProduct", "plastic",
        "a matrix that corrects what it holds several times a unit, so that it can rotate it",
        papers=("siems2025deltaproduct", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads width^2 expansion + heads width (1 + writes (1 + expansion)) (convolution - 1)",
        example={"dim": 12, "heads": 2, "width": 5, "writes": 2, "gated": True, "convolution": 3, "chunk": 7},
        earlier=({},),
    ),
    Card(
        "mom", "memories.plastic.mom:MoM", "plastic",
        "several matrices, of which every unit writes and reads a few, and one that all share",
        papers=("du2025mom", "yang2024gateddeltanet"), forms=("naive", "chunk", "parallel"),
        size="width",
        cost="(memories + shared) heads (width^2 expansion + width (2 + expansion) (convolution - 1))",
        example={"dim": 12, "heads": 2, "width": 4, "memories": 3, "activated": 2, "convolution": 3, "chunk": 7},
        earlier=({},),
    ),
    Card(
        "lattice", "memories.plastic.lattice:Lattice", "plastic",
        "slots of length 1, to which only what is orthogonal to them is added",
        papers=("karami2025lattice",),
        size="slots", cost="slots dim + (2 heads slots + dim) (convolution - 1)",
        example={"dim": 12, "heads": 2, "slots": 5, "convolution": 3},
    ),
)  # fmt: skip
