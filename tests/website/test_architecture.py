"""docs/architecture.md has a line for every file."""

from __future__ import annotations

import pytest

from website.architecture import PAGE, with_files


def test_the_architecture_lists_every_file_by_its_first_line() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_files(text) == text, "run `make architecture`, or python -m website.architecture"
    lines = text.splitlines()
    assert all(len(line.partition(": ")[2]) > 10 for line in lines if line.startswith(("- `", "**"))), "a first line"
    with pytest.raises(ValueError, match="has no list of files; write"):
        with_files("# Architecture")
