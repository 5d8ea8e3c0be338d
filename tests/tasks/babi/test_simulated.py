"""What every simulator and oracle of bAbI owes beside what its own tests ask of it."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest

from mnesis.tasks.stories.babi.files import answer_choices
from mnesis.tasks.stories.babi.questions import AFTER_MOVING

from .stories import originals, shares, simulated, told_and_asked

DISTANT = {4: 1, 15: 2, 16: 3, 17: 2, 18: 2, 19: 2, 20: 1}
"""Of how many supporting facts each question has, where all have as many."""
MORE_THAN_NEEDED = (16, 18)
"""Tasks where other facts may serve as well."""
every_task = pytest.mark.parametrize("task", AFTER_MOVING)
distant = pytest.mark.parametrize("task", DISTANT)


@every_task
def test_one_seed_one_story(task) -> None:
    simulate, _ = AFTER_MOVING[task]
    random, again = Random(7), Random(7)
    stories = [simulate(task, random) for _ in range(3)]
    assert [simulate(task, again) for _ in range(3)] == stories
    assert len(set(stories)) == 3
    assert simulate(task, Random(8)) != stories[0]


@every_task
def test_oracle_refuses_other_questions(task) -> None:
    with pytest.raises(ValueError, match=rf"'Why\?' is of another shape than those of qa{task}; ask"):
        AFTER_MOVING[task][1](task, ("Emily is a mouse.",), "Why?")


@distant
def test_every_supporting_fact_is_needed(task) -> None:
    for story in simulated(task)[:200]:
        for told, question in told_and_asked(story):
            for fact in question.supporting:
                without = [*told[:fact], "Nothing happened.", *told[fact + 1 :]]
                try:
                    supporting = AFTER_MOVING[task][1](task, without, question.text)[1]
                except ValueError:
                    continue
                assert task in MORE_THAN_NEEDED
                assert fact not in supporting


@distant
def test_facts_are_as_far_from_the_question_as_in_the_real_files(task) -> None:
    for fact in range(DISTANT[task]):
        original, ours = (
            [question.after - 1 - question.supporting[fact] for story in stories for question in story.questions]
            for stories in (originals(task), simulated(task))
        )
        assert mean(ours) == pytest.approx(mean(original), rel=0.04 if task in (15, 16, 20) else 0.05)
        told = shares(ours)
        for distance, share in shares(original).items():
            assert told.get(distance, 0) == pytest.approx(share, abs=0.02)


@distant
def test_answers_are_spread_as_in_the_real_files(task) -> None:
    original, ours = (
        shares(question.answer for story in stories for question in story.questions)
        for stories in (originals(task), simulated(task))
    )
    assert sorted(original) == sorted(ours) == sorted(answer_choices(task))
    for answer, share in original.items():
        assert ours[answer] == pytest.approx(share, rel=0.12)
