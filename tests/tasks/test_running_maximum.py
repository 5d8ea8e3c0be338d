from __future__ import annotations

import pytest
import torch

from mnesis.tasks.signals.running_maximum import RunningMaximum, cosines, smooth


def draw(length: int, batch: int = 2000, seed: int = 1, **options):
    return RunningMaximum(**options).episodes(batch, length, torch.Generator().manual_seed(seed))


def test_it_is_the_largest_value_so_far() -> None:
    task, episode = RunningMaximum(), draw(64)
    assert abs(float(episode.targets.std()) - 1) < 0.1
    said = episode.targets * task.deviation + task.mean
    assert (episode.targets[:, 1:] >= episode.targets[:, :-1]).all()
    assert (said >= episode.inputs - 1e-5).all()
    assert (said[:, -1] - episode.inputs.amax(1)).abs().max() < 1e-5


@pytest.mark.parametrize("waves", [1, 4, 16])
def test_curves_have_as_many_degrees_of_freedom_as_waves(waves) -> None:
    curves = smooth(torch.Generator().manual_seed(0), 100, 64, waves, torch.float64)
    assert int(torch.linalg.matrix_rank(curves)) == waves
    assert (curves - curves @ torch.linalg.pinv(cosines(64, waves)) @ cosines(64, waves)).abs().max() < 1e-10
    assert abs(float(draw(64, waves=waves).targets.std()) - 1) < 0.1


def test_twice_the_units_are_the_same_curves() -> None:
    slow, fast = (draw(length, 6).inputs for length in (2000, 4000))
    assert (slow - fast[:, ::2]).abs().max() < 0.05


def test_it_is_reproducible() -> None:
    assert torch.equal(draw(9, 2).inputs, draw(9, 2).inputs)
    assert not torch.equal(draw(9, 2).inputs, draw(9, 2, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="waves=0 is not a whole number of at least 1"):
        RunningMaximum(waves=0)
    with pytest.raises(ValueError, match="batch = 3, length = 0: both count something; give 1 or more"):
        draw(0, 3)
