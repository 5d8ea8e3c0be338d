"""The answers to the questions of bAbI qa5 to qa14, read off the text alone (see `people.py` for the tasks)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from .moving import DROP, GET, GO, OBJECTS, PEOPLE, ROOMS
from .people_world import CASTS, DENY, GIFT_QUESTIONS, GIVE, NUMBERS, QUESTION_KINDS, THEN, TOWN, WHEN
from .proof import Proof, Prover, proved


def prove_people(task: int, sentences: Sequence[str], question: str) -> Proof:
    """The answer to a question of qa5 to qa14, and the indices of the sentences that prove it.

    Reads the text alone and knows nothing of the simulator. Sentences of any other shape are passed over, so that it
    also reads a story scattered in other text; a pronoun means whoever moved last. The supporting sentences are those
    that the original files name, in their order. Of several gifts that a question could mean it takes the last.

    Raises:
        ValueError: another task, a question of another shape, or one that the sentences do not settle.
    """
    if task not in _PROVERS:
        raise ValueError(f"task {task} is not set among people who move between rooms; choose one of 5 to 14")
    return proved(task, sentences, question, _PROVERS[task])


class _Place(NamedTuple):
    """Somebody is in one of ``rooms``, or, ``denied``, not there."""

    rooms: tuple[str, ...]
    facts: tuple[int, ...]
    denied: bool = False


class _Text:
    """What the sentences tell."""

    def __init__(self, sentences: Sequence[str]):
        self.place: dict[str, _Place] = {}
        self.holder: dict[str, str] = {}
        self.handled: dict[str, list[tuple[int, str]]] = {}  # person -> (sentence, object)
        self.gifts: list[tuple[int, dict[str, str]]] = []
        self.diary: dict[str, dict[int, tuple[str, int]]] = {}  # person -> time -> (room, sentence)
        movers: tuple[str, ...] = ()
        named = 0  # the sentence that names the movers
        for index, sentence in enumerate(sentences):
            if move := _MOVE.fullmatch(sentence):
                person, other, room = move.groups()
                if person is not None:
                    movers, named = (person,) if other is None else (person, other), index
                facts = (index,) if person is not None else (named, index)
                self.place.update(dict.fromkeys(movers, _Place((room,), facts)))
            elif claim := _CLAIM.fullmatch(sentence):
                person, how, room, other = claim.groups()
                rooms = (room,) if other is None else (room, other)
                self.place[person] = _Place(rooms, (index,), denied=how in DENY)
            elif entry := _ENTRY.fullmatch(sentence):
                first, person, room, last = entry.groups()
                self.diary.setdefault(person, {})[WHEN.index((first or last).lower())] = room, index
            elif act := _ACT.fullmatch(sentence):
                person, verb, item, receiver = act.groups()
                for hand in (person,) if receiver is None else (person, receiver):
                    self.handled.setdefault(hand, []).append((index, item))
                if receiver is not None:
                    self.gifts.append((index, {"giver": person, "item": item, "receiver": receiver}))
                if verb in DROP:
                    self.holder.pop(item, None)
                else:
                    self.holder[item] = receiver or person


def _gift(answer: str, text: _Text, **asked: str) -> Proof | None:
    for index, gift in reversed(text.gifts):
        if asked.items() <= gift.items():
            return gift[answer].lower(), (index,)
    return None


def _whether(text: _Text, person: str, room: str) -> Proof | None:
    if person not in text.place:
        return None
    rooms, facts, denied = text.place[person]
    if denied:
        return ("no", facts) if room in rooms else None
    answer = "no" if room not in rooms else "yes" if len(rooms) == 1 else "maybe"
    return answer, facts


def _where(text: _Text, person: str) -> Proof | None:
    place = text.place.get(person)
    return None if place is None or place.denied or len(place.rooms) != 1 else (place.rooms[0], place.facts)


def _how_many(text: _Text, person: str) -> Proof | None:
    handled = text.handled.get(person)
    carried = [item for item, holder in text.holder.items() if holder == person]
    return None if handled is None else (NUMBERS[len(carried)], tuple(index for index, _ in handled))


def _what(text: _Text, person: str) -> Proof | None:
    if person not in text.handled:
        return None
    facts: dict[str, list[int]] = {}
    for index, item in text.handled[person]:
        facts.setdefault(item, []).append(index)
    carried = [item for item in facts if text.holder.get(item) == person]
    return ",".join(carried) or "nothing", tuple(index for of_item in facts.values() for index in of_item)


def _before(text: _Text, person: str, room: str) -> Proof | None:
    visits = [visit for _, visit in sorted(text.diary.get(person, {}).items())]
    for before, visit in reversed(list(pairwise(visits))):
        if visit[0] == room:
            return before[0], (visit[1], before[1])
    return None


def _any(words: Iterable[str]) -> str:
    return "|".join(words)


_NAME = _any(sorted({*PEOPLE, *(person for cast in CASTS.values() for person in cast)}))
_ROOM = _any(sorted({*ROOMS, *TOWN}))
_ITEM = _any(OBJECTS)
_GO = f"(?:{_any(GO)}) the ({_ROOM})"
_MOVE = re.compile(rf"(?:({_NAME})(?: and ({_NAME}))?|(?:{_any(THEN)}) (?:he|she|they)) {_GO}\.")
_CLAIM = re.compile(rf"({_NAME}) (is(?: either)? in|{_any(DENY)}) the ({_ROOM})(?: or the ({_ROOM}))?\.")
_ENTRY = re.compile(
    # without a time it would be a move, which is tried before
    rf"(?:({_any(when.capitalize() for when in WHEN)}) )?({_NAME}) {_GO}(?: ({_any(WHEN)}))?\."
)
_ACT = re.compile(rf"({_NAME}) ({_any(GET + DROP + GIVE)}) the ({_ITEM})(?: there| to ({_NAME}))?\.")


def _prover(prove: Callable[..., Proof | None]) -> Prover:
    return lambda sentences, asked: prove(_Text(sentences), **asked)


_PROVE: dict[int, tuple[Callable[..., Proof | None], ...]] = {
    5: tuple(partial(_gift, answer) for answer in dict(GIFT_QUESTIONS).values()),
    **dict.fromkeys((6, 9, 10), (_whether,)),
    7: (_how_many,),
    8: (_what,),
    **dict.fromkeys((11, 12, 13), (_where,)),
    14: (_before,),
}
"""Task -> what proves an answer to each kind of its questions."""
_PROVERS = {task: dict(zip(QUESTION_KINDS[task], map(_prover, proofs), strict=True)) for task, proofs in _PROVE.items()}
