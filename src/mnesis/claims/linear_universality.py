"""A diagonal complex recurrence holds its whole input, so that a network at every unit can compute the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Stage
from ..ops.diagonal import diagonal
from ..tasks.signals.running_maximum import UNITS, RunningMaximum
from .claim import Scale, Table, Verdict, Work
from .diagonal_channels import DISC, REAL, RING, SMOOTH, WAVES, WHOLE, rates, read_back
from .drawing import chart, curves
from .exams import unexplained
from .points import mean, models, places
from .trials import Exam, TrainedClaim, Trial, trained

NUMBERS = (2, 4, 8, WAVES, 32, 64)
EXACT, LOST, FALLS, STAYS = 1e-6, 0.1, 0.25, 0.5
FILTER = "running maximum"


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    length: int
    """L of the inputs that are read back."""
    hidden: int
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(16, 8, 4, 3, 16),
    "laptop": Setting(256, 128, 64, 4000, 1000),
    "full": Setting(512, 512, 256, 50_000, 10_000),
}


class FilterThenMLP(Memory[Tensor]):
    """Fixed complex channels on a ring, and a network on their real and imaginary parts at every unit.

    Args:
        numbers: real numbers in the state, two a channel.
        hidden: width of the network.
    """

    def __init__(self, numbers: int, hidden: int) -> None:
        super().__init__()
        self.dim = 1
        self.rates = rates(RING, numbers // 2)
        self.mlp = nn.Sequential(
            nn.Linear(numbers + 1, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 1)
        )

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        wide = torch.promote_types(dtype, torch.float32)
        return torch.zeros(batch, len(self.rates) + 1, 2, device=device, dtype=wide)

    def scan(self, x: Tensor, state: Tensor, phase: int = 0) -> tuple[Tensor, Tensor]:
        h = torch.view_as_complex(state)
        # One channel more counts units, as the paper's offset of the input does.
        decay = torch.cat([self.rates, torch.ones(1)]).to(h)
        written = torch.cat([x.expand(-1, -1, len(self.rates)), torch.full_like(x, 1 / UNITS)], -1).to(h.dtype)
        held, last = diagonal("chunk", decay.expand_as(written), written, h)
        read = torch.view_as_real(held[..., :-1]).flatten(2) / (2 * len(self.rates)) ** 0.5
        return self.mlp(torch.cat([read, held[..., -1:].real], -1)), torch.view_as_real(last).clone()


@dataclass(frozen=True)
class ErrorExam(Exam):
    """The squared error on unseen curves as a share of the variance; ``at`` is the numbers in the state."""

    rows: int

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        return {"error": unexplained(network, task, self.rows, UNITS)}


class LinearUniversality(TrainedClaim):
    """What a linear state holds, and what a network can make of it.

    First, in float64: 256 numbers are read one by one by channels whose rates lie on a ring (radii 0.99 to 1, evenly
    turned), in the disc (evenly in area, turned alike) or on the real line (evenly in (0, 1)); least squares reads them
    back from the last state. Errors are relative, by the real numbers that the state holds; once for any inputs, once
    for curves of 16 cosines, of which the reader knows as much. Then a network of two hidden layers of 128 learns the
    running maximum of such curves from a fixed state on the ring, 4,000 updates.
    """

    name = "linear-universality"
    paper = "orvieto2023universality"
    statement = (
        "A wide enough diagonal complex recurrence holds its input without loss, as many numbers as the input has "
        "degrees of freedom are enough, and a network behind it computes nonlinear functions of the past."
    )
    predicate = (
        "holds if with as many numbers as inputs (256) the ring reads back to 1e-6 and real rates leave 10 % or more; "
        "if curves of 16 cosines are read back to 1e-6 from 16 numbers on the ring and not to 10 % from 8; and if the "
        "running maximum's error at 16 numbers is at most a quarter of that at 4, and at 64 at least half of that at "
        "16 (mean over seeds); else does not hold"
    )

    def trials(self, scale: Scale) -> list[Trial]:
        return [_trial(SETTINGS[scale], numbers, seed) for seed in self.seeds[scale] for numbers in NUMBERS]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        figures, length = super().measure(scale, work), SETTINGS[scale].length
        numbers = sorted({*NUMBERS, *(length >> power for power in range(5))})
        read = [
            {"model": f"{kind}, {rate}", "at": at, "read_back": read_back(kind, rate, at, length)}
            for kind in (WHOLE, SMOOTH)
            for rate in (RING, DISC, REAL)
            for at in numbers
            if at <= length
        ]
        return {"length": length, **figures, "points": [*figures["points"], *read]}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        full = figures["length"]

        def lost(kind: str, rate: str, at: int) -> float:
            return mean(figures, "read_back", f"{kind}, {rate}", at)

        errors = {at: mean(figures, "error", FILTER, at) for at in NUMBERS}
        holds = (
            lost(WHOLE, RING, full) <= EXACT
            and lost(WHOLE, REAL, full) >= LOST
            and lost(SMOOTH, RING, WAVES) <= EXACT
            and lost(SMOOTH, RING, WAVES // 2) >= LOST
            and errors[WAVES] <= FALLS * errors[4]
            and errors[NUMBERS[-1]] >= STAYS * errors[WAVES]
        )
        return "holds" if holds else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        at, rows = places(figures), []
        for model in models(figures):
            quantity, own = "error" if model == FILTER else "read_back", places(figures, model)
            rows.append((model, *(f"{mean(figures, quantity, model, x):.0e}" if x in own else "" for x in at)))
        caption = (
            f"relative errors of {figures['length']} inputs read back, and of the running maximum (of its variance)"
        )
        return Table(("", *map(str, at)), rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        across = "numbers in the state"
        with chart(across=across, up="relative error", log="xy") as (read, ax):
            curves(ax, figures, "read_back")
            ax.set_ylim(1e-16, 10)
        with chart(across=across, up="error (share of the variance)", log="xy") as (maximum, ax):
            curves(ax, figures, "error")
        return {"": read, "maximum": maximum}


def _trial(setting: Setting, numbers: int, seed: int) -> Trial:
    build = partial(FilterThenMLP, numbers, setting.hidden)
    stages, exams = (Stage(UNITS, setting.batch, setting.steps),), (ErrorExam(numbers, setting.rows),)
    return trained(FILTER, seed, build, RunningMaximum(waves=WAVES), stages, exams, size=numbers)
