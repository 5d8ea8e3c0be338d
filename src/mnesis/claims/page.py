"""One page for the claims of a folder: verdicts, figures, numbers. Opens offline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.text import Text

from ..core.catalog import Paper, card, list_claims, papers
from ..core.files import atomic_path
from ..measure import page
from .claim import Claim, Table


@dataclass(frozen=True)
class _View:
    """A claim as the template wants it."""

    claim: Claim
    result: dict[str, Any]
    paper: Paper
    figures: list[Markup]
    table: Table
    download: str


def write_page(folder: Path) -> Path:
    """Write report.html for all catalogued claims whose results stand in a folder, and return its path.

    Raises:
        ValueError: there are none.
    """
    views = [
        _view(entry.name, folder / f"{entry.name}.json")
        for entry in list_claims()
        if (folder / f"{entry.name}.json").is_file()
    ]
    if not views:
        raise ValueError(f"{folder} holds no claim's result; run one with mnesis claim")
    text = page.render("page.html.jinja", package="mnesis.claims", views=views, title=f"Claims: {views[0].claim.study}")
    with atomic_path(folder / "report.html") as path:
        path.write_text(text, encoding="utf-8")
    return folder / "report.html"


def _view(name: str, path: Path) -> _View:
    content = path.read_bytes()
    result = json.loads(content)
    claim: Claim = card("claims", name).load()()
    table = claim.table(result["figures"])
    plain = [tuple(Text.from_markup(cell).plain for cell in row) for row in table.rows]
    drawn = [
        page.inline(figure, f"{name}-{index}", f"{claim.statement} The numbers are in the table below.")
        for index, figure in enumerate(claim.draw(result["figures"]).values())
    ]
    return _View(
        claim,
        result,
        papers()[claim.paper],
        drawn,
        table._replace(rows=plain),
        page.data_address("application/json", content),
    )
