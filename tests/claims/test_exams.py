"""How answers are counted, and errors of numbers measured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from mnesis.claims.exams import CHUNK, AnswerExam, answers, mean_square, share, unexplained
from mnesis.core.memory import Memory
from mnesis.core.task import Episode, Task
from mnesis.nets import LanguageModel
from mnesis.tasks.copying.copy import Copy
from mnesis.tasks.recall.hidden_fact import HiddenFact


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


@pytest.mark.parametrize("length", [1, 3, CHUNK // 16 + 5])
def test_who_remembers_is_right_at_any_length_and_who_does_not_is_at_chance(length: int) -> None:
    task, exam = HiddenFact(), AnswerExam(length, length, 300, batch=128)
    assert answers(LatestAnswer(task), task, exam).all()
    right = answers(LatestAnswer(task, forgets=True), task, exam)
    assert right.shape == (300, 1)
    assert right.double().mean().item() == pytest.approx(task.chance, abs=0.07)


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


class Says(Memory[Any]):
    """Says its inputs times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return torch.zeros(batch, 1)

    def scan(self, x: Any, state: Any, phase: int = 0) -> Any:
        return x * self.factor, state


@pytest.mark.parametrize("variance", [torch.var, mean_square])
def test_what_is_unexplained_is_a_share_of_the_variance(variance) -> None:
    class Doubled(Task):
        vocabulary, features, chance = 0, 1, 0.0

        def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
            x = torch.randn(batch, length, 1, generator=generator)
            return Episode(x, 2 * x, torch.ones(batch, length))

    assert unexplained(Says(2.0), Doubled(), 100, 50, variance) == 0
    assert unexplained(Says(0.0), Doubled(), 100, 50, variance) == pytest.approx(1, abs=0.01)
    assert unexplained(Says(1.0), Doubled(), 100, 50, variance) == pytest.approx(0.25, abs=0.01)
