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
from ..learn import Recipe, Stage
from ..measure.pages import figures as style
from ..measure.pages.drawing import styled
from ..memories.linear.gated_rnn import GatedRNN
from ..tasks.algorithms.linear_attention_teacher import LinearAttentionTeacher, linear_attention
from .accuracy import TEST_SEED
from .claim import Scale, Table, Verdict, Work
from .drawing import curves
from .trials import Exam, Phase, TrainedClaim, Trial

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
    """The squared error of unseen sequences as a share of their variance; ``at`` counts neurons."""

    units: int
    rows: int

    @torch.no_grad()
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        episode = task.episodes(self.rows, self.units, torch.Generator().manual_seed(TEST_SEED))
        y, _ = network.eval()(episode.inputs)
        assert isinstance(network, GatedRNN)
        error = (y - episode.targets).square().mean() / episode.targets.square().mean()
        return {"error": float(error), "kept": sorted(network.kept(torch.float64).tolist())}


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
        gated = {at: error(figures, GATED, at) for at in NEURONS[GATED]}
        holds = (
            figures["construction"] <= EXACT
            and min(gated[at] for at in gated if at >= ENOUGH) < LEARNED
            and min(gated[at] for at in gated if at <= ENOUGH - 2 * DIM) > MISSED
            and min(error(figures, UNGATED, at) for at in NEURONS[UNGATED]) > MISSED
        )
        return "holds" if holds else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [("constructed", str(ENOUGH), f"{figures['construction']:.0e}", "")]
        for model, sizes in NEURONS.items():
            for at in sizes:
                own = [point for point in figures["points"] if (point["model"], point["at"]) == (model, at)]
                rates = [rate for point in own for rate in point["kept"]]
                ends = sum(min(rate, 1 - rate) < 0.05 for rate in rates) / len(rates)
                rows.append((model, str(at), f"{100 * error(figures, model, at):.3f} %", f"{100 * ends:.0f} %"))
        caption = "error as a share of the targets' variance; rates within 0.05 of 0 or 1"
        return Table(("", "neurons", "error", "rates at the ends"), rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        with styled():
            figure, ax = curves(
                figures, "error", across="neurons", up="error (share of the variance)", scales=("linear", "log")
            )
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


def error(figures: Mapping[str, Any], model: str, at: int) -> float:
    """The mean over seeds."""
    found = [point["error"] for point in figures["points"] if (point["model"], point["at"]) == (model, at)]
    return sum(found) / len(found)


def _trial(setting: Setting, model: str, neurons: int, seed: int) -> Trial:
    build = partial(GatedRNN, DIM, neurons=neurons, output_gate=model == GATED)
    recipe = Recipe((Stage(setting.units, setting.batch, setting.steps),), learning_rate=1e-2, warm_up=50, seed=seed)
    task = LinearAttentionTeacher(dim=DIM, units=setting.units)
    exams = (ErrorExam(neurons, setting.units, setting.rows),)
    return Trial(model, seed, (Phase("training", build, task, recipe, exams),), size=neurons)
