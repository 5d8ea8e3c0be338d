import itertools
import re
from collections import Counter
from statistics import mean

import pytest
import torch

from mnesis.tasks.stories.babi.files import answer_choices, read_stories
from mnesis.tasks.stories.babi.moving import OBJECTS, PEOPLE, ROOMS, endless, oracle, prove, simulate
from mnesis.tasks.stories.story import Story
from tests.real_data import DATA

CORPUS = DATA / "babi" / "tasks_1-20_v1-2.zip"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is absent; set MNESIS_DATA to its data folder")
tasks = pytest.mark.parametrize("task", [1, 2, 3])
pytestmark = pytest.mark.usefixtures("without_type_checks")  # millions of small calls


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def simulated(task: int, count: int, seed: int = 0) -> list[Story]:
    source = generator(seed)
    return [simulate(task, source) for _ in range(count)]


def real(task: int) -> list[Story]:
    """Every different story of the files at hand."""
    stories = [
        *read_stories(CORPUS, task, "train", "en-10k"),
        *read_stories(CORPUS, task, "train", "en"),
        *read_stories(CORPUS, task, "test", "en"),
    ]
    return list(dict.fromkeys(stories))


def shape(sentence: str) -> str:
    for name, words in (("PERSON", PEOPLE), ("ROOM", ROOMS), ("OBJECT", OBJECTS)):
        sentence = re.sub("|".join(words), name, sentence)
    return sentence


def shapes(stories: list[Story]) -> dict[str, float]:
    counts = Counter(shape(sentence) for story in stories for sentence in story.sentences)
    return {text: count / counts.total() for text, count in counts.items()}


def distances(stories: list[Story]) -> list[list[int]]:
    """For each supporting fact in its order, how many statements were told after it."""
    every = [[q.after - 1 - fact for fact in q.supporting] for story in stories for q in story.questions]
    return [list(column) for column in zip(*every, strict=True)]


@tasks
def test_oracle_and_simulator_agree_on_answers_and_facts(task):
    for story in simulated(task, 1000):
        for question in story.questions:
            told = story.sentences[: question.after]
            assert prove(told, question.text) == (question.answer, question.supporting)
            assert oracle(told, question.text) == question.answer


@needs_corpus
@tasks
def test_oracle_is_right_on_every_real_question(task):
    for story in real(task):
        for question in story.questions:
            told = story.sentences[: question.after]
            assert prove(told, question.text) == (question.answer, question.supporting)


@tasks
def test_every_supporting_fact_is_needed(task):
    for story in simulated(task, 50):
        for question in story.questions:
            for fact in question.supporting:
                told = list(story.sentences[: question.after])
                told[fact] = "Nothing happened."
                try:
                    answer, supporting = prove(told, question.text)
                except ValueError:
                    continue
                assert (answer, supporting) != (question.answer, question.supporting)


@pytest.mark.parametrize(
    ("question", "answer", "supporting"),
    [
        ("Where is Mary?", "office", (9,)),
        ("Where is the milk?", "kitchen", (6, 5)),
        ("Where is the apple?", "office", (8, 9)),
        ("Where was the milk before the kitchen?", "garden", (6, 5, 3)),
        ("Where was the milk before the garden?", "kitchen", (6, 3, 0)),
        ("Where was the apple before the office?", "garden", (8, 9, 7)),
    ],
)
def test_oracle_by_hand(question, answer, supporting):
    told = (
        "Mary went to the kitchen.",
        "Mary picked up the milk there.",
        "It was a dark and stormy night.",
        "Mary moved to the garden.",
        "John left the football.",
        "Mary journeyed to the kitchen.",
        "Mary put down the milk.",
        "Mary went back to the garden.",
        "Mary took the apple there.",
        "Mary travelled to the office.",
    )
    assert prove(told, question) == (answer, supporting)


@pytest.mark.parametrize(
    "question",
    ["Where is John?", "Where is the milk?", "Where is the football?", "Where was the apple before the attic?"],
)
def test_oracle_refuses_what_is_not_told(question):
    told = ("Mary went to the kitchen.", "John dropped the football there.", "Sandra took the apple.")
    with pytest.raises(ValueError, match=r"do not tell the answer|is none of"):
        oracle(told, question)


@needs_corpus
@tasks
def test_sentences_look_like_the_real_ones(task):
    original, ours = shapes(real(task)), shapes(simulated(task, 2000))
    assert set(ours) <= set(original)
    assert set(ours) >= {text for text, frequency in original.items() if frequency > 0.005}
    for text, frequency in original.items():
        assert ours[text] == pytest.approx(frequency, rel=0.12), text


@needs_corpus
@tasks
def test_stories_are_as_long_as_the_real_ones(task):
    original, ours = real(task), simulated(task, 2000, seed=1)
    for measured in (
        lambda stories: mean(len(story.sentences) for story in stories),
        lambda stories: mean(question.after for story in stories for question in story.questions),
        lambda stories: mean(story.questions[0].after for story in stories),
    ):
        assert measured(ours) == pytest.approx(measured(original), rel=0.06 if task == 3 else 0.02)
    assert max(len(story.sentences) for story in ours) < {1: 11, 2: 90, 3: 400}[task]
    assert all(len(story.questions) == 5 for story in original + ours)
    assert all(question.after % 2 == 0 for story in original + ours for question in story.questions)


@needs_corpus
@tasks
def test_facts_are_as_far_from_the_question_as_in_the_real_files(task):
    for original, ours in zip(distances(real(task)), distances(simulated(task, 2000)), strict=True):
        assert mean(ours) == pytest.approx(mean(original), rel=0.08)
    original, ours = distances(real(task))[0], distances(simulated(task, 2000))[0]
    for distance in range(5):
        share = original.count(distance) / len(original)
        assert ours.count(distance) / len(ours) == pytest.approx(share, abs=0.02)
    assert max(ours) == max(original) == 4


@needs_corpus
@tasks
def test_questions_and_answers_are_spread_as_in_the_real_files(task):
    original, ours = real(task), simulated(task, 4000)
    for stories, tolerance in ((original, 0.02 if task < 3 else 0.04), (ours, 0.012)):
        answers = Counter(question.answer for story in stories for question in story.questions)
        assert sorted(answers) == sorted(answer_choices(task))
        assert all(count / answers.total() == pytest.approx(1 / 6, abs=tolerance) for count in answers.values())
    texts = [{question.text for story in stories for question in story.questions} for stories in (original, ours)]
    assert texts[0] == texts[1]
    again = [
        mean(a.text == b.text for story in stories for a, b in itertools.pairwise(story.questions))
        for stories in (original, ours)
    ]
    assert again[0] == pytest.approx(again[1], abs=0.035)


@tasks
def test_one_seed_one_story(task):
    source = generator(7)
    stories = [simulate(task, source) for _ in range(3)]
    again = generator(7)
    assert [simulate(task, again) for _ in range(3)] == stories
    assert len(set(stories)) == 3
    assert simulate(task, generator(8)) != stories[0]


@tasks
def test_endless_world_answers_after_every_sentence(task):
    told: list[str] = []
    asked = 0
    for sentence, ask in itertools.islice(endless(task, generator()), 300):
        told.append(sentence)
        for _ in range(3):
            question = ask()
            if question is not None:
                asked += 1
                assert question.after == len(told)
                assert prove(told, question.text) == (question.answer, question.supporting)
                assert max(question.supporting) >= len(told) - 5
    assert asked > {1: 890, 2: 450, 3: 60}[task]


@tasks
def test_questions_do_not_change_the_endless_world(task):
    silent = [sentence for sentence, _ in itertools.islice(endless(task, generator(3)), 200)]
    asking = [(sentence, ask(), ask()) for sentence, ask in itertools.islice(endless(task, generator(3)), 200)]
    assert [sentence for sentence, *_ in asking] == silent
    assert any(one != other for _, one, other in asking)


@tasks
def test_older_facts_on_demand(task):
    reached = 0
    told: list[str] = []
    for sentence, ask in itertools.islice(endless(task, generator(1), recent=None), 400):
        told.append(sentence)
        if question := ask():
            assert prove(told, question.text) == (question.answer, question.supporting)
            reached = max(reached, question.after - 1 - question.supporting[0])
    assert reached > 10
    stories = [simulate(task, generator(seed), recent=2) for seed in range(100)]
    assert max(distances(stories)[0]) == 1


@pytest.mark.parametrize("task", [0, 4, 20])
def test_other_tasks_are_refused(task):
    with pytest.raises(ValueError, match=rf"task {task} cannot be simulated; choose 1, 2 or 3"):
        simulate(task, generator())
    with pytest.raises(ValueError, match="cannot be simulated"):
        endless(task, generator())


def test_recent_counts_statements():
    with pytest.raises(ValueError, match="recent = 0 leaves no statement"):
        simulate(1, generator(), recent=0)
