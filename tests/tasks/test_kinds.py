"""Kinds of questions: each is written, taken apart and recognised by one template, for all twenty bAbI tasks."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from mnesis.tasks.stories.babi.files import TASK_NAMES, read_stories
from mnesis.tasks.stories.babi.kinds import question_kinds
from mnesis.tasks.stories.babi.questions import simulate_story
from mnesis.tasks.stories.babilong.source import BABILongSource
from mnesis.tasks.stories.kinds import ANYTHING, Asks, QuestionKind, Recognised
from mnesis.tasks.stories.mentions import Mentions
from mnesis.tasks.stories.story import Story
from tests.real_data import real

tasks = pytest.mark.parametrize("task", TASK_NAMES)
many = pytest.mark.usefixtures("without_type_checks")
BEFORE = question_kinds(3)[0]


def check_all_are_inside(task: int, stories: list[Story]) -> None:
    """Every question is of a kind of its task, as it is written, and about what was told before it."""
    asks = Asks(question_kinds(task))
    for story in stories:
        for question in story.questions:
            seen = asks.recognise(question.text)
            assert seen is not None, question.text
            assert (seen.text, seen.unknown) == (question.text, ())
            assert asks.recognise(f"  {question.text.upper().rstrip('?')} ") == seen
            mentions = Mentions(asks.names)
            list(mentions.listen(f" {sentence}" for sentence in story.sentences[: question.after]))
            assert mentions.missing(seen.names) == ()


@tasks
@many
def test_all_simulated_questions_are_inside(task) -> None:
    generator = torch.Generator().manual_seed(1)
    check_all_are_inside(task, [simulate_story(task, generator) for _ in range(40)])


@pytest.mark.slow
@tasks
@many
def test_all_questions_of_the_files_are_inside(task) -> None:
    check_all_are_inside(task, read_stories(real("babi", "tasks_1-20_v1-2.zip"), task, "test", "en"))


@tasks
@many
def test_every_kind_is_asked_and_every_word_comes(task) -> None:
    """What training never asks would pass as something the reader can be asked."""
    generator = torch.Generator().manual_seed(0)
    come: dict[QuestionKind, dict[str, set[str]]] = {kind: {} for kind in question_kinds(task)}
    for _ in range(150):
        for question in simulate_story(task, generator).questions:
            for kind, places in come.items():
                for place, word in (kind.parse(question.text) or {}).items():
                    places.setdefault(place, set()).add(word)
    assert come
    for kind, places in come.items():
        assert places == {place: set(words) for place, words in kind.words.items()}
        assert kind.parse(kind.instance) is not None


@tasks
def test_kinds_of_a_task_take_no_question_of_another(task) -> None:
    mine = {(kind.template, word) for kind in question_kinds(task) for word in kind.texts()}
    for other in TASK_NAMES:
        for kind in question_kinds(other):
            for text in islice(kind.texts(), 40):
                inside = [each for each in question_kinds(task) if each.parse(text)]
                assert len(inside) == ((kind.template, text) in mine)


@pytest.mark.parametrize(
    "typed",
    [
        "Where was the apple before the office?",
        "where WAS the  Apple\tbefore\nthe\u00a0office",
        "  Where was the apple before the office ??",
    ],
)
def test_case_blanks_and_the_question_mark_are_forgiven(typed) -> None:
    assert BEFORE.recognise(typed) == Recognised("Where was the apple before the office?", ("apple", "office"))


@pytest.mark.parametrize(
    ("typed", "unknown", "known"),
    [
        ("Where was the Pear before the office?", ("Pear",), "item"),
        (" where was the apple before the H\u00d6hle ", ("H\u00d6hle",), "room"),
        ("Where was the office before the apple?", ("office", "apple"), "item"),
    ],
)
def test_other_words_at_its_places_are_named(typed, unknown, known) -> None:
    assert BEFORE.recognise(typed) == Recognised(typed.strip(), (), unknown, BEFORE.words[known])


@pytest.mark.parametrize(
    "typed",
    [
        "Where was the apple before the old office?",
        "Where was the apple before the office? Where was the milk before the office?",
        "Where was the apple before the office.",
        "Where was the apple before the office!",
        "Where was the 5 before the office?",
        "Where was the apple before the ?",
        "Where was the apple\u200bbefore the office?",
        "Where was the apple before the office\0",
        "Where \u0131s Mary?",
        "?",
        "",
    ],
)
def test_other_forms_are_other_questions(typed) -> None:
    assert BEFORE.recognise(typed) is None


def test_a_name_that_is_known_goes_before_a_word_that_is_not() -> None:
    """ "Where is {person}?" and "What is {person} carrying?" beside kinds whose place would take the same word."""
    person = QuestionKind("Where is {person}?", "where somebody is", {"person": ("Mary",)})
    town = QuestionKind("Where is {town}?", "where a town is", {"town": ("Rome",)})
    asks = Asks((person, town))
    assert asks.recognise("where is rome") == Recognised("Where is Rome?", ("Rome",))
    assert asks.names == ("Mary", "Rome")
    assert str(asks) == 'where somebody is ("Where is Mary?"), where a town is ("Where is Rome?")'
    assert asks.templates == ("Where is Mary?", "Where is Rome?")


def test_anything_is_recognised_by_whom_anything_can_be_asked() -> None:
    assert ANYTHING.recognise(" Why? ") == Recognised("Why?")
    assert (ANYTHING.names, ANYTHING.templates, str(ANYTHING)) == ((), ("anything",), "any question")


@pytest.mark.parametrize(
    ("source", "inside", "outside"),
    [
        (BABILongSource(1), ["Where is Sandra?"], ["Where is Bill?", "Where is the milk?"]),
        (BABILongSource(2), ["Where is the milk?", "Where is Mary?"], ["Where is the kitchen?", "Where is Bill?"]),
        (BABILongSource(3), ["Where was the apple before the office?", "Where is the milk?"], ["Where was Mary?"]),
        (BABILongSource(5, "babi.zip"), ["Who received the football?"], ["Who lost the football?", "Where is Mary?"]),
        (BABILongSource(20, "babi.zip", "en"), ["Where will sumit go?"], ["Where will Mary go?"]),
    ],
)
def test_what_a_source_asks(source, inside, outside) -> None:
    asks = source.asks()
    for question in inside:
        assert not asks.recognise(question).unknown
    for question in outside:
        seen = asks.recognise(question)
        assert seen is None or seen.unknown


@pytest.mark.parametrize(
    "source", [BABILongSource(21), BABILongSource(1, "babi.zip", "hn"), BABILongSource(1, "babi.zip", "shuffled-10k")]
)
def test_what_other_stories_ask_is_unknown(source) -> None:
    assert source.asks() is None
