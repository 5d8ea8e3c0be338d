"""One page for the claims of a folder: verdicts, figures, numbers. Opens offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from markupsafe import Markup

from ..core.catalog import Paper, card, list_claims, papers
from ..core.domain import Count, require
from ..core.files import read_json
from ..core.folders import alone
from ..core.folders import write_page as write_marked
from ..core.run_files import Amount
from ..measure.pages import page
from ..measure.pages.overlap import overlapping
from .claim import Claim, Result, Table

WAIT = 60.0
"""Seconds for another process to be done with the page."""
MARKS = {"holds": "✓", "does not hold": "✗", "inconclusive": "?", "not judged": "-"}
"""Before verdicts."""


class _Training(TypedDict):
    """What a page says of a training; see :meth:`TrainedClaim._attempt`."""

    model: str
    seed: int
    phase: str
    updates: Count
    units: Count
    seconds: Amount
    accuracy: float | None
    chosen: NotRequired[Count]
    validation: NotRequired[list[dict[str, Any]]]
    made_by: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class _View:
    """A claim as the template wants it."""

    claim: Claim
    result: Result
    paper: Paper
    figures: list[tuple[Markup, list[list[str]]]]
    """Each with the names of lines that lie on one another in it, group by group."""
    table: Table
    download: str

    @property
    def mark(self) -> str:
        """Of its verdict, so that no colour is needed to tell it."""
        return MARKS[self.result.verdict]


def write_page(folder: Path) -> Path:
    """Write report.html for all catalogued claims whose results stand in a folder, and return its path.

    Raises:
        ValueError: there are none, one cannot be read, or somebody else's file stands where the page goes.
    """
    if not any((folder / f"{entry.name}.json").is_file() for entry in list_claims()):
        raise ValueError(f"{folder} holds no claim's result; run one with mnesis claim")
    path = folder / "report.html"
    with alone(folder, path.name, name="pages", wait=WAIT):
        views = [
            _view(entry.name, folder / f"{entry.name}.json")
            for entry in list_claims()
            if (folder / f"{entry.name}.json").is_file()
        ]
        title = views[0].claim.statement if len(views) == 1 else "Claims and their verdicts"
        text = page.render("page.html.jinja", package="mnesis.claims", views=views, title=title)
        write_marked(path, text, mend="move it away, or give another --folder")
    return path


def _view(name: str, path: Path) -> _View:
    mend = "remove it, and run the claim again"
    result: Result = read_json(path, Result, mend=mend, finite=False)
    claim: Claim = card("claims", name).load()()
    require(result.figures.get("trainings", []), list[_Training], f"{path} cannot be read: figures.trainings", mend)
    try:
        table = claim.table(result.figures)
        figures = claim.draw(result.figures)
    except Exception as error:  # figures are each claim's own, and so is what goes wrong with others
        raise ValueError(f"{path} cannot be read: its figures are not {name}'s ({error!r}); {mend}") from None
    drawn = [
        (
            page.inline(figure, f"{name}-{index}", f"{claim.statement} The numbers are in the table below."),
            overlapping(figure),
        )
        for index, figure in enumerate(figures.values())
    ]
    return _View(
        claim,
        result,
        papers()[claim.paper],
        drawn,
        table,
        page.data_address("application/json", path.read_bytes()),
    )
