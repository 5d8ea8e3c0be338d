"""The world of bAbI qa5 to qa8: people who carry objects and, in qa5 and qa7, give them (rules in `people.py`)."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .moving import DROP, GET, GO, OBJECTS, THERE
from .people_world import GIFT_QUESTIONS, GIVE, NUMBERS, QUESTION_KINDS, RECEIVERS, Asked, Known, World


class Gift(NamedTuple):
    """The statement that somebody gave something to somebody."""

    giver: str
    receiver: str
    item: str
    statement: int


class Carriers(World):
    """qa5 to qa8."""

    def __init__(self, task: int, random: Random):
        super().__init__(task, random)
        self.acts = (self._go, self._get, self._drop, self._give)[: 4 if task in RECEIVERS else 3]
        self.lies = {item: self.pick(self.rooms) for item in OBJECTS}  # object -> room
        self.holder: dict[str, str] = {}  # object -> person
        self.handled: dict[str, list[tuple[int, str]]] = {person: [] for person in self.people}  # (statement, object)
        self.gifts: dict[str, Gift] = {}  # the last of each object
        self.between: dict[tuple[str, str], Gift] = {}  # the last of each giver to each receiver

    def tell(self) -> str:
        while True:
            sentence = self.pick(self.acts)(self.pick(self.people))
            if sentence is not None:
                return sentence

    def _go(self, person: str) -> str | None:
        room = self.pick(self.rooms)
        if room == self.room[person]:
            return None
        self.room[person] = room
        self.known[person] = Known((room,), (self.told,))
        self.note(person if self.task == 6 else None)
        return f"{person} {self.pick(GO)} the {room}."

    def _get(self, person: str) -> str | None:
        items = [item for item, room in self.lies.items() if room == self.room[person]]
        if not items:
            return None
        item = self.pick(items)
        del self.lies[item]
        self.holder[item] = person
        self._handle(item, person)
        return f"{person} {self.pick(GET)} the {item} there."

    def _drop(self, person: str) -> str | None:
        items = [item for item, holder in self.holder.items() if holder == person]
        if not items:
            return None
        item = self.pick(items)
        del self.holder[item]
        self.lies[item] = self.room[person]
        self._handle(item, person)
        there = " there" if self.draw() < THERE[2][1] else ""
        return f"{person} {self.pick(DROP)} the {item}{there}."

    def _give(self, _: str) -> str | None:
        for item in (item for item in OBJECTS if item in self.holder):
            giver = self.holder[item]
            for receiver in RECEIVERS[self.task]:
                if receiver != giver and self.room[receiver] == self.room[giver]:
                    self.holder[item] = receiver
                    self.gifts[item] = self.between[giver, receiver] = Gift(giver, receiver, item, self.told)
                    self._handle(item, giver, receiver)
                    return f"{giver} {self.pick(GIVE)} the {item} to {receiver}."
        return None

    def _handle(self, item: str, person: str, receiver: str | None = None) -> None:
        self.handled[person].append((self.told, item))
        if receiver is not None:
            self.handled[receiver].append((self.told, item))
        mentioned = {5: None if receiver is None else item, 6: None}
        self.note(mentioned.get(self.task, person))

    def ask(self, subject: str, statement: int) -> Asked:
        if self.task == 5:
            return self._gift(self.gifts[subject])
        return self.whether(subject) if self.task == 6 else self._carried(subject)

    def _gift(self, gift: Gift) -> Asked:
        while True:
            kind, answer = self.pick(GIFT_QUESTIONS)
            if answer != "item" or self.between[gift.giver, gift.receiver] == gift:
                text = kind.text(**{place: getattr(gift, place) for place in kind.words})
                return Asked(text, getattr(gift, answer).lower(), (gift.statement,))

    def _carried(self, person: str) -> Asked:
        handled = self.handled[person]
        had = list(dict.fromkeys(item for _, item in handled))
        carried = [item for item in had if self.holder.get(item) == person]
        text = QUESTION_KINDS[self.task][0].text(person=person)
        if self.task == 7:
            return Asked(text, NUMBERS[len(carried)], [statement for statement, _ in handled])
        facts = [statement for item in had for statement, other in handled if other == item]
        return Asked(text, ",".join(carried) or "nothing", facts)
