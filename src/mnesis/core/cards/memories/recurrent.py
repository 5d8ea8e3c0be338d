"""Memories that hold a vector, gated or followed by polynomials."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "elman", "memories.recurrent.elman:Elman", "recurrent", "a hidden vector, overwritten by every unit",
        papers=("elman1990time",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
    ),
    Card(
        "lstm", "memories.recurrent.lstm:LSTM", "recurrent", "a cell that is added to, behind three gates",
        papers=("hochreiter1997lstm", "gers2000forget"), size="hidden", cost="2 hidden",
        example={"dim": 12, "hidden": 16},
    ),
    Card(
        "gru", "memories.recurrent.gru:GRU", "recurrent", "two gates over a hidden vector",
        papers=("cho2014gru",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
    ),
    Card(
        "slstm", "memories.recurrent.slstm:SLSTM", "recurrent",
        "an LSTM with exponential gates, a normaliser and a running maximum",
        papers=("beck2024xlstm",), cost="4 dim + dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "convolution": 3},
        earlier=({},),
    ),
    Card(
        "hippo", "memories.recurrent.hippo:HiPPO", "recurrent",
        "a gated vector beside a polynomial that follows all it writes down, or a window of it",
        papers=("gu2020hippo",), size="order", cost="hidden + signals order + 1",
        example={"dim": 12, "signals": 2, "order": 5},
    ),
    Card(
        "lmu", "memories.recurrent.lmu:LMU", "recurrent",
        "a vector beside Legendre polynomials that follow a window of what it writes down",
        papers=("voelker2019lmu",), size="order", cost="hidden + signals order",
        example={"dim": 12, "signals": 2, "order": 5, "window": 9.0},
    ),
)  # fmt: skip
