"""Regular languages: read a word's beginning, and say at every symbol which may come next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...core.task import Episode, Task

DEAD = -1
"""No word goes on from here."""


@dataclass(frozen=True)
class Automaton:
    """A deterministic machine that reads words; state 0 is the first.

    Args:
        symbols: one character each.
        step: for every state the next one for every symbol, or DEAD.
        accepts: states in which a word may end.
    """

    symbols: str
    step: tuple[tuple[int, ...], ...]
    accepts: frozenset[int]

    def may_follow(self, state: int) -> tuple[bool, ...]:
        """Which symbols may come next, and last whether the word may end here."""
        return (*(after != DEAD for after in self.step[state]), state in self.accepts)

    @property
    def star_free(self) -> bool:
        """Whether no word, read again and again, makes states go round in a ring (Schuetzenberger 1965).

        That is true of the machine; of its language it is true if no smaller machine reads the same.
        """
        size = len(self.step)
        letters = [(*(DEAD if row[s] == DEAD else row[s] for row in self.step), DEAD) for s in range(len(self.symbols))]
        found: set[tuple[int, ...]] = set(letters)
        waiting = list(found)
        while waiting:  # what words do to states, the dead one last
            word = waiting.pop()
            for letter in letters:
                longer = tuple(letter[state] for state in word)
                if longer not in found:
                    found.add(longer)
                    waiting.append(longer)
        for word in found:
            power = word
            for _ in range(size + 1):
                power = tuple(word[state] for state in power)
            if tuple(word[state] for state in power) != power:
                return False
        return True


class FormalLanguage(Task):
    """Beginnings of words of a regular language: say at every symbol what may follow it.

    The prediction of Bhattamishra et al. 2020 (arXiv 2009.11264), with which Sarrof et al. 2024 (arXiv 2405.17394) test
    what state spaces can recognise: the answer is the set of symbols that may come next, the word's end among them,
    as one of the sets that the language knows. One example of the words with an even number of 1, where * is the end::

        inputs   1    0    1     1    0
        targets  {01} {01} {01*} {01} {01}

    Every next symbol is drawn from those that may follow, all alike. A start token is not read: the first target
    stands behind the first symbol. Tokens: the language's symbols, then, as targets only, its sets (``sets``).
    ``length`` counts symbols. Chance is that of a set drawn blindly.

    Languages, the first seven of them star-free, which is what diagonal recurrences without negative rates can
    recognise:

    - "flip-flop": w or i and a bit, or r and the bit that w wrote last.
    - "tomita-1": 1 only. "tomita-2": 10 again and again. "tomita-4": no 000. "tomita-7": 0s, 1s, 0s, 1s.
    - "bounded-dyck": brackets that close, no more than ``depth`` open at once.
    - "last-zero": 0, 1 and 2 in any order, then 0, then 2s: (0|1|2)* 0 2*.
    - "parity": an even number of 1. "even": a twice, again and again. "abab": abab again and again.
    - "tomita-3": no odd number of 1s before an odd number of 0s. "tomita-5": 0s and 1s both even in number.
      "tomita-6": as many 0s as 1s, modulo 3.

    Args:
        language: its name.
        depth: of "bounded-dyck".

    Raises:
        ValueError: an unknown language, or a depth below 1.
    """

    def __init__(self, language: str = "parity", *, depth: int = 3) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"there is no language {language!r}; choose one of {', '.join(LANGUAGES)}")
        self.language, self.automaton = language, LANGUAGES[language](depth)
        machine = self.automaton
        follow = [machine.may_follow(state) for state in range(len(machine.step))]
        self.sets = ["".join(c for c, may in zip(f"{machine.symbols}*", each, strict=True) if may) for each in follow]
        """For every state what may follow, * being the end."""
        known = list(dict.fromkeys(self.sets))
        allowed = [[symbol for symbol, may in enumerate(each[:-1]) if may] for each in follow]
        most = max(map(len, allowed))
        self._count = np.array([len(each) for each in allowed])
        self._symbol = np.array([each + each[:1] * (most - len(each)) for each in allowed])
        """By state, the symbols that may come next."""
        self._after = np.array(
            [[machine.step[state][symbol] for symbol in row] for state, row in enumerate(self._symbol)]
        )
        self.answer = torch.tensor([len(machine.symbols) + known.index(each) for each in self.sets])
        self.vocabulary, self.chance = len(machine.symbols) + len(known), 1 / len(known)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw the first ``length`` symbols of ``batch`` words.

        Raises:
            ValueError: ``batch`` or ``length`` below 1.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        device = generator.device
        uniform = torch.rand(length, batch, generator=generator, device=device, dtype=torch.float64).cpu().numpy()
        symbols, states = np.empty((length, batch), np.int64), np.empty((length, batch), np.int64)
        state = np.zeros(batch, np.int64)
        for t in range(length):  # NumPy, since so short rows take longest in being called
            which = (uniform[t] * self._count[state]).astype(np.int64)
            symbols[t], state = self._symbol[state, which], self._after[state, which]
            states[t] = state
        inputs, states = (torch.from_numpy(part.T.copy()).to(device) for part in (symbols, states))
        return Episode(inputs, self.answer.to(device)[states], torch.ones(batch, length, device=device))


def _machine(symbols: str, step: list[list[int]], accepts: set[int]) -> Callable[[int], Automaton]:
    machine = Automaton(symbols, tuple(tuple(row) for row in step), frozenset(accepts))
    return lambda depth: machine


def _bounded_dyck(depth: int) -> Automaton:
    step = tuple((opened + 1 if opened < depth else DEAD, opened - 1) for opened in range(depth + 1))
    return Automaton("()", step, frozenset({0}))


LANGUAGES: dict[str, Callable[[int], Automaton]] = {
    # Nothing written; written 0, written 1, each before an instruction; then what instruction was read (w, i, r).
    "flip-flop": _machine(
        "wir01",
        [
            [3, DEAD, DEAD, DEAD, DEAD],
            [3, 4, 6, DEAD, DEAD],
            [3, 5, 7, DEAD, DEAD],
            [DEAD, DEAD, DEAD, 1, 2],
            [DEAD, DEAD, DEAD, 1, 1],
            [DEAD, DEAD, DEAD, 2, 2],
            [DEAD, DEAD, DEAD, 1, DEAD],
            [DEAD, DEAD, DEAD, DEAD, 2],
        ],
        {0, 1, 2},
    ),
    "tomita-1": _machine("01", [[DEAD, 0]], {0}),
    "tomita-2": _machine("01", [[DEAD, 1], [0, DEAD]], {0}),
    "tomita-4": _machine("01", [[1, 0], [2, 0], [DEAD, 0]], {0, 1, 2}),
    "tomita-7": _machine("01", [[0, 1], [2, 1], [2, 3], [DEAD, 3]], {0, 1, 2, 3}),
    "bounded-dyck": _bounded_dyck,
    "last-zero": _machine("012", [[1, 0, 0], [1, 0, 1]], {1}),
    "parity": _machine("01", [[0, 1], [1, 0]], {0}),
    "even": _machine("a", [[1], [0]], {0}),
    "abab": _machine("ab", [[1, DEAD], [DEAD, 2], [3, DEAD], [DEAD, 0]], {0}),
    # Even 1s, odd 1s, then odd 0s or even 0s after an odd number of 1s.
    "tomita-3": _machine("01", [[0, 1], [2, 0], [3, DEAD], [2, 1]], {0, 1, 3}),
    "tomita-5": _machine("01", [[1, 2], [0, 3], [3, 0], [2, 1]], {0}),
    "tomita-6": _machine("01", [[1, 2], [2, 0], [0, 1]], {0}),
}
