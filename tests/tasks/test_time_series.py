from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mnesis.tasks.signals import time_series
from mnesis.tasks.signals.time_series import NARMA, MackeyGlass, mackey_glass


def draw(task, length: int, batch: int = 20, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.fixture
def short(monkeypatch):
    """Few and short trajectories from the start on."""
    mackey_glass.cache_clear()
    for name, value in (("TRAJECTORIES", 3), ("SAMPLES", 60), ("WASHOUT", 0)):
        monkeypatch.setattr(time_series, name, value)
    yield
    mackey_glass.cache_clear()


@pytest.mark.usefixtures("short")
def test_mackey_glass_solves_its_equation() -> None:
    """Against Euler's method with steps a hundred times finer."""
    found = mackey_glass(17, 10.0, 0.2, 0.1).double().numpy()
    fine, delay = 1000, 17 * 1000
    for row, begin in enumerate((0.3, 0.6, 0.9)):
        x = np.full(delay + 1 + 60 * fine, begin)
        for now in range(delay, delay + 60 * fine):
            old = x[now - delay]
            x[now + 1] = x[now] + (0.2 * old / (1 + old**10) - 0.1 * x[now]) / fine
        expected = x[delay + fine :: fine]
        assert np.ptp(found[row] - expected) < 2e-3, "up to the mean that is taken away"
        assert np.ptp(expected) > 0.2


@pytest.mark.usefixtures("short")
def test_the_future_is_asked() -> None:
    task, signal = MackeyGlass(horizon=4), mackey_glass(17, 10.0, 0.2, 0.1)
    episode = draw(task, 30)
    rows = {tuple(row.tolist()) for row in signal.unfold(1, 34, 1).flatten(0, 1)}
    for x, y in zip(episode.inputs[..., 0], episode.targets[..., 0], strict=True):
        assert torch.equal(x[4:], y[:-4])
        assert (*x.tolist(), *y[-4:].tolist()) in rows
    assert torch.all(episode.weight == 1)


def test_trajectories_differ_and_have_no_mean(monkeypatch) -> None:
    mackey_glass.cache_clear()
    monkeypatch.setattr(time_series, "SAMPLES", 300)
    signal = mackey_glass(17, 10.0, 0.2, 0.1)
    assert abs(float(signal.mean())) < 1e-6
    assert 0.15 < float(signal.std()) < 0.35
    assert float((signal[0] - signal[1]).abs().max()) > 0.1
    mackey_glass.cache_clear()


@pytest.mark.parametrize("order", [2, 10, 20])
def test_narma(order) -> None:
    episode = draw(NARMA(order=order), 60)
    for u, y, weight in zip(episode.inputs[..., 0], episode.targets[..., 0], episode.weight, strict=True):
        u, y = u.double().tolist(), [0.0, *y.double().tolist()]
        assert 0 <= min(u) <= max(u) < 0.5
        for t in range(60):
            total = sum(y[max(0, t - order + 1) : t + 1])
            back = u[t - order + 1] if t >= order - 1 else 0.0
            expected = 0.3 * y[t] + 0.05 * y[t] * total + 1.5 * back * u[t]
            expected = expected + 0.1 if order <= 10 else math.tanh(expected + 0.01)
            assert y[t + 1] == pytest.approx(expected, abs=1e-5)
        assert weight.tolist() == [0] * order + [1] * (60 - order)


def test_rows_that_run_away_are_drawn_anew() -> None:
    task = NARMA(order=10)
    filtered, calls = task._filtered, []

    def wild(u):
        calls.append(len(u))
        y = filtered(u)
        return torch.where(torch.arange(len(u))[:, None] == 1, torch.nan, y) if len(calls) < 3 else y

    task._filtered = wild
    episode = draw(task, 30)
    assert len(calls) == 3
    assert float(episode.targets.abs().max()) < 1


def test_it_is_reproducible() -> None:
    for task in (NARMA(), MackeyGlass()):
        assert torch.equal(draw(task, 30, seed=3).inputs, draw(task, 30, seed=3).inputs)
        assert not torch.equal(draw(task, 30, seed=3).inputs, draw(task, 30, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="MackeyGlass: delay=0 is not a whole number of at least 1"):
        MackeyGlass(delay=0)
    with pytest.raises(ValueError, match="length = 4090: give 1 row or more, and 1 to 4,086 units"):
        draw(MackeyGlass(), 4090)
    with pytest.raises(ValueError, match="NARMA: order=1 is not a whole number of at least 2"):
        NARMA(order=1)
    with pytest.raises(ValueError, match="length = 10: give 1 row or more, and more units than the order of 10"):
        draw(NARMA(), 10)
