from __future__ import annotations

import pytest
import torch

from mnesis.tasks.signals.polynomial_memory import PolynomialMemory


def test_it_is_an_impulse_and_its_negative() -> None:
    episode = PolynomialMemory().episodes(2, 21, torch.Generator())
    assert episode.inputs[:, :2, 0].tolist() == [[1, 0], [-1, 0]]
    assert abs(float(episode.targets[0, 20, 0]) - 3**-1.1) < 1e-6
    assert torch.equal(episode.targets[0], -episode.targets[1])


def test_the_power_says_how_fast_it_fades() -> None:
    for power in (0.5, 2.0):
        response = PolynomialMemory(power=power).response(91)
        assert response[0] == 1
        assert abs(float(response[90]) - 10**-power) < 1e-12


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"power=0\.0 is not a finite number above 0"):
        PolynomialMemory(power=0.0)
    with pytest.raises(ValueError, match="batch = 2, length = 0: both count something; give 1 or more"):
        PolynomialMemory().episodes(2, 0, torch.Generator())
