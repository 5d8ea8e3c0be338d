"""Tasks of text."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "text", "tasks.language.text:Text", "language modelling",
        "the next byte of a text, real or generated", lengths=128,
    ),
    Card(
        "words", "tasks.language.words:Words", "language modelling",
        "the next word of Penn Treebank, WikiText-2 or another text",
        papers=("mikolov2010rnnlm", "merity2016pointer"),
    ),
)  # fmt: skip
