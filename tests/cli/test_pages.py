"""The pages in docs/memories and docs/tasks are those that the catalog makes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from mnesis.cli.pages import ARCHITECTURE, memory_pages, task_pages, with_files
from mnesis.core.catalog import list_memories

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return memory_pages()


@pytest.mark.parametrize("kind", ["memories", "tasks"])
def test_pages_are_generated(kind, pages) -> None:
    made = pages if kind == "memories" else task_pages()
    assert {path.name for path in (DOCS / kind).glob("*.md")} == set(made)
    stale = [name for name, text in made.items() if (DOCS / kind / name).read_text(encoding="utf-8") != text]
    assert not stale, "run `mnesis pages docs --overwrite`"


def test_the_architecture_lists_every_file_by_its_first_line() -> None:
    text = (DOCS / ARCHITECTURE).read_text(encoding="utf-8")
    assert with_files(text) == text, "run `mnesis pages docs --overwrite`"
    lines = text.splitlines()
    assert all(len(line.partition(": ")[2]) > 10 for line in lines if line.startswith(("- `", "**"))), "a first line"
    with pytest.raises(ValueError, match="has no list of files; write"):
        with_files("# Architecture")


def test_every_option_is_described(pages) -> None:
    for card in list_memories():
        rows = [line.split("|")[1] for line in pages[f"{card.name}.md"].splitlines() if line.startswith("| `")]
        described = [name.strip(" `") for row in rows for name in row.split(",")]
        assert described == list(inspect.signature(card.load()).parameters)
