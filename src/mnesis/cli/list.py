"""What there is: memories, tasks or claims, one line each; as cards (--json) or BibTeX of their papers (--bibtex)."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from ..core.catalog import bibtex, cards, papers


def run(
    kind: tyro.conf.Positional[Literal["memories", "tasks", "claims"]] = "memories",
    /,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    bibtex_entries: Annotated[bool, tyro.conf.arg(name="bibtex")] = False,
) -> None:
    """Print the catalog.

    Args:
        kind: memories, tasks or claims.
        as_json: the whole cards, for scripts.
        bibtex_entries: the papers behind them.
    """
    if bibtex_entries:
        print("\n\n".join(bibtex(kind)))
    elif as_json:
        print(json.dumps([dataclasses.asdict(card) for card in cards(kind)], indent=2))
    else:
        table = Table("name", "family", "what it is", "paper")
        for card in cards(kind):
            sources = ", ".join(f"{papers()[key].authors.split(',')[0]} {papers()[key].year}" for key in card.papers)
            table.add_row(card.name, card.family, card.summary, sources)
        Console().print(table)
