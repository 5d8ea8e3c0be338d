"""Our own simulator of bAbI qa15, qa16 and qa20: what follows from kinds, and why people do what they do.

The generator behind the files of Weston et al. 2015 (arXiv 1502.05698) was never released. These rules were measured on
the v1.2 files: what may be said and asked, and what supports it, hold without exception in the 31,508 questions of
these tasks at hand, the frequencies within sampling noise.

- qa15: each of four animals is afraid of a random other one, each of four people is a random one of the animals whose
  fear was told. A sentence: a random animal's fear or a random person's animal, both as often; what was told, or cannot
  be told yet, is redrawn. After eight sentences, four questions follow about random people.
- qa16: a sentence: the kind or the colour, both as often, of a random one of five people, a colour after a kind; what
  was told, or cannot be told yet, is redrawn. The kind is random of four. So is the colour, but where a colour was told
  of somebody of this kind since anybody was last said to be of it, it is that one. After nine sentences one person's
  colour is untold and asked for: it is that of the one who, of the others of the kind, was said last to be of it (even
  later than who is asked about), whatever most have. Stories where no other is of the kind, or two are, are redrawn.
- qa20: four people, each with a random one of four needs. A random person takes their next step: the need, the way to
  the room it calls for, taking the object it calls for; who cannot go on (done, or the object is taken) is redrawn,
  until nobody can. After each sentence its question is asked: where the person will go, or why they did this; their
  need supports it. The verb of an act is uniform over its synonyms.

Left out: a file's last story may stop in the middle, where the file has all its questions (qa20).

Examples::

    Sheep are afraid of mice.  Emily is a sheep. ...  What is emily afraid of?  mouse  (sentences 1, 0)
    Lily is a frog.  Lily is green.  Greg is a frog. ...  What color is Greg?  green  (sentences 2, 0, 1)
    Yann is bored.  Where will yann go?  garden  (sentence 0)
    Yann moved to the garden.  Why did yann go to the garden?  bored  (sentence 0)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from ..kinds import QuestionKind
from ..story import Story, StoryQuestion
from .moving import GET, GO
from .proof import Proof, Prover, proved

PLURALS = {"cat": "cats", "mouse": "mice", "sheep": "sheep", "wolf": "wolves"}
FEARFUL = ("Emily", "Gertrude", "Jessica", "Winona")
KINDS = ("frog", "lion", "rhino", "swan")
COLOURS = ("gray", "green", "white", "yellow")
COLOURED = ("Bernhard", "Brian", "Greg", "Julius", "Lily")
NEEDY = ("Antoine", "Jason", "Sumit", "Yann")
NEEDS = {
    "bored": ("garden", "football"),
    "hungry": ("kitchen", "apple"),
    "thirsty": ("kitchen", "milk"),
    "tired": ("bedroom", "pajamas"),
}
"""Need -> the room and the object it calls for."""
_ASKED_NEEDY = tuple(name.lower() for name in NEEDY)
_CALLED_FOR = {"person": _ASKED_NEEDY, "room": tuple(dict.fromkeys(room for room, _ in NEEDS.values()))}
WHAT_FEARED = QuestionKind(
    "What is {person} afraid of?", "what somebody is afraid of", {"person": tuple(name.lower() for name in FEARFUL)}
)
WHICH_COLOUR = QuestionKind("What color is {person}?", "what color somebody is", {"person": COLOURED})
WHERE_TO = QuestionKind("Where will {person} go?", "where somebody will go", {"person": _ASKED_NEEDY})
WHY_GONE = QuestionKind("Why did {person} go to the {room}?", "why somebody went somewhere", _CALLED_FOR)
WHY_TAKEN = QuestionKind(
    "Why did {person} get the {item}?",
    "why somebody took something",
    {"person": _ASKED_NEEDY, "item": tuple(item for _, item in NEEDS.values())},
)

FEAR_QUESTIONS = 4
"""Questions of a story of qa15."""


def simulate_reasons(task: int, random: Random) -> Story:
    """One story, drawn like those of the original files.

    Args:
        task: 15, 16 or 20.
        random: The only source of randomness.

    Raises:
        ValueError: another task.
    """
    if task not in _SIMULATORS:
        raise ValueError(f"task {task} asks for no reasons; choose 15, 16 or 20")
    return _SIMULATORS[task](random)


def prove_reasons(task: int, sentences: Sequence[str], question: str) -> Proof:
    """The answer to a question of qa15, qa16 or qa20, and the indices of the sentences that prove it.

    Reads the text alone and knows nothing of the simulator. Sentences of any other shape are passed over. The
    supporting sentences are those that the original files name, in their order.

    Raises:
        ValueError: another task, a question of another shape, or one that the sentences do not settle.
    """
    if task not in _PROVERS:
        raise ValueError(f"task {task} asks for no reasons; choose 15, 16 or 20")
    return proved(task, sentences, question, _PROVERS[task])


def _prove_fear(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    animal = _told(sentences, _IS_ANIMAL).get(asked["person"].capitalize())
    fear = animal and _told(sentences, _FEARS).get(PLURALS[animal[0]].capitalize())
    return animal and fear and (_SINGULARS[fear[0]], (animal[1], fear[1]))


def _prove_colour(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    kinds, colours = _told(sentences, _IS_KIND), _told(sentences, _IS_COLOUR)
    if asked["person"] not in kinds:
        return None
    kind, fact = kinds.pop(asked["person"])
    others = [(index, name) for name, (other, index) in kinds.items() if other == kind and name in colours]
    if not others:
        return None
    index, name = max(others)
    colour, colour_index = colours[name]
    return colour, (fact, index, colour_index)


def _prove_need(sentences: Sequence[str], asked: dict[str, str]) -> Proof | None:
    need = _told(sentences, _IS_NEEDY).get(asked["person"].capitalize())
    if need is None:
        return None
    room, item = NEEDS[need[0]]
    if len(asked) == 1:  # where they will go
        return room, (need[1],)
    return (need[0], (need[1],)) if asked.get("room") == room or asked.get("item") == item else None


def _told(sentences: Sequence[str], shape: re.Pattern[str]) -> dict[str, tuple[str, int]]:
    """What the last sentence of this shape says about each, and which sentence that is."""
    told: dict[str, tuple[str, int]] = {}
    for index, sentence in enumerate(sentences):
        if said := shape.fullmatch(sentence):
            told[said[1]] = said[2], index
    return told


def _simulate_fear(random: Random) -> Story:
    animals = tuple(PLURALS)
    fear: dict[str, tuple[str, int]] = {}
    animal: dict[str, tuple[str, int]] = {}
    sentences: list[str] = []
    while len(sentences) < len(animals) + len(FEARFUL):
        if random.random() < 0.5:
            kind, feared = random.sample(animals, 2)
            if kind not in fear:
                fear[kind] = feared, len(sentences)
                sentences.append(f"{PLURALS[kind].capitalize()} are afraid of {PLURALS[feared]}.")
        else:
            name, kind = random.choice(FEARFUL), random.choice(animals)
            if name not in animal and kind in fear:
                animal[name] = kind, len(sentences)
                sentences.append(f"{name} is a {kind}.")
    questions = []
    for name in random.choices(FEARFUL, k=FEAR_QUESTIONS):
        kind, fact = animal[name]
        feared, reason = fear[kind]
        questions.append(StoryQuestion(len(sentences), WHAT_FEARED.text(person=name.lower()), feared, (fact, reason)))
    return Story(tuple(sentences), tuple(questions))


def _simulate_colour(random: Random) -> Story:
    while True:
        kinds: dict[str, tuple[str, int]] = {}
        colours: dict[str, tuple[str, int]] = {}
        expected: dict[str, str] = {}  # kind -> the colour told since anybody was last said to be of it
        sentences: list[str] = []
        while len(sentences) < 2 * len(COLOURED) - 1:
            name = random.choice(COLOURED)
            if random.random() < 0.5:
                if name not in kinds:
                    kind = random.choice(KINDS)
                    kinds[name] = kind, len(sentences)
                    expected.pop(kind, None)
                    sentences.append(f"{name} is a {kind}.")
            elif name in kinds and name not in colours:
                kind = kinds[name][0]
                colour = expected.setdefault(kind, random.choice(COLOURS))
                colours[name] = colour, len(sentences)
                sentences.append(f"{name} is {colour}.")
        (asked,) = set(kinds) - set(colours)
        kind, fact = kinds[asked]
        others = [name for name, (other, _) in kinds.items() if other == kind and name != asked]
        if len(others) not in (0, 2):
            last = others[-1]  # people stand in the order in which their kinds were told
            colour, reason = colours[last]
            support = fact, kinds[last][1], reason
            question = StoryQuestion(len(sentences), WHICH_COLOUR.text(person=asked), colour, support)
            return Story(tuple(sentences), (question,))


def _simulate_need(random: Random) -> Story:
    need: dict[str, str] = {name: random.choice(tuple(NEEDS)) for name in NEEDY}
    steps: dict[str, int] = dict.fromkeys(NEEDY, 0)
    told: dict[str, int] = {}
    taken: set[str] = set()
    sentences: list[str] = []
    questions: list[StoryQuestion] = []
    while going := [name for name in NEEDY if steps[name] < (2 if NEEDS[need[name]][1] in taken else 3)]:
        name = random.choice(going)
        room, item = NEEDS[need[name]]
        answer = need[name]
        if steps[name] == 0:
            told[name] = len(sentences)
            sentence, asked, answer = f"{name} is {need[name]}.", WHERE_TO.text(person=name.lower()), room
        elif steps[name] == 1:
            sentence = f"{name} {random.choice(GO)} the {room}."
            asked = WHY_GONE.text(person=name.lower(), room=room)
        else:
            taken.add(item)
            sentence = f"{name} {random.choice(GET)} the {item} there."
            asked = WHY_TAKEN.text(person=name.lower(), item=item)
        sentences.append(sentence)
        questions.append(StoryQuestion(len(sentences), asked, answer, (told[name],)))
        steps[name] += 1
    return Story(tuple(sentences), tuple(questions))


def _any(words: Sequence[str]) -> str:
    return f"({'|'.join(words)})"


_SINGULARS = {many: one for one, many in PLURALS.items()}
_MANY = _any(tuple(_SINGULARS))
_FEARS = re.compile(rf"{_MANY.title()} are afraid of {_MANY}\.")
_IS_ANIMAL = re.compile(rf"{_any(FEARFUL)} is a {_any(tuple(PLURALS))}\.")
_IS_KIND = re.compile(rf"{_any(COLOURED)} is a {_any(KINDS)}\.")
_IS_COLOUR = re.compile(rf"{_any(COLOURED)} is {_any(COLOURS)}\.")
_IS_NEEDY = re.compile(rf"{_any(NEEDY)} is {_any(tuple(NEEDS))}\.")
_PROVERS: dict[int, dict[QuestionKind, Prover]] = {
    15: {WHAT_FEARED: _prove_fear},
    16: {WHICH_COLOUR: _prove_colour},
    20: dict.fromkeys((WHERE_TO, WHY_GONE, WHY_TAKEN), _prove_need),
}
QUESTION_KINDS = {task: tuple(provers) for task, provers in _PROVERS.items()}
"""Task -> what it asks."""
_SIMULATORS = {15: _simulate_fear, 16: _simulate_colour, 20: _simulate_need}
