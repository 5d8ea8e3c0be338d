"""Every catalogued memory obeys every law, and every deliberately broken one fails the law that it breaks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from mnesis.core.catalog import create_memory, list_memories
from mnesis.core.laws import LAWS, check, laws_for
from mnesis.core.laws.subject import in_form
from mnesis.measure.bench.baselines import CausalAttention

from .broken import BREAKS, Counted, Grows, HasAClock, Leaky, TwoForms
from .mistakes import MISTAKES, RaisesLate

TRACED = "compiles"
"""Measured in a process of its own: the compiler cannot see through the run-time type checks of the tests."""


def measured(memory) -> list[str]:
    """All that apply, but for that one."""
    return [law for law in laws_for(memory) if law != TRACED]


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("card", list_memories(), ids=lambda card: card.name)
def test_every_memory_obeys_every_law(card) -> None:
    """In float64, in the form that it has unless told otherwise, which all its other forms agree with."""
    torch.manual_seed(0)
    memory = create_memory(card.name, **card.example)
    own = [memory.form] if hasattr(memory, "forms") else None
    later = {"extremes"} if memory.period else set()  # thousands of small segments, read by the slow test below
    laws = [law for law in measured(memory) if law not in later]
    gaps = list(check(memory, dtypes=[torch.float64], laws=[law for law in laws if law != "forms"], forms=own))
    gaps += check(memory, dtypes=[torch.float64], laws=["forms"])
    assert {gap.law for gap in gaps} == set(laws)
    assert not [gap for gap in gaps if not gap.holds]


@pytest.mark.slow
@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("card", list_memories(), ids=lambda card: card.name)
def test_every_memory_obeys_every_law_in_every_form_and_dtype(card) -> None:
    torch.manual_seed(0)
    memory = create_memory(card.name, **card.example)
    gaps = list(check(memory, laws=measured(memory)))
    assert not [gap for gap in gaps if not gap.holds]


@pytest.mark.parametrize(
    "names",
    [
        ("gru", "rmt", "mamba", "delta-rule"),
        pytest.param(tuple(card.name for card in list_memories()), marks=pytest.mark.slow),
    ],
    ids=["one of a kind", "all"],
)
def test_memories_compile(names) -> None:
    command = [sys.executable, "-m", "mnesis.cli", "laws", *names, "--only", TRACED, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    gaps = json.loads(result.stdout)
    assert {gap["memory"] for gap in gaps} == set(names)
    assert not [gap for gap in gaps if not gap["holds"]]
    assert result.returncode == 0


def test_the_plain_memory_obeys_every_law() -> None:
    assert not [gap for gap in check(Leaky(6), laws=measured(Leaky(6))) if not gap.holds]


@pytest.mark.parametrize(("broken", "law"), BREAKS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_memory_fails_its_law(broken, law) -> None:
    gaps = list(check(broken(6), laws=[law], dtypes=[torch.float64]))
    assert gaps
    assert any(not gap.holds for gap in gaps)


def test_every_law_has_a_memory_that_breaks_it() -> None:
    assert set(BREAKS.values()) == set(LAWS)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(("mistaken", "sentence"), MISTAKES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_has_its_sentence_and_the_other_laws_go_on(mistaken, sentence) -> None:
    laws = ["shapes", "rows", "bounded", "saved", "purity"]
    gaps = list(check(mistaken(8), laws=laws, dtypes=[torch.float64]))
    assert [gap.law for gap in gaps] == laws
    first = gaps[0]
    assert first.holds is False
    assert sentence in first.reason
    assert "\n" not in first.reason
    assert {gap.reason for gap in gaps[1:] if gap.reason} <= {first.reason, *IN_PURITY}


IN_PURITY = [
    f"a call changes the {what} that it is given; make new tensors (h = h + u, not h += u)"
    for what in ("state", "input")
]


def test_the_law_that_raises_says_where() -> None:
    cuts, rows = check(RaisesLate(8), laws=["cuts", "rows"], dtypes=[torch.float64])
    assert rows.holds is True
    assert cuts.holds is False
    assert cuts.reason.startswith("it raises KeyError: 'too long' (mistakes.py, line ")


def test_a_state_that_grows_is_not_called_bounded() -> None:
    memory = Grows(6)
    memory.bounded = False  # type: ignore[misc]
    (gap,) = check(memory, laws=["bounded"])
    assert gap.holds is None
    assert gap.reason == "its state grows with the stream"


def test_a_state_that_grows_has_laws_of_its_own() -> None:
    """Attention's cache obeys all others, in which rows of unequal length are chosen, padded and put side by side."""
    attention = CausalAttention(6)
    laws = measured(attention)
    assert "grows" in laws
    assert not {"bounded", "compiles"} & set(laws)
    assert not [gap for gap in check(attention, laws=laws, dtypes=[torch.float64]) if not gap.holds]
    attention.growth = 0.0
    (gap,) = check(attention, laws=["grows"])
    assert gap.reason == (
        "CausalAttention is not bounded and declares no growth; set growth to the numbers that a unit adds"
    )


@pytest.mark.parametrize("clocks", [None, ("count",), ()])
def test_what_is_no_clock_stays_where_it_is(clocks, monkeypatch) -> None:
    """A clock without precision breaks the law; the same number, said to be a count, is left alone."""
    monkeypatch.setattr(Counted, "clocks", clocks, raising=False)
    (gap,) = check(HasAClock(6), laws=["late"], dtypes=[torch.float64])
    assert gap.holds is (clocks == ())


def test_what_says_not_what_it_reads_cannot_be_examined() -> None:
    memory = Leaky(6)
    memory.dim = None
    with pytest.raises(ValueError, match="Leaky has neither dim nor vocabulary"):
        list(check(memory))


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="no law is called 'cutz'"):
        list(check(Leaky(6), laws=["cutz"]))


def test_forms_share_weights() -> None:
    memory = TwoForms(6).double()
    other = in_form(memory, "fast")
    assert other.form == "fast"
    assert other.rise.weight.dtype == torch.float64
    assert torch.equal(other.rise.weight, memory.rise.weight)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="TwoForms has no form 'fats'; it has "):
        list(check(TwoForms(6), forms=["fats"]))
