"""Our own simulator of bAbI qa1, qa2 and qa3: an endless supply of stories in the words of the original files.

The generator behind the files of Weston et al. 2015 (arXiv 1502.05698) was never released (facebook/bAbI-tasks is a
rewrite with other rules). These rules were measured on the v1.2 files: what may be asked and what supports it hold
without exception in the 23,425 questions of these tasks at hand, the frequencies within sampling noise (but for the
last remark). The factor 1.3 is a fit.

- Four people stand in hidden random rooms; qa2 and qa3 add three objects in hidden random rooms.
- A statement: a random person tries a random act: go to a random room, pick up a random object of the room, put down a
  random object in hand. What is impossible (the room they are in, nothing there, empty hands) is redrawn, the person
  included.
- The verb of an act is uniform over its synonyms. The word "there" ends every pick-up of qa2, one in five put-downs of
  qa2, one in five of both in qa3.
- After every second statement a question follows if one can be asked, until there are five. One of the last five
  statements is drawn until it is about something askable: hence the first supporting fact is never more than five
  statements old, and what was mentioned more often lately is asked about more often.
- qa1 asks for a person. qa2 asks for an object carried somewhere after it was picked up (supported by the pick-up and
  the carrier's last move) or put down by a person whose room was told (supported by the put-down and that move). qa3
  asks where an object was before one of the rooms that its last carrier took it to (supported by the last pick-up or
  put-down, the move there and the carrier's move before); a later room is asked about more often, by 1.3 for each move.

Left out: the files repeat a question at once a little less often (qa1: 35.7 % of the questions; here 37.3 %), and of
the questions that these rules pose in qa3 the files leave 6 in 1,000 unasked.

Example (qa2)::

    John went to the kitchen.  John got the milk there.  Mary journeyed to the garden.  John moved to the office.
    Where is the milk?  office  (sentences 1, 3)
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from typing import NamedTuple, TypeVar

import torch

from ..kinds import QuestionKind
from ..story import Story, StoryQuestion
from .proof import Proof

PEOPLE = ("Daniel", "John", "Mary", "Sandra")
ROOMS = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
OBJECTS = ("apple", "football", "milk")
GO = ("went to", "went back to", "journeyed to", "moved to", "travelled to")
GET = ("got", "grabbed", "picked up", "took")
DROP = ("discarded", "dropped", "left", "put down")
WHERE_PERSON = QuestionKind("Where is {person}?", "where somebody is", {"person": PEOPLE}, example={"person": "Mary"})
WHERE_OBJECT = QuestionKind("Where is the {item}?", "where something is", {"item": OBJECTS})
WHERE_BEFORE = QuestionKind(
    "Where was the {item} before the {room}?",
    "where something was before",
    {"item": OBJECTS, "room": ROOMS},
    example={"room": "kitchen"},
)
QUESTION_KINDS = {1: (WHERE_PERSON,), 2: (WHERE_OBJECT,), 3: (WHERE_BEFORE,)}
"""Task -> what it asks."""

QUESTIONS = 5
"""Questions of one story."""
RECENT = 5
"""How many of the last statements a question is drawn from."""
LATER = 1.3
"""How much likelier each move of a carrier is to be asked about than the one before it (qa3)."""
THERE = {1: (0.0, 0.0), 2: (1.0, 0.2), 3: (0.2, 0.2)}
"""Task -> how often "there" ends a pick-up, and a put-down."""

Option = TypeVar("Option")


def simulate(task: int, generator: torch.Generator, *, recent: int | None = RECENT) -> Story:
    """One story of five questions, drawn like those of the original files.

    Args:
        task: 1, 2 or 3.
        generator: The only source of randomness; one integer is taken from it.
        recent: A question is about something that one of the last ``recent`` statements mentions; None: about
            anything that was ever told, all equally likely (older facts than the original files ever ask for).

    Raises:
        ValueError: another task, or ``recent`` below 1.
    """
    world = _World(task, _random(generator), recent)
    sentences: list[str] = []
    questions: list[StoryQuestion] = []
    while len(questions) < QUESTIONS:
        sentences += world.tell(), world.tell()
        question = world.ask(world.random)
        if question is not None:
            questions.append(question)
    return Story(tuple(sentences), tuple(questions))


def endless(
    task: int, generator: torch.Generator, *, recent: int | None = RECENT
) -> Iterator[tuple[str, Callable[[], StoryQuestion | None]]]:
    """A world that never ends, for dense supervision: pairs ``(sentence, ask)``.

    ``ask()``, called before the next pair is taken, returns a question about everything told so far, or None where
    nothing can be asked: never in qa1, after one sentence in three of qa2 and five in six of qa3 (with ``recent=None``
    after one in a hundred, and one in two). It may be called any number of times after any sentence, each call draws
    anew, and the sentences that follow do not depend on the calls. The question's ``after`` and ``supporting`` count
    the sentences from the start of the iterator. See `simulate` for ``recent`` and the errors.

    Example::

        for sentence, ask in itertools.islice(endless(1, generator), 100):
            question = ask()  # after "Mary moved to the office.": StoryQuestion(1, "Where is Mary?", "office", (0,))
    """
    world, questioner = _World(task, _random(generator), recent), _random(generator)

    def ask() -> StoryQuestion | None:
        return world.ask(questioner)

    return ((world.tell(), ask) for _ in count())


def oracle(sentences: Sequence[str], question: str) -> str:
    """The answer to a question of qa1, qa2 or qa3, read off the text alone (see `prove`)."""
    return prove(sentences, question)[0]


class _Stay(NamedTuple):
    """A room, and the sentence that moved a person there; None while that is untold."""

    room: str | None
    move: int | None


def prove(sentences: Sequence[str], question: str) -> Proof:
    """The answer to a question of qa1, qa2 or qa3, and the indices of the sentences that prove it.

    Reads the text alone and knows nothing of the simulator. Sentences of any other shape are passed over, so that it
    also reads a story scattered in other text. The supporting sentences are those that the original files name, in
    their order.

    Raises:
        ValueError: a question of another shape, or one that the sentences do not settle.
    """
    nowhere = _Stay(None, None)
    at: dict[str, _Stay] = {}
    holder: dict[str, str] = {}
    touched: dict[str, int] = {}
    stays: dict[str, list[_Stay]] = {}
    for index, sentence in enumerate(sentences):
        if move := _MOVE.fullmatch(sentence.strip()):
            person, room = move.groups()
            at[person] = _Stay(room, index)
            for item in (item for item, carrier in holder.items() if carrier == person):
                stays[item].append(at[person])
        elif act := _ACT.fullmatch(sentence.strip()):
            person, verb, item = act.groups()
            here = at.get(person, nowhere)
            of_item = stays.setdefault(item, [])
            if of_item and of_item[-1].room == here.room:
                of_item.pop()
            of_item.append(here)
            touched[item] = index
            if verb in GET:
                holder[item] = person
            else:
                holder.pop(item, None)

    answer: str | None = None
    support: tuple[int | None, ...] = ()
    if asked := WHERE_PERSON.parse(question.strip()):
        answer, move_index = at.get(asked["person"], nowhere)
        support = (move_index,)
    elif asked := WHERE_OBJECT.parse(question.strip()):
        answer, move_index = stays.get(asked["item"], [nowhere])[-1]
        support = (touched.get(asked["item"]), move_index)
    elif asked := WHERE_BEFORE.parse(question.strip()):
        item, room = asked["item"], asked["room"]
        of_item = stays.get(item, [])
        last = max((i for i, stay in enumerate(of_item) if stay.room == room), default=0)
        if last > 0:
            answer = of_item[last - 1].room
            support = (touched[item], of_item[last].move, of_item[last - 1].move)
    else:
        raise ValueError(
            f"question {question!r} is none of 'Where is PERSON?', 'Where is the OBJECT?' and 'Where was the OBJECT "
            "before the ROOM?'; ask one of these"
        )
    if answer is None:
        raise ValueError(f"{len(sentences)} sentences do not tell the answer to {question!r}; ask about what is told")
    return answer, tuple(index for index in support if index is not None)


_MOVE = re.compile(rf"({'|'.join(PEOPLE)}) (?:{'|'.join(GO)}) the ({'|'.join(ROOMS)})\.")
_ACT = re.compile(rf"({'|'.join(PEOPLE)}) ({'|'.join(GET + DROP)}) the ({'|'.join(OBJECTS)})(?: there)?\.")


def _random(generator: torch.Generator) -> Random:
    # one tensor draw a story: taking every integer from the torch.Generator would be 50 times as slow
    return Random(int(torch.randint(2**62, (), generator=generator, device=generator.device)))


def _pick(random: Random, options: Sequence[Option]) -> Option:
    # random.choice costs three times as much
    return options[int(len(options) * random.random())]


class _World:
    """Who and what is where, what of it was told, and what can be asked."""

    def __init__(self, task: int, random: Random, recent: int | None):
        if task not in THERE:
            raise ValueError(
                f"task {task} cannot be simulated; choose 1, 2 or 3, and read the others with read_stories()"
            )
        if recent is not None and recent < 1:
            raise ValueError(f"recent = {recent} leaves no statement to ask about; give 1 or more, or None for any age")
        self.task, self.random, self.recent = task, random, recent
        self.told = 0  # statements so far
        self.subjects: deque[str] = deque(maxlen=recent or 1)  # what the last statements are about
        self.room = {person: _pick(random, ROOMS) for person in PEOPLE}
        self.last_move: dict[str, int] = {}  # person -> statement
        self.lies = {item: _pick(random, ROOMS) for item in OBJECTS} if task > 1 else {}  # object -> room
        self.holder: dict[str, str] = {}  # object -> person
        self.touched: dict[str, int] = {}  # object -> statement of its last pick-up or put-down
        self.trail: dict[str, list[tuple[str, int]]] = {}  # object -> (room, statement) of moves with its last carrier
        self.dropped: dict[str, tuple[str, int] | None] = {}  # object put down -> (room, the move that told it)

    def tell(self) -> str:
        """The next statement; the world changes with it."""
        draw = self.random.random
        while True:
            person, act = PEOPLE[int(4 * draw())], 0 if self.task == 1 else int(3 * draw())
            if act == 0:
                room = ROOMS[int(6 * draw())]
                if room != self.room[person]:
                    return self._go(person, room)
            elif act == 1:
                if items := [item for item, room in self.lies.items() if room == self.room[person]]:
                    return self._get(person, _pick(self.random, items))
            elif items := [item for item, holder in self.holder.items() if holder == person]:
                return self._drop(person, _pick(self.random, items))

    def _go(self, person: str, room: str) -> str:
        self.room[person], self.last_move[person] = room, self.told
        for item, holder in self.holder.items():
            if holder == person:
                self.trail[item].append((room, self.told))
        return self._tell(person, f"{person} {_pick(self.random, GO)} the {room}.")

    def _get(self, person: str, item: str) -> str:
        del self.lies[item]
        self.dropped.pop(item, None)
        self.holder[item], self.trail[item], self.touched[item] = person, [], self.told
        return self._tell(item, f"{person} {_pick(self.random, GET)} the {item}{self._there(0)}.")

    def _drop(self, person: str, item: str) -> str:
        del self.holder[item]
        room, move = self.room[person], self.last_move.get(person)
        self.lies[item], self.touched[item] = room, self.told
        self.dropped[item] = None if move is None else (room, move)
        return self._tell(item, f"{person} {_pick(self.random, DROP)} the {item}{self._there(1)}.")

    def _there(self, act: int) -> str:
        return " there" if self.random.random() < THERE[self.task][act] else ""

    def _tell(self, subject: str, sentence: str) -> str:
        self.subjects.append(subject)
        self.told += 1
        return sentence

    def _askable(self, subject: str) -> bool:
        if self.task == 1:
            return subject in self.last_move
        if subject not in self.touched:
            return False
        if self.task == 2 and subject in self.dropped:
            return self.dropped[subject] is not None
        return len(self.trail[subject]) >= self.task - 1

    def ask(self, random: Random) -> StoryQuestion | None:
        """A question about what was told, or None where there is none."""
        mentioned = (PEOPLE if self.task == 1 else OBJECTS) if self.recent is None else self.subjects
        candidates = [subject for subject in mentioned if self._askable(subject)]
        if not candidates:
            return None
        subject = _pick(random, candidates)
        if self.task == 1:
            text = WHERE_PERSON.text(person=subject)
            return StoryQuestion(self.told, text, self.room[subject], (self.last_move[subject],))
        touched, trail = self.touched[subject], self.trail[subject]
        if self.task == 2:
            answer, move = self.dropped.get(subject) or trail[-1]
            return StoryQuestion(self.told, WHERE_OBJECT.text(item=subject), answer, (touched, move))
        # of several visits to one room a question can only mean the last
        visits = {room: step for step, (room, _) in enumerate(trail) if step > 0}
        weights = [LATER**step for step in visits.values()]
        room, step = random.choices(list(visits.items()), weights)[0]
        answer, before = trail[step - 1]
        text = WHERE_BEFORE.text(item=subject, room=room)
        return StoryQuestion(self.told, text, answer, (touched, trail[step][1], before))
