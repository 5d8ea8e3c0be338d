"""Claims about nats: what their figures, tables and pictures share."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ...measure.pages import figures as style
from ...measure.pages.drawing import axes, styled
from ..claim import Table
from ..trials import TrainedClaim


class NatsClaim(TrainedClaim):
    """Points with nats hold ``nll``, ``kl_address`` and ``kl_latent`` in nats, and ``nats`` of every target."""

    unit: ClassVar[str]
    """What the horizontal axis counts."""

    def table(self, figures: Mapping[str, Any]) -> Table:
        rows = [
            (
                point["model"],
                str(point["seed"]),
                f"{point['at']:,}",
                f"{point['nll']:.2f}",
                f"{point['nll_standard_error']:.2f}",
                f"{point['kl_address']:.2f}",
                f"{point['kl_latent']:.2f}",
                f"{point['targets']:,}",
            )
            for point in figures["points"]
            if "nll" in point
        ]
        header = ("", "seed", self.unit, "nats", "s.e.", "KL of address", "KL of z", "targets")
        return Table(header, rows, "nats: -log p(x | bank), by the bound of many samples")


def point(figures: Mapping[str, Any], model: str, at: int) -> Mapping[str, Any]:
    """The first seed's point of a model at a place."""
    return next(point for point in figures["points"] if point["model"] == model and point["at"] == at)


def mean(figures: Mapping[str, Any], model: str, at: int | None = None, quantity: str = "nll") -> float:
    """Over a model's points, at one place if one is given; what is left to average over are seeds."""
    own = [point for point in figures["points"] if point["model"] == model and quantity in point]
    found = [point[quantity] for point in own if at is None or point["at"] == at]
    return sum(found) / len(found)


def places(figures: Mapping[str, Any], model: str) -> list[int]:
    """Where a model has points."""
    return sorted({point["at"] for point in figures["points"] if point["model"] == model and "nll" in point})


def gap(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float]:
    """Mean of paired differences in nats, and its standard error."""
    differences = np.asarray(one["nats"]) - np.asarray(other["nats"])
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def beside_log(figure: Figure, ax: Axes, at: Sequence[int], label: str, *, columns: int) -> None:
    """Quantities in nats by the size of the bank: log N beside them, the axes, and what the lines mean."""
    ax.plot(at, np.log(at), color=style.SOFT, linestyle="--", linewidth=1.5, label="log N")
    ax.set_xscale("log", base=2)
    ax.set_xticks(at, [str(slots) for slots in at])
    ax.set_xlabel(label)
    ax.set_ylabel("nats")
    ax.grid(axis="y")
    figure.legend(loc="outside lower left", ncols=columns)


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
