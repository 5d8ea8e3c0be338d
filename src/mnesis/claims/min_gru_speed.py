"""What dropping the hidden state from a GRU's gates gains in training time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure

from ..core.catalog import create_memory
from ..core.memory import Memory
from .claim import Claim, Scale, Table, Verdict, Work
from .drawing import chart, curves, level
from .timing import taking_turns

PAIRS = {"min-gru": "gru", "min-lstm": "lstm"}
JUDGED = "min-gru"
DIM, BATCH = 64, 8
LENGTHS: dict[Scale, tuple[int, ...]] = {
    "smoke": (8, 16),
    "laptop": (64, 128, 256, 512, 1024, 2048, 4096),
    "full": (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384),
}
REPEATS: dict[Scale, int] = {"smoke": 1, "laptop": 9, "full": 30}
SHORT, LONG, FASTER_FROM, GAIN = 64, 4096, 512, 1.5


class MinGRUSpeed(Claim):
    """Seconds of forward and backward over eight rows of width 64, by their length, both models taking turns.

    GRU and LSTM are torch's own kernels, minGRU and minLSTM ours in chunks. A processor has no thousand lanes that
    idle while a GRU waits for its state, as the accelerator has on which the paper found 175 times and more; what is
    asked here is whether the gain is there, and grows with length. The LSTMs are shown and not judged.
    """

    name = "min-gru-speed"
    paper = "feng2024minrnn"
    statement = "Without the hidden state in its gates a GRU trains faster, and the more so the longer sequences are."
    predicate = (
        "holds if minGRU takes less time than GRU at every length of 512 units or more, and the ratio of their times "
        "at 4,096 units is at least 1.5 times that at 64; else does not hold"
    )
    seeds = {"smoke": (0,), "laptop": (0,), "full": (0,)}  # noqa: RUF012

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        points = []
        for length in LENGTHS[scale]:
            calls = {name: _training(name, length) for pair in PAIRS.items() for name in pair}
            seconds = taking_turns(calls, REPEATS[scale])
            for quick, slow in PAIRS.items():
                ratio = seconds[slow] / seconds[quick]
                taken = {"seconds": seconds[quick], "baseline_seconds": seconds[slow], "ratio": ratio}
                points.append({"model": quick, "baseline": slow, "at": length, **taken})
        return {"points": points, "threads": torch.get_num_threads(), "batch": BATCH, "dim": DIM}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        ratio = {point["at"]: point["ratio"] for point in figures["points"] if point["model"] == JUDGED}
        faster = all(found > 1 for at, found in ratio.items() if at >= FASTER_FROM)
        return "holds" if faster and ratio[LONG] >= GAIN * ratio[SHORT] else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (
                f"{point['at']:,}",
                point["baseline"],
                f"{1000 * point['baseline_seconds']:.1f}",
                point["model"],
                f"{1000 * point['seconds']:.1f}",
                f"{point['ratio']:.2f}",
            )
            for point in sorted(figures["points"], key=lambda point: (point["model"], point["at"]))
        ]
        caption = f"milliseconds of forward and backward, {BATCH} rows of width {DIM}, threads: {figures['threads']}"
        return Table(("units", "", "ms", "", "ms", "times faster"), rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        named = [{**point, "model": f"{point['model']} over {point['baseline']}"} for point in figures["points"]]
        with chart(across="units of a sequence", up="times faster in training", log="xy") as (figure, ax):
            curves(ax, {"points": named}, "ratio")
            level(ax, 1)
            ax.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
            ax.minorticks_off()
        return {"": figure}


def _training(name: str, length: int) -> Callable[[], object]:
    torch.manual_seed(0)
    return partial(_step, create_memory(name, dim=DIM), torch.randn(BATCH, length, DIM, requires_grad=True))


def _step(memory: Memory[Any], x: torch.Tensor) -> None:
    y, _ = memory(x)
    y.sum().backward()
