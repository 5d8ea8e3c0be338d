"""What there is: memories, tasks or claims, one line each; as cards (--json) or BibTeX of their papers (--bibtex).

    mnesis list memories
    mnesis list memories delta
    mnesis list tasks --family retrieval

``mnesis show NAME`` tells all about one of them.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

from ..core.catalog import Card, bibtex, cards, kind_of, kinds, papers
from ..core.domain import nearest, shown_text
from .arguments import Named
from .output import print_table


def run(
    kind: Annotated[str, Named("KIND")] = "memories",
    words: Annotated[tuple[str, ...], Named("WORD")] = (),
    /,
    family: str = "",
    as_json: Annotated[bool, Named("json")] = False,
    bibtex_entries: Annotated[bool, Named("bibtex")] = False,
    markdown: bool = False,
) -> None:
    """Print the catalog.

    Args:
        kind: memories, tasks or claims.
        words: that all occur in the name or the summary of what is listed.
        family: of memories or tasks, such as recurrent or retrieval; all of them if not given.
        as_json: print whole cards, for scripts.
        bibtex_entries: print the papers behind them.
        markdown: print the table as Markdown.
    """
    if kind not in kinds():
        raise ValueError(_no_kind(kind))
    chosen = _chosen(kind, words, family)
    if bibtex_entries:
        print("\n\n".join(bibtex(chosen)))
    elif markdown:
        print(markdown_table(kind, chosen))
    elif as_json:
        print(json.dumps([dataclasses.asdict(card) for card in chosen], indent=2))
    else:
        rows = [(card.name, card.family, card.summary, _sources(card)) for card in chosen]
        print_table(("name", "family", "what it is", "paper"), rows)


def markdown_table(kind: str, chosen: list[Card] | None = None) -> str:
    """The catalog as the README shows it."""
    rows = [
        f"| `{card.name}` | {card.family} | {card.summary} | {_sources(card, links=True)} |"
        for card in (cards(kind) if chosen is None else chosen)
    ]
    return "\n".join(["| name | family | what it is | paper |", "|---|---|---|---|", *rows])


def _chosen(kind: str, words: tuple[str, ...], family: str) -> list[Card]:
    """Cards of a family whose name or summary holds all words."""
    families = list(dict.fromkeys(card.family for card in cards(kind)))
    if family and family not in families:
        near = nearest(family, families)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(families)}"
        raise ValueError(f"no family of {kind} is called {family!r}; {hint}")
    found = [
        card
        for card in cards(kind)
        if family in ("", card.family) and all(word.lower() in f"{card.name} {card.summary}".lower() for word in words)
    ]
    if not found:
        asked = " and ".join(map(repr, words)) + (f" in the family {family}" if family else "")
        near = nearest(words[0], [card.name for card in cards(kind)])
        raise ValueError(
            f"none of the {kind} has {asked} in its name or summary; "
            + (f"did you mean {near!r}?" if near else f"mnesis list {kind} shows all")
        )
    return found


def _no_kind(kind: str) -> str:
    if found := kind_of(kind):
        return (
            f"{kind} is a {found}, and what is listed are {', '.join(kinds())}; mnesis show {kind} tells all about it"
        )
    near = nearest(kind, kinds())
    return f"{shown_text(kind)} is nothing to list; " + (
        f"did you mean {near}?" if near else f"give {' or '.join(kinds())}"
    )


def _sources(card: Card, *, links: bool = False) -> str:
    names = []
    for paper in (papers()[key] for key in card.papers):
        name = f"{paper.authors.split(',')[0]} {paper.year}"
        names.append(f"[{name}](https://arxiv.org/abs/{paper.arxiv})" if links and paper.arxiv else name)
    return ", ".join(names)
