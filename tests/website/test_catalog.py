"""Every memory, task and claim has a page, which says what its card and its docstring say."""

from __future__ import annotations

import inspect
import re

import pytest

from mnesis.core.catalog import cards, list_claims, list_memories, papers
from website.catalog import NAVIGATION, claim_pages, memory_pages, task_pages

KINDS = {"memories": memory_pages, "tasks": task_pages, "claims": claim_pages}


@pytest.fixture(scope="module")
def pages() -> dict[str, dict[str, str]]:
    return {kind: make() for kind, make in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_card_has_a_page_in_the_navigation(kind, pages) -> None:
    made = pages[kind]
    names = [card.name for card in cards(kind)]
    assert set(made) == {"index.md", NAVIGATION, *(f"{name}.md" for name in names)}
    for page in ("index.md", NAVIGATION):
        linked = re.findall(r"\]\(([a-z0-9-]+)\.md\)", made[page])
        assert sorted(set(linked) - {"index"}) == sorted(names), page
    for card in cards(kind):
        text = made[f"{card.name}.md"]
        assert text.startswith(f"# {card.name}\n")
        assert card.summary[1:] in text
        assert all(papers()[key].title in text for key in card.papers)
        assert f"## {card.family[0].upper()}{card.family[1:]}\n" in made["index.md"]


def test_every_option_is_described(pages) -> None:
    for card in list_memories():
        rows = [line.split("|")[1] for line in pages["memories"][f"{card.name}.md"].splitlines() if line[:3] == "| `"]
        described = [name.strip(" `") for row in rows for name in row.split(",")]
        assert described == list(inspect.signature(card.load().__init__).parameters)[1:]


def test_every_memory_shows_its_equations_and_cost(pages) -> None:
    for card in list_memories():
        text = pages["memories"][f"{card.name}.md"]
        assert card.equations, f"{card.name} has no equations on its card"
        assert all(line in text for line in card.equations)
        assert all("&" in line for line in card.equations), "they are aligned at &"
        assert re.search(r"as published: [\d,]+", text)
        assert "Parameters at width 256: " in text


def test_a_claim_tells_its_predicate_and_its_verdict(pages) -> None:
    for card in list_claims():
        text = pages["claims"][f"{card.name}.md"]
        assert card.load().predicate in text
        assert re.search(r"^\*\*(Not run yet|Holds|Does not hold|Inconclusive)\*\*", text, re.MULTILINE)


def test_docstrings_name_other_memories_by_their_pages(pages) -> None:
    assert "[`RGLRU`](rg-lru.md)" in pages["memories"]["griffin.md"]
    left = [name for made in pages.values() for name, text in made.items() if re.search(r":(class|func|meth):", text)]
    assert left == []


def test_authors_are_listed_as_people_are_called(pages) -> None:
    assert (
        "- Songlin Yang, Jan Kautz and Ali Hatamizadeh (2024). *Gated Delta Networks"
        in (pages["memories"]["gated-delta-rule.md"])
    )
    assert "- Jeffrey L. Elman (1990). *Finding Structure in Time*. Cognitive Science" in pages["memories"]["elman.md"]
