"""Our own simulator of bAbI qa4, qa17, qa18 and qa19: things laid out in space, and things of different sizes.

The generator behind the files of Weston et al. 2015 (arXiv 1502.05698) was never released. These rules were measured on
the v1.2 files: what may be said and asked and what supports it hold without exception in the 42,008 questions of these
tasks at hand, the frequencies within sampling noise.

- A layout of things linked by directions (qa4, qa17, qa19) is told link by link: a random thing and a random neighbour
  of it are drawn until their link is untold. The sentence is about the thing drawn first (of a line of three, the outer
  one in two cases of three), in qa17 about the other.
- qa4: three of six rooms in a line, two sentences, then one question about a random one of them: "The A is north of the
  B." becomes "What is north of the B?" or "What is the B south of?", both equally often; the answer is always A.
- qa17: three of six things, two beside the third in different directions; two sentences, then eight questions about the
  two that no sentence links. "yes" or "no" is drawn first, then one of the questions with that answer; of things in one
  line neither is above, or to the left of, the other across that line. First comes the sentence with the thing asked.
- qa18: of six things chocolate is the smallest, then the box of chocolates; the others have random sizes. After every
  five sentences, each of which compares two random things in one of two wordings, questions follow, until five follow
  at once. A question: one of the sentences is drawn and one of its two things, W, the other being M; the first other
  sentence with M must link it to a third thing Z in the same order of sizes, else both are redrawn, at most 100 draws
  for all the questions at one place. Whether W is bigger than Z is asked in one of two wordings, supported by the two
  sentences. Unseen in the words, every sentence is one of two clauses about its things; the sentence drawn stands for
  the last one of its clause.
- qa19: two steps, any but back, lead from a room by a second to a third; the other three rooms are put one by one on a
  random free side of one of these three (two may come to lie in one place); five sentences, one question.

Left out: a file's last story may stop in the middle, where the file has all its questions (qa18). The limit of 100 is a
fit.

Example (qa17)::

    The triangle is above the pink rectangle.  The blue square is to the left of the triangle.
    Is the pink rectangle to the right of the blue square?  yes  (sentences 0, 1)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from ..kinds import QuestionKind
from ..story import Story, StoryQuestion
from .moving import ROOMS
from .proof import Proof, Prover, proved

STEPS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}
BESIDE = {"north": "above", "south": "below", "east": "to the right of", "west": "to the left of"}
"""How qa17 says the directions of a map."""
THINGS = ("blue square", "pink rectangle", "red sphere", "red square", "triangle", "yellow square")
SIZED = ("chocolate", "box of chocolates", "box", "chest", "container", "suitcase")
"""The first two are the smallest, in this order."""

_WAYS = {"direction": tuple(STEPS), "room": ROOMS}
_SIZES = {"small": SIZED, "large": SIZED}
WHAT_IS_THERE = QuestionKind(
    "What is {direction} of the {room}?", "what lies in a direction of a room", _WAYS, aside=("direction",)
)
WHAT_IT_IS_BESIDE = QuestionKind(
    "What is the {room} {direction} of?", "of what a room lies in a direction", _WAYS, aside=("direction",)
)
IS_BESIDE = QuestionKind(
    "Is the {thing} {beside} the {other}?",
    "how two things lie",
    {"thing": THINGS, "beside": tuple(BESIDE.values()), "other": THINGS},
    aside=("beside",),
    example={"other": "triangle"},
)
FITS_IN = QuestionKind(
    "Does the {small} fit in the {large}?", "whether a thing fits in another", _SIZES, example={"large": "box"}
)
IS_BIGGER = QuestionKind(
    "Is the {large} bigger than the {small}?", "which thing is bigger", _SIZES, example={"large": "box"}
)
HOW_TO_GO = QuestionKind(
    "How do you go from the {start} to the {end}?",
    "how to go from room to room",
    {"start": ROOMS, "end": ROOMS},
    example={"end": "kitchen"},
)

POSITION_QUESTIONS = 8
"""Questions of a story of qa17."""
SIZE_ROUND = 5
"""Sentences, and then questions, of one round of qa18."""
SIZE_DRAWS = 100
"""How often a question is drawn, at most, in one round of qa18."""

Layout = dict[str, dict[str, str]]
"""Thing -> direction -> the thing there."""
Links = dict[str, dict[str, tuple[str, int]]]
"""Thing -> direction -> the thing there, and the sentence that tells so."""


def simulate_places(task: int, random: Random) -> Story:
    """One story, drawn like those of the original files.

    Args:
        task: 4, 17, 18 or 19.
        random: The only source of randomness.

    Raises:
        ValueError: another task.
    """
    if task not in _SIMULATORS:
        raise ValueError(f"task {task} is not about places or sizes; choose 4, 17, 18 or 19")
    return _SIMULATORS[task](random)


def prove_places(task: int, sentences: Sequence[str], question: str) -> Proof:
    """The answer to a question of qa4, qa17, qa18 or qa19, and the indices of the sentences that prove it.

    Reads the text alone and knows nothing of the simulator. Sentences of any other shape are passed over. The
    supporting sentences are those that the original files name, in their order; where several would do in qa18, of
    which the files name a random one, they are the latest. What no two sentences that the files could name settle is
    not answered for qa18.

    Raises:
        ValueError: another task, a question of another shape, or one that the sentences do not settle.
    """
    if task not in _PROVERS:
        raise ValueError(f"task {task} is not about places or sizes; choose 4, 17, 18 or 19")
    return proved(task, sentences, question, _PROVERS[task])


def _prove_there(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    found = _read_links(sentences).get(asked["room"], {}).get(asked["direction"])
    return None if found is None else (found[0], (found[1],))


def _prove_back(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    return _prove_there(sentences, {**asked, "direction": BACK[asked["direction"]]})


def _prove_position(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    way = _way(_read_links(sentences), asked["other"], asked["thing"])
    if not way:
        return None
    along = STEPS[_DIRECTION[asked["beside"]]]
    ahead = sum(STEPS[step][axis] * along[axis] for step, _ in way for axis in (0, 1))
    return ("yes" if ahead > 0 else "no"), tuple(index for _, index in reversed(way))


def _prove_way(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    way = _way(_read_links(sentences), asked["start"], asked["end"])
    if not way:
        return None
    return ",".join(step[0] for step, _ in way), tuple(index for _, index in way)


def _prove_size(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    large, small = asked["large"], asked["small"]
    told: dict[int, tuple[str, str]] = {}  # sentence -> the smaller and the bigger
    for index, sentence in enumerate(sentences):
        if fits := _FITS.fullmatch(sentence):
            told[index] = fits[1], fits[2]
        elif tops := _BIGGER.fullmatch(sentence):
            told[index] = tops[2], tops[1]
    for index, (low, high) in reversed(told.items()):
        if large in (low, high):
            middle = low if large == high else high
            for other, pair in told.items():
                if other != index and middle in pair:
                    if pair == ((small, middle) if large == high else (middle, small)):
                        return ("yes" if large == high else "no"), (index, other)
                    break
    return None


def _read_links(sentences: Sequence[str]) -> Links:
    links: Links = {}
    for index, sentence in enumerate(sentences):
        if told := _LINK.fullmatch(sentence):
            thing, said, other = told.groups()
            links.setdefault(other, {})[_DIRECTION[said]] = thing, index
            links.setdefault(thing, {})[BACK[_DIRECTION[said]]] = other, index
    return links


def _way(links: Links, start: str, end: str) -> list[tuple[str, int]] | None:
    """The shortest way: each step and the sentence that tells of it."""
    ways: dict[str, list[tuple[str, int]]] = {start: []}
    reached = [start]
    for place in reached:
        for step, (beyond, index) in links.get(place, {}).items():
            if beyond not in ways:
                ways[beyond] = [*ways[place], (step, index)]
                reached.append(beyond)
    return ways.get(end)


def _link(layout: Layout, place: str, direction: str, other: str) -> None:
    layout.setdefault(place, {})[direction] = other
    layout.setdefault(other, {})[BACK[direction]] = place


def _tell(layout: Layout, random: Random) -> list[tuple[str, str, str]]:
    """Every link once, in the order and from the end it is told: a thing, a direction, and the thing there."""
    places, told = tuple(layout), []
    while len(told) < len(places) - 1:
        place = random.choice(places)
        direction, other = random.choice(tuple(layout[place].items()))
        if (place, direction, other) not in told and (other, BACK[direction], place) not in told:
            told.append((place, direction, other))
    return told


def _simulate_relation(random: Random) -> Story:
    first, middle, last = random.sample(ROOMS, 3)
    layout: Layout = {}
    direction = random.choice(_DIRECTIONS)
    _link(layout, first, direction, middle)
    _link(layout, middle, direction, last)
    told = _tell(layout, random)
    fact = random.randrange(2)
    answer, direction, other = told[fact]
    wordings = (
        WHAT_IS_THERE.text(direction=BACK[direction], room=other),
        WHAT_IT_IS_BESIDE.text(room=other, direction=direction),
    )
    asked = random.choice(wordings)
    return Story(_rooms_told(told), (StoryQuestion(2, asked, answer, (fact,)),))


def _rooms_told(told: list[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(f"The {room} is {BACK[direction]} of the {other}." for room, direction, other in told)


def _simulate_position(random: Random) -> Story:
    first, middle, second = random.sample(THINGS, 3)
    layout: Layout = {}
    at = {}
    for thing, direction in zip((first, second), random.sample(_DIRECTIONS, 2), strict=True):
        _link(layout, middle, direction, thing)
        at[thing] = STEPS[direction]
    told = _tell(layout, random)
    by_answer: dict[str, list[StoryQuestion]] = {"yes": [], "no": []}
    for thing, other in ((first, second), (second, first)):
        fact = 0 if thing in (told[0][0], told[0][2]) else 1
        for direction, step in STEPS.items():
            ahead = sum((at[thing][axis] - at[other][axis]) * step[axis] for axis in (0, 1))
            answer = "yes" if ahead > 0 else "no"
            asked = IS_BESIDE.text(thing=thing, beside=BESIDE[direction], other=other)
            by_answer[answer].append(StoryQuestion(2, asked, answer, (fact, 1 - fact)))
    return Story(
        tuple(f"The {other} is {BESIDE[direction]} the {thing}." for thing, direction, other in told),
        tuple(random.choice(by_answer[random.choice(("yes", "no"))]) for _ in range(POSITION_QUESTIONS)),
    )


def _simulate_size(random: Random) -> Story:
    size = {thing: rank for rank, thing in enumerate((*SIZED[:2], *random.sample(SIZED[2:], len(SIZED) - 2)))}
    sentences: list[str] = []
    questions: list[StoryQuestion] = []
    clauses: list[tuple[str, str]] = []
    latest: dict[tuple[str, str], int] = {}
    while True:
        for _ in range(SIZE_ROUND):
            one, two = random.sample(SIZED, 2)
            latest[one, two] = len(clauses)
            clauses.append((one, two))
            low, high = (one, two) if size[one] < size[two] else (two, one)
            wordings = f"The {low} fits inside the {high}.", f"The {high} is bigger than the {low}."
            sentences.append(random.choice(wordings))
        asked = 0
        for _ in range(SIZE_DRAWS):
            fact = latest[random.choice(clauses)]
            end, middle = random.sample(clauses[fact], 2)
            link = next((index for index, pair in enumerate(clauses) if index != fact and middle in pair), None)
            if link is None:
                continue
            one, two = clauses[link]
            other = two if one == middle else one
            if end != other and (size[end] > size[middle]) == (size[middle] > size[other]):
                wordings = FITS_IN.text(small=other, large=end), IS_BIGGER.text(large=end, small=other)
                answer = "yes" if size[end] > size[other] else "no"
                questions.append(StoryQuestion(len(sentences), random.choice(wordings), answer, (fact, link)))
                asked += 1
                if asked == SIZE_ROUND:
                    return Story(tuple(sentences), tuple(questions))


def _simulate_way(random: Random) -> Story:
    start, middle, end, *beside = random.sample(ROOMS, len(ROOMS))
    layout: Layout = {}
    first = random.choice(_DIRECTIONS)
    second = random.choice([direction for direction in _DIRECTIONS if direction != BACK[first]])
    _link(layout, start, first, middle)
    _link(layout, middle, second, end)
    for room in beside:
        free = [(place, side) for place in (start, middle, end) for side in _DIRECTIONS if side not in layout[place]]
        _link(layout, *random.choice(free), room)
    told = _tell(layout, random)
    facts = tuple(
        next(i for i, (room, _, other) in enumerate(told) if {room, other} == step)
        for step in ({start, middle}, {middle, end})
    )
    asked = HOW_TO_GO.text(start=start, end=end)
    return Story(_rooms_told(told), (StoryQuestion(5, asked, f"{first[0]},{second[0]}", facts),))


def _any(words: Sequence[str]) -> str:
    return f"({'|'.join(words)})"


_DIRECTIONS = tuple(STEPS)
_DIRECTION = {**{f"{step} of": step for step in STEPS}, **{said: step for step, said in BESIDE.items()}}
_SIZED = _any(SIZED)
_LINK = re.compile(rf"The {_any(ROOMS + THINGS)} is {_any(tuple(_DIRECTION))} the {_any(ROOMS + THINGS)}\.")
_FITS = re.compile(rf"The {_SIZED} fits inside the {_SIZED}\.")
_BIGGER = re.compile(rf"The {_SIZED} is bigger than the {_SIZED}\.")
_PROVERS: dict[int, dict[QuestionKind, Prover]] = {
    4: {WHAT_IS_THERE: _prove_there, WHAT_IT_IS_BESIDE: _prove_back},
    17: {IS_BESIDE: _prove_position},
    18: {FITS_IN: _prove_size, IS_BIGGER: _prove_size},
    19: {HOW_TO_GO: _prove_way},
}
QUESTION_KINDS = {task: tuple(provers) for task, provers in _PROVERS.items()}
"""Task -> what it asks."""
_SIMULATORS = {4: _simulate_relation, 17: _simulate_position, 18: _simulate_size, 19: _simulate_way}
