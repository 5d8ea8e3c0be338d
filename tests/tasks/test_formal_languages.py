"""Automata beside regular expressions, what may follow, and which languages are star-free."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch

from mnesis.tasks.algorithms.formal_languages import DEAD, LANGUAGES, FormalLanguage

STAR_FREE = ("flip-flop", "tomita-1", "tomita-2", "tomita-4", "tomita-7", "bounded-dyck", "last-zero")
EXPRESSIONS = {
    "flip-flop": r"(?:w0(?:i[01]|r0)*|w1(?:i[01]|r1)*)*",
    "tomita-1": r"1*",
    "tomita-2": r"(10)*",
    "tomita-4": r"(?!.*000)[01]*",
    "tomita-7": r"0*1*0*1*",
    "bounded-dyck": r"(?:\((?:\((?:\(\))*\))*\))*",
    "last-zero": r"[012]*02*",
    "parity": r"0*(?:10*10*)*",
    "even": r"(?:aa)*",
    "abab": r"(?:abab)*",
    "tomita-3": r"(?!.*(?<!1)1(?:11)*0(?:00)*(?!0))[01]*",
    "tomita-5": r"(?:00|11|(?:01|10)(?:00|11)*(?:01|10))*",
}


def accepts(name: str, word: str) -> bool:
    if name == "tomita-6":
        return (word.count("0") - word.count("1")) % 3 == 0
    return re.fullmatch(EXPRESSIONS[name], word) is not None


@pytest.mark.parametrize("name", LANGUAGES)
def test_it_is_the_language(name) -> None:
    """All words of up to seven symbols."""
    machine = FormalLanguage(name).automaton
    longest = 5 if len(machine.symbols) > 3 else 7
    for length in range(longest + 1):
        for word in product(range(len(machine.symbols)), repeat=length):
            state = 0
            for symbol in word:
                state = DEAD if state == DEAD else machine.step[state][symbol]
            said = state != DEAD and state in machine.accepts
            assert said is accepts(name, "".join(machine.symbols[symbol] for symbol in word))


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_beginning_can_become_a_word(name) -> None:
    machine = FormalLanguage(name).automaton
    alive = set(machine.accepts)
    for _ in machine.step:
        alive |= {state for state, row in enumerate(machine.step) if alive & set(row)}
    assert alive == set(range(len(machine.step)))


@pytest.mark.parametrize("name", LANGUAGES)
def test_star_free(name) -> None:
    assert FormalLanguage(name).automaton.star_free is (name in STAR_FREE)
    assert list(LANGUAGES)[: len(STAR_FREE)] == list(STAR_FREE)


def test_the_example() -> None:
    task = FormalLanguage("parity")
    assert task.sets == ["01*", "01"]
    episode = task.episodes(50, 20, torch.Generator().manual_seed(0))
    assert torch.equal(episode.targets, 2 + episode.inputs.cumsum(1) % 2)


@pytest.mark.parametrize("name", LANGUAGES)
def test_answers_are_sets_of_what_may_follow(name) -> None:
    task = FormalLanguage(name, depth=2)
    machine, known = task.automaton, list(dict.fromkeys(task.sets))
    assert task.vocabulary == len(machine.symbols) + len(known)
    episode = task.episodes(30, 25, torch.Generator().manual_seed(1))
    for word, answers in zip(episode.inputs.tolist(), episode.targets.tolist(), strict=True):
        state = 0
        for symbol, answer in zip(word, answers, strict=True):
            state = machine.step[state][symbol]
            assert state != DEAD
            assert known[answer - len(machine.symbols)] == task.sets[state]


def test_brackets_reach_their_depth_and_no_more() -> None:
    for depth in (1, 4):
        task = FormalLanguage("bounded-dyck", depth=depth)
        episode = task.episodes(200, 60, torch.Generator().manual_seed(0))
        opened = (1 - 2 * episode.inputs).cumsum(1)
        assert (int(opened.min()), int(opened.max())) == (0, depth)


def test_bad_languages() -> None:
    with pytest.raises(ValueError, match="there is no language 'tomita-8'; choose one of flip-flop"):
        FormalLanguage("tomita-8")
    with pytest.raises(ValueError, match="depth=0 is not a whole number of at least 1"):
        FormalLanguage("bounded-dyck", depth=0)
    with pytest.raises(ValueError, match="both count something"):
        FormalLanguage().episodes(0, 5, torch.Generator())
