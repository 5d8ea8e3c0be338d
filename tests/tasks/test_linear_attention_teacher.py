from __future__ import annotations

import pytest
import torch

from mnesis.tasks.algorithms.linear_attention_teacher import LinearAttentionTeacher, linear_attention


def draw(length: int, batch: int = 2000, seed: int = 3, **options):
    return LinearAttentionTeacher(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dim", "units"), [(3, 32), (8, 32), (2, 64)])
def test_targets_have_variance_one(dim, units) -> None:
    episode = draw(units, dim=dim, units=units)
    assert episode.inputs.shape == episode.targets.shape == (2000, units, dim)
    assert abs(float(episode.targets.square().mean()) - 1) < 0.1


def test_it_is_linear_attention() -> None:
    x, *weights = (torch.randn(1, 3, 3, dtype=torch.float64) for _ in range(4))
    query, key, value = (weight[0] for weight in weights)
    last = sum(value @ x[0, s] * ((key @ x[0, s]) @ (query @ x[0, 2])) for s in range(3))
    assert (linear_attention(x, query, key, value)[0, 2] - last).abs().max() < 1e-12
    one = torch.ones(1, 1)
    assert linear_attention(torch.tensor([[[1.0], [2.0], [0.0], [1.0]]]), one, one, one).flatten().tolist() == [
        1, 10, 0, 6
    ]  # fmt: skip


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(9, 2).inputs, draw(9, 2).inputs)
    assert torch.equal(LinearAttentionTeacher().value, LinearAttentionTeacher().value), "one teacher for all seeds"
    assert not torch.equal(draw(9, 2).inputs, draw(9, 2, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="dim=0 is not a whole number of at least 1"):
        LinearAttentionTeacher(dim=0)
    with pytest.raises(ValueError, match="batch = 0, length = 9: both count something; give 1 or more"):
        draw(9, 0)
