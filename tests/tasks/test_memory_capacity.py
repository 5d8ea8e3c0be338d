"""The task, and the measure on states whose capacity is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mnesis.tasks.signals.memory_capacity import MemoryCapacity, capacity


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def reservoir(z: torch.Tensor, numbers: int, decay: float, *, squash: bool = False, seed: int = 1) -> torch.Tensor:
    """x_t = decay P x_{t-1} + w z_t with P a cyclic permutation, and random w."""
    weights = torch.randn(numbers, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    state, states = torch.zeros(numbers, dtype=torch.float64), []
    for value in z:
        state = decay * state.roll(1) + weights * value
        state = state.tanh() if squash else state
        states.append(state)
    return torch.stack(states)


def test_targets_are_the_last_inputs() -> None:
    episode = MemoryCapacity(lags=3, scale=0.5).episodes(4, 6, torch.Generator().manual_seed(0))
    for row in range(4):
        x = episode.inputs[row, :, 0].tolist()
        assert max(map(abs, x)) <= 0.5
        for t in range(6):
            expected = [x[t - lag] if t >= lag else 0.0 for lag in range(3)]
            assert episode.targets[row, t].tolist() == pytest.approx(expected)
        assert episode.weight[row].tolist() == [0, 0, 1, 1, 1, 1]


def test_a_delay_line_holds_as_much_as_it_is_long() -> None:
    z = noise(3000)
    states = torch.stack([torch.cat([torch.zeros(lag, dtype=torch.float64), z[: len(z) - lag]]) for lag in range(8)], 1)
    found = capacity(states, z, 12)
    assert found[:8] == pytest.approx(np.ones(8), abs=1e-9)
    assert abs(found[8:].sum()) < 0.05
    assert capacity(states, z, 8).sum() == pytest.approx(8, abs=1e-9)


def test_a_linear_reservoir_reaches_its_bound() -> None:
    """Within 1 % of the numbers in its state, and not beyond by more than three standard errors."""
    numbers, sums = 20, []
    for seed in range(4):
        z = noise(20_000, seed)
        sums.append(capacity(reservoir(z, numbers, 0.95), z, 300, washout=500).sum())
    error = np.std(sums, ddof=1) / np.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(numbers, rel=0.01)
    assert np.mean(sums) <= numbers + 3 * error


def test_noise_holds_nothing() -> None:
    z, states = noise(4000), torch.randn(4000, 30, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert abs(capacity(states, z, 50).sum()) < 0.5


def test_a_nonlinear_one_depends_on_the_scale() -> None:
    """Ballarin et al. 2025: small inputs leave it linear, large ones leave it the sign of the last input."""
    z = noise(3000)
    small, large = (capacity(reservoir(scale * z, 10, 0.9, squash=True), z, 60).sum() for scale in (1e-3, 100.0))
    assert small == pytest.approx(10, abs=0.5)
    assert large < 3


def test_bad_input() -> None:
    for options, message in (
        ({"lags": 0}, "lags=0 is not a whole number of at least 1"),
        ({"scale": 0.0}, "scale=0.0 is not a finite number above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            MemoryCapacity(**options)
    with pytest.raises(ValueError, match="length = 4: give 1 row or more, and 5 units or more for 5 lags"):
        MemoryCapacity(lags=5).episodes(2, 4, torch.Generator())
    with pytest.raises(ValueError, match="more units than the 30 numbers of a state"):
        capacity(torch.zeros(31, 30), torch.zeros(31), 1)
    with pytest.raises(ValueError, match="give 1 lag or more"):
        capacity(torch.zeros(31, 3), torch.zeros(31), 0)
