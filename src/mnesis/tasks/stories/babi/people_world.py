"""What the simulators of bAbI qa5 to qa14 share: words, people in hidden rooms, and what was mentioned lately.

The rules are written down in `people.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple, TypeVar

from ..kinds import QuestionKind
from .moving import OBJECTS, PEOPLE, RECENT, ROOMS

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


def rooms(task: int) -> tuple[str, ...]:
    """Where a task happens."""
    return TOWN if task in (10, 14) else ROOMS


def _of_gift(template: str, about: str, *places: str) -> QuestionKind:
    words = {"giver": CASTS[5], "receiver": CASTS[5], "item": OBJECTS}
    return QuestionKind(template, about, {place: words[place] for place in places}, example={"receiver": "Mary"})


def _of_person(task: int, template: str, about: str, aside: tuple[str, ...] = ()) -> QuestionKind:
    words = {"person": CASTS.get(task, PEOPLE), "room": rooms(task)}
    words = {place: known for place, known in words.items() if f"{{{place}}}" in template}
    return QuestionKind(template, about, words, aside, {"person": "Mary", "room": "kitchen"})


_WHAT_GIVEN = _of_gift("What did {giver} give to {receiver}?", "what somebody gave to somebody", "giver", "receiver")
_WHO_GAVE = _of_gift("Who gave the {item}?", "who gave something", "item")
_WHO_GAVE_TO = _of_gift("Who gave the {item} to {receiver}?", "who gave something to somebody", "item", "receiver")
_WHO_RECEIVED = _of_gift("Who received the {item}?", "who received something", "item")
_TO_WHOM = _of_gift("Who did {giver} give the {item} to?", "to whom somebody gave something", "giver", "item")
GIFT_QUESTIONS = (
    (_WHAT_GIVEN, "item"),
    (_WHAT_GIVEN, "item"),
    (_WHO_GAVE, "giver"),
    (_WHO_GAVE_TO, "giver"),
    (_WHO_RECEIVED, "receiver"),
    (_TO_WHOM, "receiver"),
)
"""What qa5 asks about a gift, each line equally often, and what of the gift is the answer."""
QUESTION_KINDS = {
    5: tuple(dict(GIFT_QUESTIONS)),
    **{
        task: (_of_person(task, "Is {person} in the {room}?", "whether somebody is in a room", aside=("room",)),)
        for task in (6, 9, 10)
    },
    7: (_of_person(7, "How many objects is {person} carrying?", "how many things somebody carries"),),
    8: (_of_person(8, "What is {person} carrying?", "what somebody carries"),),
    **{task: (_of_person(task, "Where is {person}?", "where somebody is"),) for task in (11, 12, 13)},
    14: (_of_person(14, "Where was {person} before the {room}?", "where somebody was before"),),
}
"""Task -> what it asks; one kind of all but qa5."""

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
        self.rooms = rooms(task)
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
        return Asked(QUESTION_KINDS[self.task][0].text(person=person, room=room), answer, known.facts)
