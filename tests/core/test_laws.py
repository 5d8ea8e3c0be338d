"""Every catalogued memory obeys every law, and every deliberately broken one fails the law that it breaks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from mnesis.core.catalog import create_memory, list_memories
from mnesis.core.laws import LAWS, check, in_form

from .broken import BREAKS, Leaky, TwoForms

TRACED = "compiles"
"""Measured in a process of its own: the compiler cannot see through the run-time type checks of the tests."""


@pytest.mark.parametrize("card", list_memories(), ids=lambda card: card.name)
def test_every_memory_obeys_every_law(card) -> None:
    torch.manual_seed(0)
    laws = [law for law in LAWS if law != TRACED]
    gaps = list(check(create_memory(card.name, **card.example), name=card.name, laws=laws))
    assert {gap.law for gap in gaps} >= set(laws) - ({"bounded"} if not card.bounded else set())
    assert not [gap for gap in gaps if not gap.holds]


def test_every_memory_compiles() -> None:
    command = [sys.executable, "-m", "mnesis.cli", "laws", "--all", "--only", TRACED, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    gaps = json.loads(result.stdout)
    assert {gap["memory"] for gap in gaps} == {card.name for card in list_memories()}
    assert not [gap for gap in gaps if not gap["holds"]]
    assert result.returncode == 0


def test_the_plain_memory_obeys_every_law() -> None:
    assert not [gap for gap in check(Leaky(6), laws=[law for law in LAWS if law != TRACED]) if not gap.holds]


@pytest.mark.parametrize(("broken", "law"), BREAKS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_memory_fails_its_law(broken, law) -> None:
    gaps = list(check(broken(6), laws=[law], dtypes=[torch.float64]))
    assert gaps
    assert any(not gap.holds for gap in gaps)


def test_every_law_has_a_memory_that_breaks_it() -> None:
    assert set(BREAKS.values()) == set(LAWS)


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="no law is called 'cutz'"):
        list(check(Leaky(6), laws=["cutz"]))


def test_forms_share_weights() -> None:
    memory = TwoForms(6).double()
    other = in_form(memory, "fast")
    assert other.form == "fast"
    assert other.rise.weight.dtype == torch.float64
    assert torch.equal(other.rise.weight, memory.rise.weight)
