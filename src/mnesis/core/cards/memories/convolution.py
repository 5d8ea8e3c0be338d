"""Memories that filter a window of the past."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "tcn", "memories.convolution.tcn:TCN", "convolution",
        "stacked dilated convolutions, which see a window that doubles with every level",
        papers=("bai2018tcn",), size="channels", cost="(kernel - 1) (dim - channels + 2 channels (2^levels - 1))",
        sees="1 + 2 (kernel - 1) (2^levels - 1)",
        example={"dim": 12, "channels": 8, "levels": 3, "kernel": 3},
        equations=(
            r"f_i(h)_t &= \operatorname{relu}\Bigl(\sum_j w_j h_{t - 2^i j} + b\Bigr)",
            r"h &\leftarrow \operatorname{relu}(f_i(f_i(h)) + h), \quad i = 0, \dots, L - 1",
        ),
    ),
    Card(
        "multires", "memories.convolution.multires:Multires", "convolution",
        "a window seen through one pair of filters applied again and again, twice as far apart each time",
        papers=("shi2023multires",), cost="(kernel - 1) (2^levels - 1) dim; more with a uniform selection",
        sees="1 + (kernel - 1) (2^levels - 1)",
        example={"dim": 12, "kernel": 3, "levels": 3, "selection": "uniform", "memory": 7},
        equations=(
            r"a_j[t] &= \sum_k l_k\, a_{j-1}[t - k\, 2^{j-1}], \quad "
            r"b_j[t] = \sum_k h_k\, a_{j-1}[t - k\, 2^{j-1}], \quad a_0 = x",
            r"y[t] &= w_J\, a_J[t] + \sum_{i, j} w_{ij}\, b_j[t - i\, 2^j] + w\, x[t]",
        ),
    ),
    Card(
        "fsmn", "memories.convolution.fsmn:FSMN", "convolution",
        "a hidden layer whose past is filtered channel by channel, behind a gate",
        papers=("zhang2015fsmn", "zhao2023mossformer2"),
        size="order", cost="width (2 (convolution - 1) + (order - 1) ((layers - 1) 2^layers + 1))",
        sees="convolution + (order - 1) (2^layers - 1)",
        example={"dim": 12, "order": 4, "convolution": 3},
        equations=(
            r"p &= W \operatorname{relu}(W' u + b)",
            r"f_t &= \sum_j c_j \odot p_{t-j}",
            r"y &= h + v \odot (u + f)",
        ),
    ),
)  # fmt: skip
