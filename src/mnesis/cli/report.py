"""One page for a run, or several runs side by side: curves, tables, costs. Opens offline.

    mnesis report runs/qa1
    mnesis report runs/armt runs/gru --output comparison.html

A run that is not evaluated, or half written, is shown as far as it goes, with a sentence that says what is missing.
"""

from __future__ import annotations

from pathlib import Path

import tyro

from ..measure import write_report


def run(
    folders: tyro.conf.Positional[tuple[Path, ...]],
    /,
    output: Path | None = None,
    labels: tuple[str, ...] = (),
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the page and print its path.

    Args:
        folders: of the runs.
        output: the page; report.html in the folder of a single run if not given.
        labels: names of the runs on the page.
        title: of the page.
        overwrite: replace an existing page at ``output``.
    """
    if output is not None and output.exists() and not overwrite:
        raise ValueError(f"{output} exists; give another --output or --overwrite")
    print(write_report(list(folders), output, labels=list(labels) or None, title=title))
