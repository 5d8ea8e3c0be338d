"""Tasks of pictures."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "sequential-images", "tasks.images.sequential_images:SequentialImages", "classification",
        "tell what a picture shows, after all of its pixels and noise behind them",
        papers=("le2015irnn", "chang2019antisymmetric", "rusch2022lem"), lengths=64,
    ),
)  # fmt: skip
