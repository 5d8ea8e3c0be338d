"""Curves sampled at several rates: what they are made of, and that the rate changes nothing else."""

from __future__ import annotations

import pytest
import torch

from mnesis.tasks.signals.timescale import FAST, SLOW, TimescaleShift


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_class_is_in_the_spectrum() -> None:
    task = TimescaleShift(noise=0.0)
    episode = task.episodes(200, 128, generator())
    label = episode.targets[:, -1]
    power = torch.fft.rfft(episode.inputs[..., 0]).abs()
    pairs = [(slow, fast) for slow in SLOW for fast in FAST]
    for row in range(200):
        found = sorted(power[row].topk(2).indices.tolist())
        assert tuple(found) == pairs[label[row]]
    assert set(label.tolist()) == set(range(10))
    assert torch.equal(episode.weight[0], torch.eye(128)[-1])


def test_twice_the_samples_are_the_same_curves() -> None:
    task = TimescaleShift(noise=0.0)
    slow, fast = (task.episodes(6, length, generator(3)) for length in (60, 120))
    assert torch.equal(slow.targets[:, -1], fast.targets[:, -1])
    assert (slow.inputs - fast.inputs[:, ::2]).abs().max() < 1e-5


def test_noise_is_as_large_as_asked() -> None:
    clean, noisy = (TimescaleShift(noise=noise).episodes(50, 100, generator(1)).inputs for noise in (0.0, 0.3))
    assert abs(float((noisy - clean).std()) - 0.3) < 0.01


def test_it_is_drawn_from_the_generator_alone() -> None:
    task = TimescaleShift()
    assert torch.equal(task.episodes(3, 40, generator(5)).inputs, task.episodes(3, 40, generator(5)).inputs)
    assert not torch.equal(task.episodes(3, 40, generator(5)).inputs, task.episodes(3, 40, generator(6)).inputs)


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match=r"noise=-1\.0 is not a finite number of at least 0"):
        TimescaleShift(noise=-1.0)
    with pytest.raises(ValueError, match="length = 24: give 1 curve or more, and 25 samples or more"):
        TimescaleShift().episodes(3, 24, generator())
