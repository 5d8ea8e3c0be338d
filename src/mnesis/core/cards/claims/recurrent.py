"""Claims about memories that hold a vector."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "legs-timescale", "claims.legs_timescale:LegSTimescale", "recurrent",
        "a memory without a time scale reads curves at rates it was not trained on", papers=("gu2020hippo",),
    ),
)  # fmt: skip
