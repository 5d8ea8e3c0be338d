"""Verdicts kept from run to run: a JSON file with one a claim, and a page of all claims beside it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.catalog import list_claims, papers
from ..core.files import atomic_path, read_json, write_json
from ..core.folders import alone
from ..core.made_by import TRAINING
from ..core.run_files import Amount
from .claim import Result, Scale, Verdict

MEND = "move it away, or give another --record"
NOT_RUN = "not run"
TITLE = "# Claims and their verdicts"
"""By which the page is known."""


@dataclass(frozen=True)
class Kept:
    """One claim's verdict, and what it comes from."""

    verdict: Verdict
    scale: Scale
    seeds: tuple[int, ...]
    date: str
    """Of the day, UTC, as in 2026-11-30."""
    version: str
    """Of mnesis, and the commit of its checkout where it runs from one; "+" = with changes that are not committed."""
    training: int
    """Revision of the training loop."""
    seconds: Amount
    """Of the call that came to the verdict, the trainings that it read back left out."""


def keep(result: Result, file: Path) -> Path:
    """Add a verdict to those of a file, in place of the claim's earlier one, and write the page beside it.

    Args:
        result: of a run that was judged.
        file: name of a JSON file; it need not exist. The page has its name with ``.md``.

    Returns:
        The page.

    Raises:
        ValueError: a result that was not judged, or a file of another kind.
    """
    require_verdicts(file)
    if result.verdict == "not judged":
        raise ValueError(f"{result.claim} at smoke scale is not judged; record it at laptop or full scale")
    file.parent.mkdir(parents=True, exist_ok=True)
    page = file.with_suffix(".md")
    with alone(file.parent, file.name, page.name, name="verdicts", wait=60.0):
        known = read(file)
        known[result.claim] = Kept(
            result.verdict, result.scale, result.seeds, datetime.now(UTC).date().isoformat(), version(), TRAINING,
            result.seconds,
        )  # fmt: skip
        write_json(file, {name: asdict(each) for name, each in sorted(known.items())})
        with atomic_path(page) as path:
            path.write_text(markdown(known), encoding="utf-8")
    return page


def require_verdicts(file: Path) -> None:
    """Refuse a file that does not hold verdicts, before anything is run for it.

    Raises:
        ValueError: it does not, or no name of a JSON file is given.
    """
    if file.suffix != ".json":
        raise ValueError(f"--record {file} does not end in .json; give a name such as claims.json")
    page = file.with_suffix(".md")
    if page.exists() and not (page.is_file() and page.read_bytes().startswith(TITLE.encode())):
        raise ValueError(f"{page}, where the page of all claims goes, is something else; {MEND}")
    known = next(folder for folder in file.absolute().parents if folder.exists())
    if not (known.is_dir() and os.access(known, os.W_OK)):
        raise ValueError(f"--record {file}: {known} is no folder that can be written to; give another")
    read(file)


def read(file: Path) -> dict[str, Kept]:
    """The verdicts of a file, by claim; none where there is no such file.

    Raises:
        ValueError: a file of another kind.
    """
    return read_json(file, dict[str, Kept], mend=MEND) if file.exists() else {}


def markdown(known: dict[str, Kept]) -> str:
    """A line for every claim of the catalog, with what is known of it."""
    rows = []
    for card in list_claims():
        paper, kept = papers()[card.papers[0]], known.get(card.name)
        facts: tuple[Any, ...] = ("", "", "", "")
        if kept is not None:
            facts = kept.scale, ", ".join(map(str, kept.seeds)), kept.date, f"`{kept.version}`"
        verdict = NOT_RUN if kept is None else f"**{kept.verdict}**"
        source = f"{paper.authors.split(',')[0]} {paper.year}"
        rows.append(f"| `{card.name}` | {card.summary} | {source} | {verdict} | {' | '.join(facts)} |")
    head = "| claim | what it says | paper | verdict | scale | seeds | date | version |\n" + "|---" * 8 + "|\n"
    about = (
        "Made by `mnesis claim NAME --record docs/results/claims.json`. `mnesis show NAME` tells the predicate, which "
        "was fixed before the first judged run."
    )
    return f"{TITLE}\n\n{about}\n\n{head}" + "\n".join(rows) + "\n"


def version() -> str:
    """Of mnesis, with the commit where it runs from a checkout."""
    folder = Path(__file__).parent
    found = [_git(folder, "rev-parse", "--short", "HEAD"), _git(folder, "status", "--porcelain", "--", ".")]
    commit = "" if not found[0] else f" {found[0]}{'+' if found[1] else ''}"
    return f"{__version__}{commit}"


def _git(folder: Path, *words: str) -> str:
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
