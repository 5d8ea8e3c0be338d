"""Training rows: exact lengths, fresh lives on the grid, and forks that know just what was told."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mnesis.tasks.stories.babi.moving import ROOMS, oracle
from mnesis.tasks.stories.babilong.babilong import BABILong
from mnesis.tasks.stories.babilong.lives import BABILongLives
from mnesis.tasks.stories.babilong.source import BABILongSource

VERBS = "went|journeyed|moved|travelled|got|grabbed|picked|took|discarded|dropped|left|put"


def facts(text: str) -> list[str]:
    """What may be facts, wherever a sentence before them ended in something else than a full stop."""
    return re.findall(rf"(?:Daniel|John|Mary|Sandra) (?:{VERBS}) [^.?!]*\.", text)


@pytest.fixture(scope="module")
def tokenizer():
    return BABILongSource(vocabulary=1024).tokenizer()


def lives(tokenizer, number: int = 1, **options) -> BABILongLives:
    task: BABILong = BABILongSource(number=number).open(tokenizer, split="train")
    return BABILongLives(task, **{"window": 64, "forks": 4, **options})


def draw(task: BABILongLives, batch: int = 6, windows: int = 16, seed: int = 0):
    return task.episodes(batch, windows * task.window, torch.Generator().manual_seed(seed))


def test_the_same_generator_draws_the_same_episode(tokenizer) -> None:
    first, second = (draw(lives(tokenizer)) for _ in range(2))
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.forks.inputs, second.forks.inputs)
    assert not torch.equal(first.inputs, draw(lives(tokenizer), seed=1).inputs)


@pytest.mark.parametrize(("window", "period"), [(64, None), (60, 64)])
def test_lives_are_whole_periods_of_many_lengths(tokenizer, window, period) -> None:
    episode = draw(lives(tokenizer, window=window, period=period))
    rows, times = episode.reset.nonzero(as_tuple=True)
    assert (times % 64 == 0).all()
    counts = torch.bincount(rows, minlength=6).tolist()
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 4 * counts[-1]


@pytest.mark.parametrize(
    ("number", "window", "easier"), [(1, 64, False), (2, 64, False), (3, 64, False), (1, 50, False), (3, 64, True)]
)
def test_forks_ask_what_the_text_so_far_settles(tokenizer, number, window, easier) -> None:
    task = lives(tokenizer, number, questions=0.0, window=window, period=64, easier=easier)
    episode = draw(task, windows=24)
    asked = 0
    for row in range(6):
        starts = episode.reset[row].nonzero().flatten().tolist()
        for end in range(24):
            stop = (end + 1) * window
            begin = max(start for start in starts if start < stop)
            told = tokenizer.decode(episode.inputs[row, begin:stop].tolist())
            sentences = facts(told)
            for question in range(4):
                weight = episode.forks.weight[end, row, question]
                if not weight.any():
                    continue
                places = weight.nonzero().flatten()
                prompt = tokenizer.decode(episode.forks.inputs[end, row, question, : int(places[0]) + 1].tolist())
                answer = episode.forks.targets[end, row, question][places].tolist()
                assert answer[-1] == tokenizer.end
                assert tokenizer.decode(answer[:-1]).strip() == oracle(sentences, prompt.strip())
                asked += 1
    assert asked > 50


def test_easier_questions_are_asked_as_often_as_the_tasks_own(tokenizer) -> None:
    task = lives(tokenizer, 2, easier=True, forks=1)
    story = ("Mary went to the office.", "John moved to the garden.", "John got the milk there.", "John left the milk.")
    numbers = np.random.default_rng(0)
    asked = [task._ask(story, 1, numbers)[0].text for _ in range(200)]
    assert 70 < sum(text == "Where is the milk?" for text in asked) < 130
    assert {"Where is Mary?", "Where is John?"} <= set(asked)
    assert len(task._ask(story, 9, numbers)) == 3


def test_questions_inside_hide_their_answers_and_are_right(tokenizer) -> None:
    task = lives(tokenizer, questions=3.0)
    task.babilong.show_answers = 0.0
    episode = draw(task)
    assert episode.weight.sum() > 30
    for row, time in episode.weight.nonzero().tolist():
        begin = int(episode.reset[row, : time + 1].nonzero().max())
        told = tokenizer.decode(episode.inputs[row, begin : time + 1].tolist())
        question = "Where is " + told.rsplit("Where is ", 1)[1]
        answer = tokenizer.decode([int(episode.targets[row, time])]).strip()
        assert answer == oracle(facts(told), question)


def test_stories_can_be_kept_short_and_forks_left_out(tokenizer) -> None:
    task = lives(tokenizer, facts=1, forks=0, questions=0.0, shortest=16)
    episode = draw(task)
    assert episode.forks is None
    for row in episode.inputs:
        moves = [fact for fact in facts(tokenizer.decode(row.tolist())) if fact.removesuffix(".").endswith(ROOMS)]
        assert len(moves) == 1


def test_renamed_stories_keep_their_form_and_meet_every_name(tokenizer) -> None:
    task = lives(tokenizer, 2, renamed=True)
    told = (
        "Mary went to the office.",
        "John went to the garden.",
        "Mary got the milk there.",
        "Mary moved to the garden.",
    )
    numbers = np.random.default_rng(0)
    versions = [tuple(task._rename(told, numbers)) for _ in range(200)]
    assert len(set(versions)) > 150
    assert {oracle(version, f"Where is the {version[2].split()[3]}?") for version in versions} == set(ROOMS)
    for version in versions:
        person = version[0].split()[0]
        assert [sentence.split()[0] == person for sentence in version] == [True, False, True, True]
        assert version[1].split()[-1] == version[3].split()[-1] != version[0].split()[-1]
    assert tuple(lives(tokenizer, 2)._rename(told, numbers)) == told


def test_a_share_of_the_text_is_asked_for_what_follows(tokenizer) -> None:
    plain, asked = (draw(lives(tokenizer, language=share), windows=48) for share in (0.0, 0.25))
    assert torch.equal(plain.inputs, asked.inputs)
    added = (asked.weight > 0) & (plain.weight == 0)
    assert torch.equal(asked.weight[~added], plain.weight[~added])
    assert set(asked.weight[added].tolist()) == {torch.tensor(0.1).item()}
    assert 0.2 < added.float().mean() / (plain.weight == 0).float().mean() < 0.3
    rows, times = added[:, :-1].nonzero(as_tuple=True)
    assert torch.equal(asked.targets[rows, times], asked.inputs[rows, times + 1])
    assert not asked.reset[rows, times + 1].any()


def test_bad_numbers_are_refused(tokenizer) -> None:
    with pytest.raises(ValueError, match="forks=-1"):
        lives(tokenizer, forks=-1)
    with pytest.raises(ValueError, match="period=0"):
        lives(tokenizer, period=0)
    with pytest.raises(ValueError, match="not whole windows of 64"):
        lives(tokenizer).episodes(2, 100, torch.Generator())
