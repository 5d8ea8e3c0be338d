"""Kinds of questions: written, taken apart again, and recognised however somebody types them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, product, zip_longest

_PLACE = re.compile(r"\{(\w+)\}")
_ONE_WORD = r"[^\W\d_][\w'\u2019-]*"


@dataclass(frozen=True)
class Recognised:
    """A question of a known kind."""

    text: str
    """As training has it, where all of its words are known; else as it was typed."""
    names: tuple[str, ...] = ()
    """What a text must have spoken of to be asked about it."""
    unknown: tuple[str, ...] = ()
    """Words that training never had at their places."""
    known: tuple[str, ...] = ()
    """What training had at the place of the first of them."""


@dataclass(frozen=True, eq=False)
class QuestionKind:
    """Questions that differ in the words at some places. Simulators write them, oracles and readers take them apart.

    Args:
        template: with its places in braces, such as "Where was the {item} before the {room}?".
        about: what it asks for, as it goes on after "answers": "where something was before".
        words: for each place, what may stand there.
        aside: places whose words a text need not have spoken of: whether Mary is in the garden can be told from a text
            without any garden.
        example: words of the instance that people are shown; the first of a place where it gives none.
    """

    template: str
    about: str
    words: Mapping[str, tuple[str, ...]]
    aside: tuple[str, ...] = ()
    example: Mapping[str, str] = field(default_factory=dict)

    def text(self, **words: str) -> str:
        """The question with a word at each place."""
        return self.template.format(**words)

    def texts(self) -> Iterator[str]:
        """Every question of the kind, the words of the last place changing fastest."""
        return (self.text(**dict(zip(self.words, words, strict=True))) for words in product(*self.words.values()))

    def parse(self, question: str) -> dict[str, str] | None:
        """The word at each place; None unless it is a question of the kind letter for letter."""
        found = self._exact.fullmatch(question)
        return None if found is None else found.groupdict()

    def recognise(self, question: str) -> Recognised | None:
        """A question of the kind typed in any case, with any blanks, without its question mark or with several.

        Where another word stands at a place, and is one word, the question is still of the kind. None of others.
        """
        typed = _tidied(question)
        found = self._tolerant.fullmatch(typed.casefold())
        if found is not None:
            words = {place: self._spelled[place, word] for place, word in found.groupdict().items()}
            named = (word for place, word in words.items() if place not in self.aside)
            return Recognised(self.text(**words), tuple(dict.fromkeys(named)))
        found = self._open.fullmatch(typed.casefold())
        if found is None:
            return None
        strange = {place: word for place, word in found.groupdict().items() if (place, word) not in self._spelled}
        as_typed = {word.casefold(): word for word in typed.split()}
        unknown = tuple(as_typed.get(word, word) for word in strange.values())
        return Recognised(question.strip(), unknown=unknown, known=self.words[next(iter(strange))])

    @property
    def instance(self) -> str:
        """One question of the kind."""
        return self.text(**{place: self.example.get(place, words[0]) for place, words in self.words.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Words that a text must have spoken of to be asked about them."""
        return tuple(word for place, words in self.words.items() if place not in self.aside for word in words)

    def __str__(self) -> str:
        return self.text(**{place: "/".join(words) for place, words in self.words.items()})

    @cached_property
    def _spelled(self) -> dict[tuple[str, str], str]:
        """Place and word, folded, to the word."""
        return {(place, word.casefold()): word for place, words in self.words.items() for word in words}

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return _pattern(self.template, {place: _any(words) for place, words in self.words.items()})

    @cached_property
    def _tolerant(self) -> re.Pattern[str]:
        words = {place: _any(word.casefold() for word in words) for place, words in self.words.items()}
        return _pattern(_tidied(self.template).casefold(), words)

    @cached_property
    def _open(self) -> re.Pattern[str]:
        return _pattern(_tidied(self.template).casefold(), dict.fromkeys(self.words, _ONE_WORD))


@dataclass(frozen=True)
class Asks:
    """What a reader can be asked: questions of some kinds, or any.

    Args:
        kinds: of the questions that it was trained on; None = any question in any words.
    """

    kinds: tuple[QuestionKind, ...] | None

    def recognise(self, question: str) -> Recognised | None:
        """What the question is to this reader; None where it is none of its kinds."""
        if self.kinds is None:
            return Recognised(question.strip())
        found = [seen for kind in self.kinds if (seen := kind.recognise(question))]
        return min(found, key=lambda seen: len(seen.unknown), default=None)

    @property
    def names(self) -> tuple[str, ...]:
        """Words that a text must have spoken of to be asked about them."""
        return tuple(dict.fromkeys(name for kind in self.kinds or () for name in kind.names))

    @property
    def templates(self) -> tuple[str, ...]:
        """Each kind as a question with all that may stand at its places, such as "Where is John/Mary?"."""
        return ("anything",) if self.kinds is None else tuple(map(str, self.kinds))

    def __str__(self) -> str:
        """What it answers, with an example of each kind, to go on after "answers"."""
        if self.kinds is None:
            return "any question"
        return ", ".join(f'{kind.about} ("{kind.instance}")' for kind in self.kinds)


ANYTHING = Asks(None)
"""What a reader can be asked that was trained on questions in free words."""


def _tidied(question: str) -> str:
    """Without what is forgiven, but for the case of its letters."""
    return " ".join(question.split()).rstrip("? ")


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


def _pattern(template: str, words: Mapping[str, str]) -> re.Pattern[str]:
    """The template with a group of what may stand there at each of its places."""
    literals, places = _PLACE.split(template)[::2], _PLACE.findall(template)
    groups = (f"(?P<{place}>{words[place]})" for place in places)
    return re.compile("".join(chain.from_iterable(zip_longest(map(re.escape, literals), groups, fillvalue=""))))
