"""What the simulators of bAbI qa5 to qa14 share: words, people in hidden rooms, and what was mentioned lately.

The rules are written down in `people.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

from .moving import PEOPLE, RECENT, ROOMS

CASTS = {
    5: ("Bill", "Fred", "Jeff", "Mary"),
    10: ("Bill", "Fred", "Julie", "Mary"),
    14: ("Bill", "Fred", "Julie", "Mary"),
}
"""Task -> who acts in it, where these are not `PEOPLE`."""
TOWN = ("bedroom", "cinema", "kitchen", "office", "park", "school")
"""Where qa10 and qa14 happen, all others in `ROOMS`."""
WOMEN = ("Mary", "Sandra")
"""Whom qa11 calls "she"."""
RECEIVERS = {5: ("Mary", "Fred", "Bill", "Jeff"), 7: ("John", "Mary", "Sandra", "Daniel")}
"""Task with gifts -> who comes first where several people could be given something."""
GIVE = ("gave", "handed", "passed")
THEN = ("After that", "Afterwards", "Following that", "Then")
DENY = ("is no longer in", "is not in")
WHEN = ("yesterday", "this morning", "this afternoon", "this evening")
NUMBERS = ("none", "one", "two", "three")
GIFT_QUESTIONS = (
    ("What did {giver} give to {receiver}?", "item"),
    ("What did {giver} give to {receiver}?", "item"),
    ("Who gave the {item}?", "giver"),
    ("Who gave the {item} to {receiver}?", "giver"),
    ("Who received the {item}?", "receiver"),
    ("Who did {giver} give the {item} to?", "receiver"),
)
"""What qa5 asks about a gift, each line equally often, and what of the gift is the answer."""

Option = TypeVar("Option")


class Mention(NamedTuple):
    """Something that can be asked about: a person or an object, and the statement that mentions it."""

    subject: str
    statement: int


class Asked(NamedTuple):
    """A question, its answer and the statements that support it."""

    text: str
    answer: str
    facts: Sequence[int]


class Known(NamedTuple):
    """What was told last of a person: they are in one of ``rooms``, or, ``denied``, not there."""

    rooms: tuple[str, ...]
    facts: tuple[int, ...]
    denied: bool = False


class World:
    """People in hidden rooms, what of them was told, and what was mentioned lately."""

    def __init__(self, task: int, random: Random):
        self.task, self.draw = task, random.random
        self.people = CASTS.get(task, PEOPLE)
        self.rooms = TOWN if task in (10, 14) else ROOMS
        self.room = {person: self.pick(self.rooms) for person in self.people}
        self.known: dict[str, Known] = {}
        self.told = 0  # statements so far
        self.mentions: deque[Mention | None] = deque(maxlen=RECENT)  # None: of nothing that can be asked about

    def tell(self) -> str:
        """The next statement; the world changes with it."""
        raise NotImplementedError

    def ask(self, subject: str, statement: int) -> Asked:
        """A question about something mentioned."""
        raise NotImplementedError

    def order(self, count: int) -> Sequence[int]:
        """Where each of ``count`` statements, told since the last question, is placed among them."""
        return range(count)

    def pick(self, options: Sequence[Option]) -> Option:
        """A random one of them (random.choice costs three times as much)."""
        return options[int(len(options) * self.draw())]

    def note(self, *subjects: str | None) -> None:
        """Counts a statement that mentions these."""
        self.mentions.extend(None if subject is None else Mention(subject, self.told) for subject in subjects)
        self.told += 1

    def whether(self, person: str) -> Asked:
        """Whether a person is in a room."""
        known, room = self.known[person], self.room[person]
        if known.denied:
            room = known.rooms[0]
        elif self.draw() < 0.5:
            room = self.pick([other for other in self.rooms if other != room])
        possible = () if known.denied else known.rooms
        answer = "no" if room not in possible else "yes" if len(possible) == 1 else "maybe"
        return Asked(f"Is {person} in the {room}?", answer, known.facts)
