from __future__ import annotations

from typing import Any

import pytest
import torch

from mnesis.core.task import Episode, Task
from mnesis.nets import LanguageModel
from mnesis.tasks.copying.copy import Copy, Reverse
from mnesis.tasks.language.text import Text
from mnesis.tasks.signals.time_series import NARMA
from mnesis.tasks.wrappers.forgetful import Forgetful


def drawn(task: Any, rows: int, length: int) -> Episode:
    return task.episodes(rows, length, torch.Generator().manual_seed(0))


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


def test_resets_of_the_task_stay() -> None:
    episode = drawn(Forgetful(Forgetful(Copy(), 5), 4), 2, 4)
    assert episode.reset is not None
    assert episode.reset[1].nonzero().flatten().tolist() == [4, 5, 8, 10]


def test_it_says_what_the_task_says_of_itself() -> None:
    task = Forgetful(Reverse(symbols=10), 3)
    episode = drawn(task, 2, 6)
    assert task.items(6) == 6
    assert torch.equal(task.distance(episode), Reverse(symbols=10).distance(episode))
    assert torch.equal(task.blind(episode), Reverse(symbols=10).blind(episode))
    assert task.displaced(episode) is None
    assert (Forgetful(NARMA(), 3).features, Forgetful(NARMA(), 3).target_features) == (1, 1)
    text: Task = Forgetful(Text(), 3)
    assert torch.equal(drawn(text.unseen("test"), 2, 9).inputs, drawn(Text().unseen("test"), 2, 9).inputs)


def test_segments_without_units_are_refused() -> None:
    with pytest.raises(ValueError, match="segment=0 is not a whole number of at least 1"):
        Forgetful(Copy(), 0)
