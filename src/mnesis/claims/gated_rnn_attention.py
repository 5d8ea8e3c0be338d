"""A recurrent network with multiplicative gates is linear attention, and learns to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure

from ..core.memory import Memory
from ..core.task import Task
from ..learn import Stage
from ..measure.pages import figures as style
from ..memories.linear.gated_rnn import GatedRNN
from ..tasks.algorithms.linear_attention_teacher import LinearAttentionTeacher, linear_attention
from .claim import Scale, Table, Verdict, Work
from .drawing import chart, curves
from .exams import mean_square, unexplained
from .points import mean, select
from .trials import Exam, TrainedClaim, Trial, trained

GATED, UNGATED = "gated RNN", "without output gate"
DIM = 3
ENOUGH = DIM * DIM + DIM
NEURONS = {GATED: (3, 6, 9, ENOUGH, 18, 24), UNGATED: (ENOUGH, 24)}
EXACT, LEARNED, MISSED = 1e-9, 0.01, 0.05


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale."""

    units: int
    batch: int
    steps: int
    rows: int


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting(8, 4, 3, 8),
    "laptop": Setting(32, 64, 6000, 1000),
    "full": Setting(32, 256, 50_000, 10_000),
}


@dataclass(frozen=True)
class ErrorExam(Exam):
    """The squared error of unseen sequences as a share of their variance, and the rates; ``at`` counts neurons."""

    units: int
    rows: int

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        assert isinstance(network, GatedRNN)
        error = unexplained(network, task, self.rows, self.units, variance=mean_square)
        return {"error": error, "kept": sorted(network.kept(torch.float64).tolist())}


class GatedRNNAttention(TrainedClaim):
    """Gated RNNs of 3 to 24 neurons, taught by linear attention over three features.

    First the construction: the weights that make a network of d^2 + d = 12 neurons linear attention are set by hand and
    compared with it in float64. Then networks of other sizes learn from the teacher's outputs on sequences of 32 normal
    vectors, 6,000 updates of 64, beside networks whose output gate is left out. Errors are shares of the targets'
    variance on 1,000 unseen sequences. That the rates lambda end near 0 and 1 is shown and not judged.
    """

    name = "gated-rnn-attention"
    paper = "zucchet2023gated"
    statement = (
        "A diagonal recurrence between multiplicative gates can be linear attention exactly, with d^2 + d neurons; "
        "training finds that solution, and without the output gate there is none."
    )
    predicate = (
        "holds if the constructed network is within 1e-9 of linear attention (float64, of the largest output), trained "
        "networks of d^2 + d neurons or more leave less than 1 % of the variance at the best of these sizes, those of "
        "d^2 - d = 6 or fewer more than 5 %, and those without output gate more than 5 % (means over seeds); else does "
        "not hold"
    )

    def trials(self, scale: Scale) -> list[Trial]:
        return [
            _trial(SETTINGS[scale], model, neurons, seed)
            for seed in self.seeds[scale]
            for model, sizes in NEURONS.items()
            for neurons in sizes
        ]

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        return {"construction": construction_gap(), **super().measure(scale, work)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        gated = {at: mean(figures, "error", GATED, at) for at in NEURONS[GATED]}
        holds = (
            figures["construction"] <= EXACT
            and min(gated[at] for at in gated if at >= ENOUGH) < LEARNED
            and min(gated[at] for at in gated if at <= ENOUGH - 2 * DIM) > MISSED
            and min(mean(figures, "error", UNGATED, at) for at in NEURONS[UNGATED]) > MISSED
        )
        return "holds" if holds else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [("constructed", str(ENOUGH), f"{figures['construction']:.0e}", "")]
        for model, sizes in NEURONS.items():
            for at in sizes:
                rates = [rate for point in select(figures, model=model, at=at) for rate in point["kept"]]
                ends = sum(min(rate, 1 - rate) < 0.05 for rate in rates) / len(rates)
                rows.append((model, str(at), f"{100 * mean(figures, 'error', model, at):.3f} %", f"{100 * ends:.0f} %"))
        caption = "error as a share of the targets' variance; rates within 0.05 of 0 or 1"
        return Table(("", "neurons", "error", "rates at the ends"), rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        with chart(across="neurons", up="error (share of the variance)", log="y") as (figure, ax):
            curves(ax, figures, "error")
            ax.axvline(ENOUGH, color=style.SOFT, linewidth=1.2, linestyle="-.")
            ax.annotate("d² + d", (ENOUGH, 1), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points")
        return {"": figure}


def construction_gap(units: int = 200) -> float:
    """Between the constructed network and linear attention, as a share of the largest output."""
    generator = torch.Generator().manual_seed(1)
    query, key, value = torch.randn(3, DIM, DIM, generator=generator, dtype=torch.float64)
    x = torch.randn(4, units, DIM, generator=generator, dtype=torch.float64)
    expected = linear_attention(x, query, key, value)
    with torch.no_grad():
        y, _ = GatedRNN.of_linear_attention(query, key, value)(x)
    return float((y - expected).abs().max() / expected.abs().max())


def _trial(setting: Setting, model: str, neurons: int, seed: int) -> Trial:
    build = partial(GatedRNN, DIM, neurons=neurons, output_gate=model == GATED)
    task = LinearAttentionTeacher(dim=DIM, units=setting.units)
    stages = (Stage(setting.units, setting.batch, setting.steps),)
    exams = (ErrorExam(neurons, setting.units, setting.rows),)
    return trained(model, seed, build, task, stages, exams, rate=1e-2, size=neurons)
