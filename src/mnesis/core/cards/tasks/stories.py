"""Tasks of questions about stories."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "babilong", "tasks.stories.babilong.babilong:BABILong", "question answering",
        "answer bAbI's questions about facts scattered in long text",
        papers=("kuratov2024babilong", "weston2015babi"),
    ),
    Card(
        "babi", "tasks.stories.babi.questions:Babi", "question answering",
        "answer questions about short stories, word by word, of twenty kinds", papers=("weston2015babi",),
        lengths=(20, 80),
    ),
)  # fmt: skip
