"""Cards say of a class what it is: its family, its forms, what its state costs, and an example that can be built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import mnesis
from mnesis.core.cards import claims, memories, tasks
from mnesis.core.catalog import list_claims, list_memories, list_tasks, papers
from mnesis.core.expressions import evaluate_for
from mnesis.core.memory import Memory
from mnesis.core.state import leaves
from mnesis.memories.bank.window import Window

GIVEN: dict[str, dict[str, Any]] = {
    "fsmn": {"width": 6}, "s5": {"states": 12}, "multires": {"selection": "fading", "memory": None}
}  # fmt: skip
"""Where the example leaves to the class what the cost names, or costs more than it says."""
IN_WORDS = {"xlstm", "griffin"}
"""Whose cost is that of what they are made of."""
CACHE = " + segment cache"
MEMORIES = {card.name: card for card in list_memories()}


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
    assert set(card.limits) <= set(options), "what limits what it sees is an option"
    assert card.sees or not card.limits
    for earlier in card.earlier:
        assert set(earlier) <= set(options), "what computes as before is an option"
    if name in IN_WORDS:
        return

    state: Any = memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)
    counted = state.carried if card.cost.endswith(CACHE) else state
    size = sum(leaf.numel() for leaf in leaves(counted))
    assert evaluate_for(memory, card.cost.removesuffix(CACHE)) == pytest.approx(size)


FELT: dict[str, dict[str, Any]] = {
    "window": {"convolution": None}, "transformer-xl": {"layers": 1}, "tcn": {}, "multires": {}, "fsmn": {},
}  # fmt: skip
"""Memories that have nothing but what they see in one layer, and what leaves them that."""


def _seeing(name: str) -> tuple[Memory[Any], int]:
    memory = mnesis.create_memory(name, **{**MEMORIES[name].example, **FELT.get(name, {})})
    return memory, round(evaluate_for(memory, MEMORIES[name].sees))


@pytest.mark.parametrize("name", FELT)
def test_a_memory_sees_what_its_card_says(name) -> None:
    """The last unit is moved by an input so many units before, itself included, and by none before that."""
    torch.manual_seed(0)
    memory, sees = _seeing(name)
    memory = memory.double().eval()
    for parameter in memory.parameters():  # maps that start at zero would hide what is seen
        torch.nn.init.normal_(parameter, std=0.3)
    grid = memory.period or 1
    time = -(-(sees + 2) // grid) * grid  # the end of a segment sees most
    x = torch.randn(1, time, memory.config["dim"], dtype=torch.float64)
    state = memory.initial_state(1, device=x.device, dtype=x.dtype)
    y, _ = memory.scan(x, state)
    moved = []
    for at in (time - sees - 1, time - sees):
        other = x.clone()
        other[:, at] += 10.0
        moved.append(not torch.allclose(memory.scan(other, state)[0][:, -1], y[:, -1], rtol=0, atol=1e-12))
    assert moved == [False, True]


def test_what_memories_see_that_carry_something_besides() -> None:
    """What was read before is moved through what they carry, so that it is counted by what they are made of."""
    named = {name for name, card in MEMORIES.items() if card.sees}
    assert set(FELT) | {"rmt", "armt", "block-recurrent", "griffin"} == named
    for name in ("rmt", "armt", "block-recurrent"):
        memory, sees = _seeing(name)
        assert memory.period == sees, "at a segment's end all of it stands there"
    griffin, sees = _seeing("griffin")
    assert [part.window for part in griffin.modules() if isinstance(part, Window)] == [sees]


def test_what_griffin_sees_as_released() -> None:
    """Counted by the layers inside: one more than its option."""
    memory = mnesis.create_memory("griffin", dim=16, heads=2, window=9, blocks=2, hidden=24, released=True)
    seen = [evaluate_for(part, "window") for part in memory.modules() if isinstance(part, Window)]
    assert seen == [10]


def test_time_scales_are_no_windows() -> None:
    for name in ("hippo", "lmu", "parallel-lmu", "lmuformer", "s4d", "lssl"):
        assert not MEMORIES[name].sees


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
