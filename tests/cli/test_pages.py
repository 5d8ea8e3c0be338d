"""The pages in docs/memories are those that the catalog makes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from mnesis.cli.pages import memory_pages
from mnesis.core.catalog import list_memories

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "memories"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return memory_pages()


def test_pages_are_generated(pages) -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == set(pages)
    stale = [name for name, text in pages.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert not stale, "run `mnesis pages docs/memories --overwrite`"


def test_every_option_is_described(pages) -> None:
    for card in list_memories():
        rows = [line.split("|")[1] for line in pages[f"{card.name}.md"].splitlines() if line.startswith("| `")]
        described = [name.strip(" `") for row in rows for name in row.split(",")]
        assert described == list(inspect.signature(card.load()).parameters)
