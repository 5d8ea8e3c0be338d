"""One page for what a model makes of exemplars: the bank, drawings that are not in it, and what was drawn. Offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ..core.folders import write_page as write_marked
from ..measure.pages import page
from .showing import Asked, Shown, as_png

NAME = "page.html"


@dataclass(frozen=True)
class _Bar:
    """A slot's share of q(a | x)."""

    height: float
    """0..100, of the highest."""
    series: int
    """0 of the drawing's own class, 1 of the others."""
    label: str


@dataclass(frozen=True)
class _View:
    """A drawing that was asked for, as the template wants it."""

    asked: Asked
    picture: str
    bars: list[_Bar]
    best: list[tuple[str, str, float]]
    """Picture, name and share of its likeliest slots."""

    @property
    def right(self) -> bool:
        return self.asked.said == self.asked.name

    @property
    def highest(self) -> float:
        return self.best[0][2]


def write_page(path: Path, shown: Shown, about: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write the page of what was shown.

    Args:
        path: of the page.
        shown: what the model made of the exemplars.
        about: ``model``, ``exemplars`` and ``notes`` as people read them, and the ``command`` that made it.
        overwrite: replace whatever stands there.

    Raises:
        ValueError: somebody else's file stands there.
    """
    pictures = [_address(picture) for picture in shown.bank]
    slots = list(zip(shown.names, pictures, strict=True))
    names = _slot_names(shown.names)
    views = [
        _View(
            each,
            _address(each.picture),
            [
                _Bar(100 * share / each.best[0][1], int(shown.names[slot] != each.name), f"{names[slot]}: {share:.1%}")
                for slot, share in enumerate(each.address.tolist())
            ],
            [(pictures[slot], names[slot], share) for slot, share in each.best],
        )
        for each in shown.asked
    ]
    rows = [(row.name, _address(row.exemplar), [_address(drawn) for drawn in row.drawn]) for row in shown.rows]
    figures = json.dumps({**about, **shown.as_json()}, indent=2).encode()
    text = page.render(
        "page.html.jinja",
        package="mnesis.generative",
        about=about,
        shown=shown,
        views=views,
        rows=rows,
        bank=[(name, [picture for _, picture in members]) for name, members in groupby(slots, lambda slot: slot[0])],
        download=page.data_address("application/json", figures),
    )
    write_marked(path, text, mend="move it away, or give another --folder", overwrite=overwrite)


def _slot_names(names: tuple[str, ...]) -> list[str]:
    """``cat #2`` for the second slot of a class; of a class with one slot, its name."""
    found: list[str] = []
    for name, members in groupby(names):
        count = len(list(members))
        found += [name] if count == 1 else [f"{name} #{number}" for number in range(1, count + 1)]
    return found


def _address(picture: Float[Tensor, "H W"]) -> str:
    return page.data_address("image/png", as_png(picture[None, None]))
