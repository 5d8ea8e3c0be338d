"""Cards say of a class what it is: its family, its forms, what its state costs, and an example that can be built."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import mnesis
from mnesis.core.cards import claims, memories, tasks
from mnesis.core.catalog import list_claims, list_memories, list_tasks, papers
from mnesis.core.memory import Memory
from mnesis.core.state import leaves

GIVEN: dict[str, dict[str, Any]] = {
    "fsmn": {"width": 6}, "s5": {"states": 12}, "multires": {"selection": "fading", "memory": None}
}  # fmt: skip
"""Where the example leaves to the class what the cost names, or costs more than it says."""
IN_WORDS = {"xlstm", "griffin"}
"""Whose cost is that of what they are made of."""
CACHE = " + segment cache"
MEMORIES = {card.name: card for card in list_memories()}


def numbers(cost: str, value: Any) -> float:
    """What a cost comes to: factors stand side by side, ^ is a power, and ! a factorial."""
    written: list[str] = []
    for token in re.findall(r"\d+|[a-z_]+|[-+*/^()!]", cost.split(";")[0]):
        if written and re.match(r"[\w(]", token) and re.search(r"[\w)]$", written[-1]):
            written.append("*")
        if token == "!":
            begin = len(written) - 1
            while written[begin:].count("(") < written[begin:].count(")"):
                begin -= 1
            written[begin:] = [f"factorial({' '.join(written[begin:])})"]
        elif token == "^":
            written.append("**")
        else:
            written.append(f"{value(token)}" if token[0].isalpha() else token)
    return eval(" ".join(written), {"factorial": lambda n: math.gamma(n + 1)})


@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_is_what_its_card_says(name) -> None:
    card = MEMORIES[name]
    cls = card.load()
    assert issubclass(cls, Memory)
    module = Path(__import__(cls.__module__, fromlist=["x"]).__file__ or "")
    assert module.parent.name in (card.family, "nets"), "the family is the folder"
    assert card.forms == tuple(getattr(cls, "forms", ())), "the forms are the class's"
    assert set(card.papers) <= set(papers())
    memory = mnesis.create_memory(name, **{**card.example, **GIVEN.get(name, {})})
    options = memory.config
    assert card.bounded is memory.bounded
    assert not card.size or card.size in options, "what the state grows with is an option"
    for earlier in card.earlier:
        assert set(earlier) <= set(options), "what computes as before is an option"
    if name in IN_WORDS:
        return

    def value(token: str) -> float:
        found = options[token] if options.get(token) is not None else getattr(memory, token)
        return float(found if isinstance(found, (int, float)) else len(found))

    state: Any = memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)
    counted = state.carried if card.cost.endswith(CACHE) else state
    size = sum(leaf.numel() for leaf in leaves(counted))
    assert numbers(card.cost.removesuffix(CACHE), value) == pytest.approx(size)


def test_every_card_stands_in_the_file_of_its_room() -> None:
    for family in ("recurrent", "reservoir", "segment", "linear", "plastic", "convolution", "bank"):
        assert {card.family for card in getattr(memories, family).CARDS} == {family}
    for room in ("recall", "copying", "language", "signals", "algorithms", "cognition", "images", "stories"):
        assert {card.target.split(".")[1] for card in getattr(tasks, room).CARDS} == {room}
    for family in ("segment", "recurrent", "linear", "generative"):
        assert {card.family for card in getattr(claims, family).CARDS} == {family}
    listed = [list_memories(), list_tasks(), list_claims()]
    for kind, cards in zip(("memories", "tasks", "claims"), listed, strict=True):
        names = [card.name for card in cards]
        assert len(set(names)) == len(names), kind
        assert all(set(card.papers) <= set(papers()) for card in cards)
