"""Tasks that people are given."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "working-memory", "tasks.cognition.working_memory:WorkingMemory", "working memory",
        "ten families of trials that people are given: lists, markers, figures, changes, rules, and spans",
        papers=("sikarwar2023worm",), example={"family": "memory-updating"}, lengths=(1, 2),
    ),
)  # fmt: skip
