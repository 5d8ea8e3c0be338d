"""Memories that are never trained."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "echo-state", "memories.reservoir.echo_state:EchoState", "reservoir",
        "a random recurrence that is never trained, only what reads it",
        papers=("jaeger2001echo", "jaeger2001memory"), cost="dim", example={"dim": 12},
        search=(
            {"spectral_radius": 0.9, "input_scale": 0.1}, {"spectral_radius": 0.99, "input_scale": 0.03},
            {"spectral_radius": 1.0, "topology": "cycle", "input_scale": 0.03},
            {"spectral_radius": 0.9, "leak": 0.3, "input_scale": 0.1},
        ),
        equations=(
            r"s_t &= (1 - a) s_{t-1} + a f(W s_{t-1} + V x_t + b)",
            r"y_t &= s_t",
        ),
    ),
)  # fmt: skip
