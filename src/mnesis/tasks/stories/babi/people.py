"""Our own simulator of bAbI qa5 to qa14: people who move between rooms and carry, give and put down objects.

An endless supply of stories in the words of the original files, whose generator was never released (Weston et al. 2015,
arXiv 1502.05698). These rules were measured on the v1.2 files. What may be asked, its answer and its supporting
sentences hold without exception in the 105,000 questions of these tasks at hand, but for the 21 of qa5 named last; the
frequencies hold within sampling noise.

When a question comes, in all ten tasks

- After every second statement, if one can be asked, until there are five. One of the last five things mentioned is
  drawn until it can be asked about. A statement mentions the person who moves (qa6, qa9 to qa11), each of the two who
  move (qa12, qa13), the person who picks up, puts down or gives (qa7, qa8), the object of a gift (qa5), itself if it is
  not the first about its person (qa14); any other mentions one thing that cannot be asked about.

Objects in hidden rooms (qa5 to qa8)

- A random person tries a random act, and both are redrawn where that is impossible: go to a random room, pick up a
  random object of the room, put down a random object in hand, and in qa5 and qa7 give. A gift is no choice of that
  person: of all that anyone could give to somebody in the same room it is the first of apple, football and milk, and it
  goes to the first of those there in the order of `RECEIVERS`.
- The verb of an act is uniform over its synonyms. The word "there" ends every pick-up and one in five put-downs.
- qa5 asks about the last gift of an object: in one question of three what was given, in one who gave it, in one who got
  it, the last two in two wordings each. The gift supports the answer.
- qa7 asks how many objects a person carries, supported by all pick-ups, put-downs and gifts in which the person has a
  part. qa8 asks which, supported by the same sentences, but object by object in the order in which the person first
  had them; the answer keeps this order.

Hidden rooms alone (qa9 to qa14)

- A random person (in qa12 and qa13 two) goes to a random room; all is redrawn where one of them is there already. In
  qa11 and qa13 every second statement lets them go on, and a pronoun names them.
- Half of the statements of qa9 and qa10 are reports of such a move. In qa9 half of the reports name the new room, the
  others deny the old one; in qa10 half name the new room, the others it and a random one, in random order (the two may
  be the same: "either in the park or the park").
- qa14 tells of at most four moves of each person, yesterday, this morning, this afternoon and this evening; the time
  starts or ends the sentence. The statements since the last question are then put out of order by a random cycle
  through all their places (of two, always exchanged). The question is where the person was before the room of the
  statement drawn; of several visits to that room it means the last. This visit and the move before it support it.

Where somebody is (qa6, qa9 to qa13)

- The last statement about the person supports the answer, in qa11 and qa13 both statements of the last pair.
- qa6, qa9 and qa10 ask in one question of two about the room where the person truly is, else about a random other; in
  qa9 after a denial always about the denied room. In qa10 either of two rooms named is answered "maybe".

Left out: in 21 of the 3,524 questions of qa5 about what somebody gave to somebody the files mean an earlier gift than
the last between these two; here that question is not asked. The first stories of several files share what happens in
them; here no two tasks do.

Example (qa13)::

    Mary and Daniel went to the bathroom.  Then they journeyed to the hallway.
    Where is Daniel?  hallway  (sentences 0, 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from random import Random

from ..story import Story, StoryQuestion
from .giving import Carriers
from .moving import GO, QUESTIONS
from .people_world import DENY, QUESTION_KINDS, THEN, WHEN, WOMEN, Asked, Known, World


def simulate_people(task: int, random: Random) -> Story:
    """One story of five questions, drawn like those of the original files.

    Args:
        task: 5 to 14.
        random: The only source of randomness.

    Raises:
        ValueError: another task.
    """
    if task not in _WORLDS:
        raise ValueError(f"task {task} is not set among people who move between rooms; choose one of 5 to 14")
    world = _WORLDS[task](task, random)
    sentences: list[str] = []
    questions: list[StoryQuestion] = []
    block: list[str] = []
    place: list[int] = []  # statement -> sentence
    while len(questions) < QUESTIONS:
        block += world.tell(), world.tell()
        mentions = [mention for mention in world.mentions if mention is not None]
        if not mentions:
            continue
        places = [len(sentences) + i for i in world.order(len(block))]
        place += places
        sentences += (sentence for _, sentence in sorted(zip(places, block, strict=True)))
        block.clear()
        text, answer, facts = world.ask(*world.pick(mentions))
        questions.append(StoryQuestion(len(sentences), text, answer, tuple(place[fact] for fact in facts)))
    return Story(tuple(sentences), tuple(questions))


class _Movers(World):
    """qa9 to qa13: people of whom nothing is told but where they are."""

    def __init__(self, task: int, random: Random):
        super().__init__(task, random)
        self.groups = tuple(permutations(self.people, 2 if task in (12, 13) else 1))
        self.movers: tuple[str, ...] = ()

    def tell(self) -> str:
        again = self.task in (11, 13) and self.told % 2 == 1
        while True:
            movers, room = self.movers if again else self.pick(self.groups), self.pick(self.rooms)
            if all(self.room[person] != room for person in movers):
                break
        if self.task in (9, 10) and self.draw() < 0.5:
            known, sentence = self._report(movers[0], room)
        else:
            known = Known((room,), (self.told - 1, self.told) if again else (self.told,))
            sentence = f"{self._pronoun() if again else ' and '.join(movers)} {self.pick(GO)} the {room}."
        for person in movers:
            self.room[person], self.known[person] = room, known
        self.movers = movers
        self.note(*movers)
        return sentence

    def _pronoun(self) -> str:
        pronoun = "they" if self.task == 13 else "she" if self.movers[0] in WOMEN else "he"
        return f"{self.pick(THEN)} {pronoun}"

    def _report(self, person: str, room: str) -> tuple[Known, str]:
        if self.draw() < 0.5:
            return Known((room,), (self.told,)), f"{person} is in the {room}."
        if self.task == 9:
            old = self.room[person]
            return Known((old,), (self.told,), denied=True), f"{person} {self.pick(DENY)} the {old}."
        first, second = room, self.pick(self.rooms)
        if self.draw() < 0.5:
            first, second = second, first
        return Known((first, second), (self.told,)), f"{person} is either in the {first} or the {second}."

    def ask(self, subject: str, statement: int) -> Asked:
        if self.task in (9, 10):
            return self.whether(subject)
        return Asked(QUESTION_KINDS[self.task][0].text(person=subject), self.room[subject], self.known[subject].facts)


class _Diary(World):
    """qa14: where people went at four times, told out of order."""

    def __init__(self, task: int, random: Random):
        super().__init__(task, random)
        self.moves: dict[str, list[tuple[str, int]]] = {person: [] for person in self.people}  # (room, statement)

    def tell(self) -> str:
        while True:
            person, room = self.pick(self.people), self.pick(self.rooms)
            moves = self.moves[person]
            if len(moves) < len(WHEN) and room != self.room[person]:
                break
        when, move = WHEN[len(moves)], f"{person} {self.pick(GO)} the {room}"
        moves.append((room, self.told))
        self.room[person] = room
        self.note(person if len(moves) > 1 else None)
        return f"{when.capitalize()} {move}." if self.draw() < 0.5 else f"{move} {when}."

    def order(self, count: int) -> Sequence[int]:
        # Sattolo's shuffle: uniform over the orders that are one cycle
        order = list(range(count))
        for i in range(count - 1, 0, -1):
            j = int(i * self.draw())
            order[i], order[j] = order[j], order[i]
        return order

    def ask(self, subject: str, statement: int) -> Asked:
        moves = self.moves[subject]
        room = next(room for room, told in moves if told == statement)
        last = max(step for step, (other, _) in enumerate(moves) if other == room)
        answer, before = moves[last - 1]
        text = QUESTION_KINDS[self.task][0].text(person=subject, room=room)
        return Asked(text, answer, (moves[last][1], before))


_WORLDS = {**dict.fromkeys(range(5, 9), Carriers), **dict.fromkeys(range(9, 14), _Movers), 14: _Diary}
