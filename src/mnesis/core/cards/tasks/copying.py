"""Tasks that ask for what was read."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "copy", "tasks.copying.copy:Copy", "algorithmic", "repeat a sequence of random symbols",
        papers=("bulatov2022rmt",), lengths=(2, 16),
    ),
    Card(
        "reverse", "tasks.copying.copy:Reverse", "algorithmic", "repeat a sequence of random symbols backwards",
        papers=("bulatov2022rmt",), lengths=(2, 16),
    ),
    Card(
        "selective-copy", "tasks.copying.selective_copy:SelectiveCopy", "retrieval",
        "say the symbols that stood among blanks, in their order",
        papers=("gu2023mamba",), lengths=(2, 16),
    ),
)  # fmt: skip
