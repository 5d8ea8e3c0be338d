"""All pages of the site in one folder: those of docs/, and one for every card of the catalog."""

from __future__ import annotations

import shutil
from base64 import b64encode
from pathlib import Path

from .catalog import claim_pages, memory_pages, task_pages

DOCS = Path(__file__).resolve().parents[1] / "docs"
UNSHOWN = shutil.ignore_patterns("cell.json", "leaderboard.md")
"""Figures that pages were made of, and the table whose page is leaderboard.html."""
FONT = DOCS / "assets" / "noto-sans-math" / "noto-sans-math.woff2"
"""Noto Sans Math as npm has it (@fontsource/noto-sans-math 5.3.0), cut down by fontTools to letters, Greek, arrows and
operators; any other sign comes from the reader's own fonts."""


def lay_out(folder: Path) -> None:
    """Put them there, in place of whatever an earlier call has put."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=UNSHOWN)
    for kind, pages in (("memories", memory_pages()), ("tasks", task_pages()), ("claims", claim_pages())):
        (folder / kind).mkdir()
        for name, text in pages.items():
            (folder / kind / name).write_text(text, encoding="utf-8")
    (folder / "assets" / "formulas.css").write_text(_font(), encoding="utf-8")


def _font() -> str:
    """The font of formulas inside a style sheet: Firefox takes none out of another file for a page that is a file."""
    data = b64encode(FONT.read_bytes()).decode()
    source = f'url("data:font/woff2;base64,{data}") format("woff2")'
    return f'@font-face {{ font-family: "Noto Sans Math"; src: {source}; }}\n'
