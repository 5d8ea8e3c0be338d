"""Attention with one learned query is a recurrence: the same numbers from a state of constant size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure

from ..core.state import nbytes
from ..memories.linear.aaren import Aaren, prefix_attention
from .claim import Claim, Scale, Table, Verdict, Work
from .drawing import chart, curves
from .points import models

DIM, HEADS, BATCH = 32, 4, 2
SIZES = (1, 10, 100, 1000, 10_000)
"""Largest score, about."""
UNITS: dict[Scale, int] = {"smoke": 64, "laptop": 2048, "full": 8192}
EXACT, NEAR = 1e-9, 1e-5
TYPES = (torch.float64, torch.float32)


class AarenAttention(Claim):
    """Aaren in every form, whole and cut, beside softmax attention over each prefix computed directly in float64.

    Inputs are normal; keys are scaled so that the largest score is about 1, 10 and up to 10,000. A sequence of 2,048
    units is read at once, and again in pieces of random lengths with the state carried. Errors are shares of the
    largest output. Where scores are large, float32 cannot tell them apart by less than their last digit, which the
    exponential then shows; that is drawn, and only finite outputs are asked for.
    """

    name = "aaren-attention"
    paper = "feng2024aaren"
    statement = (
        "Attention with a learned query over every prefix is exactly a recurrence with a state of constant size."
    )
    predicate = (
        "holds if in every form, read at once or in pieces, outputs in float64 are within 1e-9 of softmax attention at "
        "all sizes of scores, those in float32 within 1e-5 at scores of size 1, all are finite, and the state never "
        "changes its size; else does not hold"
    )
    seeds = {"smoke": (0,), "laptop": (0,), "full": (0,)}  # noqa: RUF012

    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        points, states = [], set()
        for size in SIZES:
            for dtype in TYPES:
                for form in Aaren.forms:
                    found, held = _compare(form, dtype, size, UNITS[scale])
                    states |= held
                    name = str(dtype).removeprefix("torch.")
                    points.append({"model": f"{form}, {name}", "form": form, "dtype": name, "at": size, **found})
        return {"points": points, "units": UNITS[scale], "state_bytes": sorted(states)}

    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        for point in figures["points"]:
            allowed = EXACT if point["dtype"] == "float64" else NEAR if point["at"] == 1 else float("inf")
            if not (point["finite"] and max(point["error"], point["cut_error"]) <= allowed):
                return "does not hold"
        return "holds" if len(figures["state_bytes"]) == len(TYPES) else "does not hold"

    def table(self, figures: Mapping[str, Any]) -> Table:
        worst = {(p["model"], p["at"]): max(p["error"], p["cut_error"]) for p in figures["points"]}
        rows = [(model, *(f"{worst[model, size]:.0e}" for size in SIZES)) for model in models(figures)]
        caption = f"largest error of {figures['units']:,} units, at once or in pieces, by the size of scores"
        return Table(("", *(f"{size:,}" for size in SIZES)), rows, caption)

    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        with chart(across="size of the scores", up="error (share of the largest output)", log="xy") as (figure, ax):
            curves(ax, figures, "error")
        return {"": figure}


@torch.no_grad()
def _compare(form: str, dtype: torch.dtype, size: int, units: int) -> tuple[dict[str, Any], set[int]]:
    """Errors at once and in pieces, and bytes of the states on the way."""
    torch.manual_seed(0)
    memory = Aaren(DIM, heads=HEADS, form=form).double()
    x = torch.randn(BATCH, units, DIM, dtype=torch.float64)
    scores = memory.scores(x, x.dtype)
    for parameter in memory.key.parameters():
        parameter.mul_(size / scores.abs().max())
    expected = prefix_attention(memory, x)
    memory = memory.to(dtype)
    y, state = memory(x.to(dtype))
    held = {nbytes(state)}
    cuts = torch.randint(1, 200, (units,), generator=torch.Generator().manual_seed(1)).tolist()
    state, parts, rest = None, [], x.to(dtype)
    while rest.shape[1]:
        part, state = memory(rest[:, : cuts.pop()], state)
        rest = rest[:, part.shape[1] :]
        parts.append(part)
        held.add(nbytes(state))
    errors = [
        float((found.double() - expected).abs().max() / expected.abs().max()) for found in (y, torch.cat(parts, 1))
    ]
    finite = all(bool(found.isfinite().all()) for found in (y, *parts))
    return {"error": errors[0], "cut_error": errors[1], "finite": finite}, held
