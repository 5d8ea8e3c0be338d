"""Generated background prose: sentences like those of a Victorian novel, without end and without a file.

A small grammar over some eight hundred words draws sentences of 6 to 40 words: narration in several tenses, subordinate
clauses, dialogue. Three of its sentences::

    Although my teacher spoke of the marriage to an impatient cousin, the barracks had always been cold.
    "Why might I blame Winifred?" asked a timid painter.
    There was a drum near the door of the hallway, and Daniel discarded a blanket because the milk smelled strange.

It holds what makes books hard to read a bAbI story in: bAbI's persons (Mary, John, Daniel, Sandra), rooms (bathroom,
bedroom, garden, hallway, kitchen, office), objects (apple, football, milk) and verbs (went, moved, travelled,
journeyed, took, dropped, ...). But it never states a fact of a bAbI story. By construction no room ever follows "to",
"in", "into", "inside" or "from", and no bAbI object is ever the object of a verb of taking, giving or dropping, so
nobody is ever said to be in a room or to hold such an object; and only nameless people go "to" a place at all.

Sentences are drawn as fragments (a word or a short phrase with its space before and its punctuation after), so that a
tokenizer sees each fragment once, and whole blocks of sentences are numpy gathers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from .prose_grammar import GRAMMAR, LEXICON
from .tokenizer import Pieces

PATTERNS = 6000
"""Sentence patterns drawn from the grammar once; each is filled anew with words every time it is used."""


class Prose:
    """The grammar compiled: a table of fragments, and a way to draw sentences as indices into it.

    ``fragments[i]`` begins with a space; a sentence is the concatenation of its fragments.
    """

    def __init__(self):
        self.fragments, self._patterns, self._starts, self._sizes = _compile()

    def draw(self, count: int, generator: np.random.Generator) -> Pieces:
        """``count`` sentences as fragment indices; the next call continues the same text."""
        slots = self._patterns.take(generator.integers(0, len(self._patterns), count))
        sizes = self._sizes[slots.tokens]
        words = (generator.random(len(sizes)) ** 1.5 * sizes).astype(np.int32)
        return Pieces(self._starts[slots.tokens] + np.minimum(words, sizes - 1), slots.offsets)

    def sentences(self, seed: int) -> Iterator[str]:
        """Sentences without end, the same for the same seed."""
        generator = np.random.default_rng(seed)
        while True:
            block = self.draw(256, generator)
            for index in range(len(block)):
                yield "".join(self.fragments[fragment] for fragment in block[index]).strip()


@functools.cache
def _compile() -> tuple[tuple[str, ...], Pieces, np.ndarray, np.ndarray]:
    """Fragments, patterns as runs of slots, and where each slot's fragments begin and how many they are."""
    generator = np.random.default_rng(20240616)
    slots: dict[tuple[str, str, str, bool], int] = {}
    patterns: list[list[int]] = []
    while len(patterns) < PATTERNS:
        pattern = _punctuate(_expand("SENTENCE", generator))
        words = [[len(word.split()) for word in LEXICON.get(symbol, [symbol])] for symbol, *_ in pattern]
        if sum(map(min, words)) >= 6 and sum(map(max, words)) <= 40:
            patterns.append([slots.setdefault(slot, len(slots)) for slot in pattern])
    fragments: list[str] = []
    starts = np.zeros(len(slots), np.int32)
    sizes = np.zeros(len(slots), np.int32)
    for (symbol, prefix, suffix, capital), slot in slots.items():
        words = LEXICON.get(symbol, [symbol])
        starts[slot], sizes[slot] = len(fragments), len(words)
        fragments += [f" {prefix}{word[0].upper() + word[1:] if capital else word}{suffix}" for word in words]
    return tuple(fragments), Pieces.join(patterns), starts, sizes


def _expand(symbol: str, generator: np.random.Generator) -> list[str]:
    if symbol not in GRAMMAR:
        return [symbol]
    production = GRAMMAR[symbol][generator.integers(len(GRAMMAR[symbol]))]
    return [leaf for part in production.split() for leaf in _expand(part, generator)]


def _punctuate(symbols: list[str]) -> list[tuple[str, str, str, bool]]:
    """(word or category, mark before, marks after, capital) for every word; a lone quote opens speech."""
    slots: list[tuple[str, str, str, bool]] = []
    opening, capital = "", True
    for symbol in symbols:
        if symbol == '"':
            opening, capital = symbol, True
        elif not symbol[0].isalpha():
            word, prefix, _, is_capital = slots[-1]
            slots[-1] = (word, prefix, symbol, is_capital)
        else:
            slots.append((symbol, opening, "", capital))
            opening, capital = "", False
    return slots
