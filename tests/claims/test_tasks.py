"""The tasks inside claims, and how answers are counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from mnesis.claims.accuracy import CHUNK, AnswerExam, answers, share
from mnesis.claims.rmt_copy import Forgetful
from mnesis.claims.rmt_length import HiddenFact
from mnesis.core.memory import Memory
from mnesis.nets import LanguageModel
from mnesis.tasks.copying.copy import Copy


def drawn(task: Any, rows: int, length: int) -> Any:
    return task.episodes(rows, length, torch.Generator().manual_seed(0))


class LatestAnswer(Memory[Any]):
    """Says the latest token that can be an answer; ``forgets`` says nothing but the first answer."""

    def __init__(self, task: HiddenFact, forgets: bool = False) -> None:
        super().__init__()
        self.task, self.forgets, self.unused = task, forgets, nn.Parameter(torch.zeros(1))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return torch.full((batch,), self.task.first, device=device)

    def scan(self, x: Any, state: Any, phase: int = 0) -> Any:
        says = []
        for token in x.unbind(1):
            state = state if self.forgets else torch.where(token >= self.task.first, token, state)
            says.append(state)
        return one_hot(torch.stack(says, 1), self.task.vocabulary).float(), state


def test_a_fact_hides_once_and_is_asked_for_at_the_end() -> None:
    task = HiddenFact(segment=7, fillers=5, choices=3)
    episode = drawn(task, 400, 4)
    assert episode.inputs.shape == (400, 28)
    assert (episode.weight.sum(1) == 1).all()
    assert (episode.weight[:, -1] == 1).all()
    assert (episode.inputs[:, -1] == task.question).all()
    marks = episode.inputs == task.mark
    assert (marks.sum(1) == 1).all()
    place = marks.long().argmax(1)
    rows = torch.arange(400)
    assert torch.equal(episode.inputs[rows, place + 1], episode.targets[:, -1])
    assert ((episode.inputs >= task.first).sum(1) == 1).all()
    assert ((episode.inputs < task.fillers).sum(1) == 28 - 3).all()
    assert set((place // 7).tolist()) == {0, 1, 2, 3}
    assert set((place % 7).tolist()) == {0, 1, 2, 3, 4}, "inside its segment, before the question"


@pytest.mark.parametrize("length", [1, 3, CHUNK // 16 + 5])
def test_who_remembers_is_right_at_any_length_and_who_does_not_is_at_chance(length: int) -> None:
    task, exam = HiddenFact(), AnswerExam(length, length, 300, batch=128)
    assert answers(LatestAnswer(task), task, exam).all()
    right = answers(LatestAnswer(task, forgets=True), task, exam)
    assert right.shape == (300, 1)
    assert right.double().mean().item() == pytest.approx(task.chance, abs=0.07)


def test_facts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="fillers=0 is not a whole number of at least 1"):
        HiddenFact(fillers=0)
    for options in ({"segment": 2}, {"choices": 1}):
        with pytest.raises(ValueError, match="give 3, 1 and 2 or more"):
            HiddenFact(**options)
    with pytest.raises(ValueError, match="give 1 or more"):
        drawn(HiddenFact(), 2, 0)


def test_forgetful_sequences_are_the_same_and_nothing_crosses_a_border() -> None:
    task = Copy(symbols=10)
    forgetful = Forgetful(task, 4)
    plain, episode = drawn(task, 3, 4), drawn(forgetful, 3, 4)
    assert torch.equal(plain.inputs, episode.inputs)
    assert (forgetful.vocabulary, forgetful.chance) == (11, 0.1)
    assert episode.reset is not None
    assert episode.reset[0].nonzero().flatten().tolist() == [4, 8]
    torch.manual_seed(0)
    options = {"segment": 4, "memory_tokens": 3}
    network = LanguageModel(task.vocabulary, dim=16, memory="rmt", depth=1, options=options).eval()
    other = episode.inputs.clone()
    other[:, :4] = (other[:, :4] + 1) % 10
    with torch.no_grad():
        before, _ = network(episode.inputs, reset=episode.reset)
        after, _ = network(other, reset=episode.reset)
        carried = [network(inputs)[0] for inputs in (episode.inputs, other)]
    assert torch.equal(before[:, 4:], after[:, 4:])
    assert not torch.allclose(carried[0][:, 4:], carried[1][:, 4:])


def test_answers_count_by_themselves_or_as_a_whole() -> None:
    task = Copy(symbols=10)
    options = {"segment": 4, "memory_length": 4}
    network = LanguageModel(task.vocabulary, dim=16, memory="transformer-xl", depth=1, options=options)
    each = answers(network, task, AnswerExam(1, 4, 10, whole=False, batch=3))
    whole = answers(network, task, AnswerExam(1, 4, 10, batch=3))
    assert each.shape == (10, 8)
    assert torch.equal(whole[:, 0], each.all(1))


def test_a_share_knows_its_samples() -> None:
    right = torch.tensor([[True, True], [False, False], [True, True], [True, False]])
    found = share(right)
    assert (found["accuracy"], found["answers"], found["samples"]) == (0.625, 8, 4)
    low, high = share(torch.tensor([[True]] * 95 + [[False]] * 5))["interval"]
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
