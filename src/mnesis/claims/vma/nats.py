"""Claims about nats: what their tables and pictures share."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, curve, styled, tick_places
from ..claim import Table
from ..drawing import chart
from ..points import mean, select, spread
from ..trials import TrainedClaim


class NatsClaim(TrainedClaim):
    """Points with nats hold ``nll``, ``kl_address`` and ``kl_latent`` in nats, and ``nats`` of every target."""

    unit: ClassVar[str]
    """What the horizontal axis counts."""
    shown: ClassVar[Mapping[str, str]] = {}
    """Quantities in nats beside those of every claim, and their columns."""
    printed: ClassVar[Mapping[tuple[str, int], str]] = {}
    """What the paper has for a model and a place."""

    def table(self, figures: Mapping[str, Any]) -> Table:
        points = select(figures, has="nll")
        quantities = {"nll": "nats", "kl_address": "KL of address", "kl_latent": "KL of z", **self.shown}
        rows = []
        for model, at in dict.fromkeys((point["model"], point["at"]) for point in points):
            own = {"points": select({"points": points}, model=model, at=at)}
            rows.append((
                model,
                f"{at:,}",
                *(_over_seeds(own, quantity) for quantity in quantities),
                f"{mean(own, 'nll_standard_error'):.2f}",
                str(len(own["points"])),
                *([self.printed.get((model, at), "")] if self.printed else []),
            ))  # fmt: skip
        header = ("", self.unit, *quantities.values(), "s.e.", "seeds", *(["paper, nats"] if self.printed else []))
        about = sorted({point["about"] for point in points if "about" in point})
        caption = "nats: -log p(x | bank), by the bound of many samples; brackets: from seed to seed"
        return Table(header, rows, "; ".join([caption, *about]))


def _over_seeds(figures: Mapping[str, Any], quantity: str) -> str:
    """Mean of a quantity, and from where to where seeds put it; nothing where no point has it."""
    if not select(figures, has=quantity):
        return ""
    low, high = spread(figures, quantity)
    return f"{mean(figures, quantity):.2f}" + (f" ({low:.2f} to {high:.2f})" if high > low else "")


def gap(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float]:
    """Mean of paired differences in nats, and its standard error."""
    differences = np.asarray(one["nats"]) - np.asarray(other["nats"])
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def by_slots(
    figures: Mapping[str, Any], at: Sequence[int], shown: Mapping[str, str], model: Callable[[int], str], *, across: str
) -> Figure:
    """Quantities in nats by the size of the bank, beside log N.

    Args:
        figures: of a claim.
        at: sizes.
        shown: labels by the names of the quantities.
        model: whose bank has a size.
        across: label of the horizontal axis.
    """
    with chart(across=across, up="nats", log="x", height=2.8) as (figure, ax):
        for index, (quantity, label) in enumerate(shown.items()):
            curve(ax, index, at, [mean(figures, quantity, model(slots), slots) for slots in at], label)
        ax.plot(at, np.log(at), color=style.SOFT, linestyle="--", linewidth=1.5, label="log N")
        ax.set_ylim(0)
        tick_places(ax, at)
    return figure


def picture(png: str) -> Any:
    """Pixels of a PNG in base64."""
    return np.asarray(Image.open(BytesIO(base64.b64decode(png))))


def sheet(png: str, title: str, height: float = 4.2) -> Figure:
    """Rows of pictures under a title."""
    with styled():
        figure, ax = axes(height=height)
        ax.imshow(picture(png), cmap="gray", vmin=0, vmax=255)
        ax.set_axis_off()
        ax.set_title(title, loc="left", fontsize=10.5)
    return figure


def addresses(shown: Mapping[str, Any]) -> Figure:
    """q(a | x) over the slots of all classes, for two pictures, with the slots that it prefers."""
    with styled():
        figure = Figure(figsize=(style.WIDTH, 4.2), layout="constrained")
        panels = figure.subplots(2, 3, width_ratios=(1, 3.4, 5))
        for (left, middle, right), lookup in zip(panels, shown["lookups"], strict=True):
            for ax, name, title in ((left, "target", "x"), (right, "best", "the five best slots")):
                ax.imshow(picture(lookup[name]), cmap="gray", vmin=0, vmax=255)
                ax.set_axis_off()
                ax.set_title(title, fontsize=10.5)
            examples = len(lookup["q"]) // shown["classes"]
            colors = [style.SERIES[(slot // examples) % 2] for slot in range(len(lookup["q"]))]
            middle.bar(range(len(lookup["q"])), lookup["q"], 1.0, color=colors)
            middle.set_xticks([])
            middle.set_title("q(a | x) by slot", fontsize=10.5)
    return figure
