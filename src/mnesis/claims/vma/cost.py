"""What updates and evaluations cost as the bank grows, and a random read beside a blend."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ...generative.bank import Bank, LearnedBank
from ...generative.model import GenerativeModel
from ...generative.soft_attention import SoftAttention
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ..claim import Claim, Scale, Table, Verdict, Work
from ..drawing import chart, curves, tick_decades
from ..timing import alone, taking_turns
from .study import SETTINGS, SIDE, Layers

HARD, SOFT, SOFT_EQUAL = "VMA, K = 4", "soft attention, K = 1", "soft attention, K = 4"
SAMPLES = {HARD: 4, SOFT: 1, SOFT_EQUAL: 4}
FASTER_FROM = 48
SIZES: dict[Scale, tuple[int, ...]] = {
    "smoke": (4, 8),
    "laptop": (16, 32, 48, 64, 128, 256, 512),
    "full": (16, 32, 48, 64, 128, 256, 512),
}
LEARNED, EMBEDDED, CACHED = "update, keys learned", "update, keys made anew", "evaluation, keys kept"
LARGE: dict[Scale, tuple[int, ...]] = {
    "smoke": (64,),
    "laptop": (256, 1024, 4096, 16_384, 65_536),
    "full": (256, 1024, 4096, 16_384, 65_536),
}
REPEATS: dict[Scale, int] = {"smoke": 1, "laptop": 9, "full": 30}
BATCH = 32
DIGIT = (28, 28)


class HardIsFaster(Claim):
    """Seconds of an update of 32 targets with the few-shot networks, medians, the models taking turns.

    Soft attention with four samples decodes as many pictures as VMA does, so that what is left between them is the
    read, and what comes with it: p(z | m) and the posterior's view of the slot here, a pyramid for every blend there.
    Beside it, with the MLP networks on 28x28: an update with keys that are parameters, an update that makes all keys
    anew (in chunks, worked out again on the way back), and an evaluation (K = 200) that keeps them; each size in a
    process of its own, its seconds and the most memory it took, its bank included.
    """

    name = "vma-hard-is-faster"
    paper = "bornschein2017vma"
    statement = "From 48 slots on, reading four slots at random is faster in training than blending all of them once."
    predicate = (
        "holds if with every bank of 48 slots or more an update of VMA with K = 4 takes less time than one of soft "
        "attention with K = 1; else does not hold"
    )
    seeds = {"smoke": (0,), "laptop": (0,), "full": (0,)}  # noqa: RUF012

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        points = []
        for slots in SIZES[scale]:
            calls = {name: _update(scale, name, slots) for name in SAMPLES}
            for name, seconds in taking_turns(calls, REPEATS[scale]).items():
                points.append({"model": name, "at": slots, "seconds": seconds})
        costs = []
        for slots in LARGE[scale]:
            for name in (LEARNED, EMBEDDED, CACHED):
                seconds, held = alone(partial(_call, name, slots), partial(_call, name, BATCH), REPEATS[scale])
                costs.append({"model": name, "at": slots, "seconds": seconds, "bytes": held})
        return {"points": points, "costs": costs, "threads": torch.get_num_threads()}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        seconds = {(point["model"], point["at"]): point["seconds"] for point in figures["points"]}
        large = [at for model, at in seconds if model == HARD and at >= FASTER_FROM]
        return "holds" if all(seconds[HARD, at] < seconds[SOFT, at] for at in large) else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (point["model"], f"{point['at']:,}", f"{1000 * point['seconds']:.1f}", _mebibytes(point))
            for point in (*figures["points"], *figures["costs"])
        ]
        return Table(("", "slots", "ms", "MiB at most"), rows, f"medians; {figures['threads']} threads")

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        drawn = {}
        for name, rows in (("", figures["points"]), ("cost", figures["costs"])):
            with chart(across="slots in the bank", up="milliseconds", log="xy") as (figure, ax):
                named = [{**row, "milliseconds": 1000 * row["seconds"]} for row in rows]
                curves(ax, {"points": named}, "milliseconds")
                tick_decades(ax.yaxis)
            drawn[name] = figure
        return drawn


def _update(scale: Scale, name: str, slots: int) -> Callable[[], object]:
    setting = SETTINGS[scale]
    model: GenerativeModel = (
        VariationalMemoryAddressing(setting.networks(bank=True, addressed=True))
        if name == HARD
        else SoftAttention(setting.networks(bank=True, addressed=False))
    )
    return _step(model, _pictures(slots, SIDE), samples=SAMPLES[name], image=SIDE)


def _step(
    model: GenerativeModel, bank: Bank | Tensor | LearnedBank, *, samples: int, image: tuple[int, int]
) -> Callable[[], object]:
    """One update of 32 targets."""
    x = _pictures(BATCH, image)
    learned = list(bank.parameters()) if isinstance(bank, LearnedBank) else []
    optimiser = torch.optim.Adam([*model.parameters(), *learned], 1e-4)

    def step() -> None:
        given = bank() if isinstance(bank, LearnedBank) else bank
        optimiser.zero_grad()
        (-model.objective(x, given, samples=samples, allow_targets=True).objective.mean()).backward()
        optimiser.step()

    return step


def _call(name: str, slots: int) -> Callable[[], object]:
    """One update, or one evaluation, with a bank that it brings along."""
    model = VariationalMemoryAddressing(Layers((128, 64), latent=8, match=64).networks(DIGIT, DIGIT))
    if name == CACHED:
        bank, x = model.keyed(_pictures(slots, DIGIT)), _pictures(BATCH, DIGIT)
        return lambda: model.log_prob(x, bank, samples=200, allow_targets=True)
    bank = LearnedBank(slots, DIGIT, match=64) if name == LEARNED else _pictures(slots, DIGIT)
    return _step(model, bank, samples=4, image=DIGIT)


def _pictures(count: int, image: tuple[int, int]) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return (torch.rand(count, *image, generator=generator) < 0.15).float()


def _mebibytes(point: Mapping[str, Any]) -> str:
    return f"{math.ceil(point['bytes'] / 2**20):,}" if "bytes" in point else ""
