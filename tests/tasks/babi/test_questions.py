"""Stories as words: answers proved from what was read, and the original files read as the simulated stories are."""

from __future__ import annotations

import pytest
import torch

from mnesis.tasks.stories.babi.questions import END, UNKNOWN, Babi, prove_question, simulate_story
from tests.real_data import real

tasks = pytest.mark.parametrize("task", range(1, 21))
LENGTH = 400


def draw(task: Babi, length: int = LENGTH, batch: int = 8, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


@tasks
def test_answers_follow_from_the_words(task) -> None:
    """Sentences are put together from words again, and every question is proved from those before it."""
    babi = Babi(task)
    episode = draw(babi)
    assert episode.length is not None
    asked = 0
    for row in range(8):
        told: list[str] = []
        sentence: list[str] = []
        answer: list[str] = []
        for x, y, weight in zip(*(part[row, : int(episode.length[row])].tolist() for part in episode[:3]), strict=True):
            if x == END:
                answer = []
                sentence = []
                continue
            word = babi.words[x]
            sentence.append(word)
            if weight and word == "?":
                question, sentence = " ".join(sentence), []
                expected, _ = prove_question(task, told, restored(task, question))
                answer = expected.lower().split(",")
                asked += 1
            elif word == ".":
                told.append(restored(task, " ".join(sentence)))
                sentence = []
            if weight:
                assert babi.words[y] == (answer.pop(0) if answer else ";")
    assert asked >= 8
    assert UNKNOWN not in episode.inputs[episode.inputs > 0]


NAMES = {
    *("mary", "john", "sandra", "daniel", "bill", "fred", "jeff", "julie", "lily", "greg", "brian", "julius"),
    *("bernhard", "emily", "gertrude", "jessica", "winona", "yann", "sumit", "jason", "antoine"),
}


def restored(task: int, text: str) -> str:
    """Capitals, and no space before the point, as the original files have them."""
    small = task in (15, 20) and text.endswith("?")
    words = [word.capitalize() if word in NAMES and not small else word for word in text.split()]
    text = " ".join(words).replace(" .", ".").replace(" ?", "?")
    return text[0].upper() + text[1:]


@tasks
def test_original_files_are_read_alike(task) -> None:
    files = real("babi", "tasks_1-20_v1-2.zip")
    babi = Babi(task, files=files).unseen("test")
    assert (babi.part, babi.files) == ("test", files)
    episode = draw(babi, batch=16)
    assert episode.length is not None
    units = torch.arange(episode.inputs.shape[1]) < episode.length[:, None]
    assert (episode.inputs[units] != UNKNOWN).all(), "no word is new"
    bits = -babi.blind(episode)[episode.weight > 0].mean()
    assert 0 < bits < 4


def test_rows_end_with_an_answer_that_fits() -> None:
    for length in (30, 60, 400):
        episode = draw(Babi(1), length)
        assert episode.length is not None
        assert int(episode.length.max()) <= length
        last = episode.inputs.gather(1, episode.length[:, None] - 1)
        assert (last == END).all()
        assert (episode.weight.sum(1) % 2 == 0).all(), "a word and the end"


def test_it_is_reproducible() -> None:
    babi = Babi(7)
    assert torch.equal(draw(babi, seed=3).inputs, draw(babi, seed=3).inputs)
    assert not torch.equal(draw(babi, seed=3).inputs, draw(babi, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="task = 21: bAbI has the tasks 1 to 20"):
        Babi(21)
    with pytest.raises(ValueError, match="task = 0: bAbI has"):
        simulate_story(0, torch.Generator())
    with pytest.raises(ValueError, match="task = 21: bAbI has"):
        prove_question(21, (), "Where is Mary?")
    with pytest.raises(ValueError, match="part = 'all' is unknown"):
        Babi(1, part="all")
    with pytest.raises(ValueError, match="length = 9 holds hardly any story of task 1"):
        draw(Babi(1), 9)
    with pytest.raises(ValueError, match="batch = 0 draws nothing"):
        draw(Babi(1), batch=0)
