"""Memories that keep what they read."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "window", "memories.bank.window:Window", "bank", "keys and values of the last units, exactly",
        papers=("child2019sparse", "beltagy2020longformer"), forms=("naive", "block"),
        size="window", cost="2 (window - 1) dim + dim (convolution - 1) + 1",
        sees="window", limits=("window",),
        example={"dim": 16, "heads": 2, "window": 11, "convolution": 3},
        equations=(
            r"y_t &= W_o \sum_{j = t-W+1}^{t} \operatorname{softmax}_j\left(\frac{R q_t \cdot R "
            r"k_j}{\sqrt{K}}\right) v_j",
        ),
    ),
)  # fmt: skip
