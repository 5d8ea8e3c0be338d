"""Tasks that people and animals are given."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "working-memory", "tasks.cognition.working_memory:WorkingMemory", "working memory",
        "ten families of trials that people are given: lists, markers, figures, changes, rules, and spans",
        papers=("sikarwar2023worm",), example={"family": "memory-updating"}, lengths=(1, 2),
    ),
    Card(
        "t-maze", "tasks.cognition.t_maze:TMaze", "working memory",
        "turn at the end of a corridor as a cue at its entrance said",
        papers=("ni2023transformers", "cherepanov2025elmur", "bakker2001reinforcement"), example={"noise": 3},
        lengths=(1, 28),
    ),
)  # fmt: skip
