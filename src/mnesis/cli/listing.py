"""What there is: memories, tasks or claims, one line each; as cards (--json) or BibTeX of their papers (--bibtex)."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from ..core.catalog import Card, bibtex, cards, papers


def run(
    kind: tyro.conf.Positional[Literal["memories", "tasks", "claims"]] = "memories",
    /,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    bibtex_entries: Annotated[bool, tyro.conf.arg(name="bibtex")] = False,
    markdown: bool = False,
) -> None:
    """Print the catalog.

    Args:
        kind: memories, tasks or claims.
        as_json: the whole cards, for scripts.
        bibtex_entries: the papers behind them.
        markdown: the table that stands in the README.
    """
    if bibtex_entries:
        print("\n\n".join(bibtex(kind)))
    elif markdown:
        print(markdown_table(kind))
    elif as_json:
        print(json.dumps([dataclasses.asdict(card) for card in cards(kind)], indent=2))
    else:
        table = Table("name", "family", "what it is", "paper")
        for card in cards(kind):
            table.add_row(card.name, card.family, card.summary, _sources(card))
        Console().print(table)


def markdown_table(kind: str) -> str:
    """The catalog as the README shows it."""
    rows = [
        f"| `{card.name}` | {card.family} | {card.summary} | {_sources(card, links=True)} |" for card in cards(kind)
    ]
    return "\n".join(["| name | family | what it is | paper |", "|---|---|---|---|", *rows])


def _sources(card: Card, *, links: bool = False) -> str:
    names = []
    for paper in (papers()[key] for key in card.papers):
        name = f"{paper.authors.split(',')[0]} {paper.year}"
        names.append(f"[{name}](https://arxiv.org/abs/{paper.arxiv})" if links and paper.arxiv else name)
    return ", ".join(names)
