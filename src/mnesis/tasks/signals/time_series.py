"""Signals to be foretold or computed: Mackey and Glass's delayed feedback, and NARMA's nonlinear filter."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task

STEP = 0.1
"""Of the integration, in units of time; samples are 1 apart."""
TRAJECTORIES, SAMPLES, WASHOUT = 256, 4096, 512


class MackeyGlass(Task):
    """Say the value of a chaotic signal some units ahead, at every unit.

    x'(t) = beta x(t - delay) / (1 + x(t - delay)^power) - gamma x(t) (Mackey and Glass 1977), sampled once a unit of
    time and with its mean over all trajectories taken away. Delays from 17 on are chaotic. Episodes are pieces of 256
    trajectories of 4,096 samples, which start from different constants and are integrated once (Runge and Kutta's
    fourth order, steps of 0.1). One example with horizon 2::

        inputs    0.21  0.25  0.28  0.30
        targets   0.28  0.30  0.29  0.26

    ``length`` counts units. R2 of always saying the mean is 0.

    Args:
        delay: of the feedback.
        horizon: units ahead that are asked for; in chaos, the farther, the harder.
        power, beta, gamma: of the equation.

    Raises:
        ValueError: a delay or horizon that is not positive.
    """

    vocabulary, features, target_features, chance = 0, 1, 1, 0.0

    def __init__(
        self, *, delay: int = 17, horizon: int = 10, power: float = 10.0, beta: float = 0.2, gamma: float = 0.1
    ) -> None:
        self.delay, self.horizon, self.equation = delay, horizon, (float(power), float(beta), float(gamma))

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` pieces of ``length`` units.

        Raises:
            ValueError: ``batch`` or ``length`` below 1, or pieces longer than the trajectories.
        """
        longest = SAMPLES - self.horizon
        if batch < 1 or not 1 <= length <= longest:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 1 to {longest:,} units")
        device, signal = generator.device, mackey_glass(self.delay, *self.equation)
        row = torch.randint(TRAJECTORIES, (batch, 1), generator=generator, device=device)
        start = torch.randint(longest - length + 1, (batch, 1), generator=generator, device=device)
        time = start + torch.arange(length + self.horizon, device=device)
        piece = signal.to(device)[row, time][..., None]
        return Episode(piece[:, :length], piece[:, self.horizon :], torch.ones(batch, length, device=device))


@cache
def mackey_glass(delay: int, power: float, beta: float, gamma: float) -> Float[Tensor, "R T"]:
    """Trajectories without what comes at their start, and without the mean of all."""
    inner = round(1 / STEP)
    begin = torch.linspace(0.3, 0.9, TRAJECTORIES, dtype=torch.float64)  # a trajectory that starts at 1 stays there
    past = [begin] * (delay * inner + 1)  # what was, oldest first; the last is now
    samples = []

    def slope(x: Tensor, delayed: Tensor) -> Tensor:
        return beta * delayed / (1 + delayed**power) - gamma * x

    for count in range((WASHOUT + SAMPLES) * inner):
        x, old, new = past[-1], past[count], past[count + 1]
        middle = (old + new) / 2  # the delayed signal half a step on
        a = slope(x, old)
        b = slope(x + STEP / 2 * a, middle)
        c = slope(x + STEP / 2 * b, middle)
        d = slope(x + STEP * c, new)
        past.append(x + STEP / 6 * (a + 2 * b + 2 * c + d))
        if (count + 1) % inner == 0 and count >= WASHOUT * inner:
            samples.append(past[-1])
    signal = torch.stack(samples, 1)
    return (signal - signal.mean()).float()


class NARMA(Task):
    """Say what a nonlinear moving average with feedback makes of random inputs, at every unit.

    y_{t+1} = 0.3 y_t + 0.05 y_t (y_t + ... + y_{t-order+1}) + 1.5 u_{t-order+1} u_t + 0.1 with u uniform between 0 and
    1/2 (Atiya and Parlos 2000, order 10). Beyond order 10 it would run away, so that what is on the right goes through
    a tanh there, with 0.01 for 0.1, as is usual for 20 and 30. Inputs are told at the unit whose output they make::

        inputs   u_0  u_1  u_2
        targets  y_1  y_2  y_3

    ``length`` counts units; the first ``order`` are not asked about. R2 of always saying the mean is 0.

    Args:
        order: how far it looks back.

    Raises:
        ValueError: an order below 2.
    """

    vocabulary, features, target_features, chance = 0, 1, 1, 0.0

    def __init__(self, *, order: Annotated[int, AtLeast(2)] = 10) -> None:
        self.order = order

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` units. Rows that run away are drawn anew.

        Raises:
            ValueError: ``batch`` below 1, or no more units than are left out at the start.
        """
        if batch < 1 or length <= self.order:
            raise ValueError(
                f"batch = {batch}, length = {length}: give 1 row or more, and more units than the order of {self.order}"
            )
        device = generator.device
        u = 0.5 * torch.rand(batch, length, generator=generator, device=device)
        y = self._filtered(u)
        while (wild := ~(y.abs().amax(1) < 1)).any():
            u[wild] = 0.5 * torch.rand(int(wild.sum()), length, generator=generator, device=device)
            y = self._filtered(u)
        weight = torch.ones_like(u)
        weight[:, : self.order] = 0
        return Episode(u[..., None], y[..., None], weight)

    def _filtered(self, u: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """In NumPy, since so short rows take longest in being called."""
        x, before = u.double().cpu().numpy().T, self.order
        driven = 1.5 * x * np.concatenate([np.zeros_like(x[: before - 1]), x])[: len(x)]
        y = np.zeros((len(x) + before, x.shape[1]))
        total = y[0]  # of the last outputs
        with np.errstate(over="ignore", invalid="ignore"):  # rows that run away are drawn anew
            for t, drive in enumerate(driven, before):
                last = y[t - 1]
                following = last * (0.3 + 0.05 * total) + drive
                following = following + 0.1 if before <= 10 else np.tanh(following + 0.01)
                total = total + following - y[t - before]
                y[t] = following
        return torch.from_numpy(y[before:].T.copy()).to(u)
