"""Memories that filter a window of the past."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "tcn", "memories.convolution.tcn:TCN", "convolution",
        "stacked dilated convolutions, which see a window that doubles with every level",
        papers=("bai2018tcn",), size="channels", cost="(kernel - 1) (dim - channels + 2 channels (2^levels - 1))",
        example={"dim": 12, "channels": 8, "levels": 3, "kernel": 3},
    ),
    Card(
        "multires", "memories.convolution.multires:Multires", "convolution",
        "a window seen through one pair of filters applied again and again, twice as far apart each time",
        papers=("shi2023multires",), cost="(kernel - 1) (2^levels - 1) dim; more with a uniform selection",
        example={"dim": 12, "kernel": 3, "levels": 3, "selection": "uniform", "memory": 7},
    ),
    Card(
        "fsmn", "memories.convolution.fsmn:FSMN", "convolution",
        "a hidden layer whose past is filtered channel by channel, behind a gate",
        papers=("zhang2015fsmn", "zhao2023mossformer2"),
        size="order", cost="width (2 (convolution - 1) + (order - 1) ((layers - 1) 2^layers + 1))",
        example={"dim": 12, "order": 4, "convolution": 3},
    ),
)  # fmt: skip
