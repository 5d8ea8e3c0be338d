"""One page for a run, or for several in the same charts and one table. Opens offline.

    mnesis report runs/copy-gru
    mnesis report runs/copy-gru runs/copy-delta-rule
    mnesis report runs/armt runs/gru --output comparison.html

Of several runs the curves of training stand in one chart, and accuracy by length in another. A run that is not
evaluated, or half written, is shown as far as it goes, with a sentence that says what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .arguments import Named


def run(
    folders: Annotated[tuple[Path, ...], Named("RUN")],
    /,
    output: Path | None = None,
    labels: tuple[str, ...] = (),
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the page and print its path.

    Args:
        folders: folders of runs.
        output: file for the page; if not given, report.html in the folder of a single run, and of several a page beside
            the first, under their names.
        labels: names of the runs on the page, one a run; those of their folders if not given.
        title: heading of the page.
        overwrite: replace an existing page at --output.
    """
    if output is not None and output.exists() and not overwrite:
        raise ValueError(f"{output} exists; give another --output or --overwrite")
    if labels and len(labels) != len(folders):
        raise ValueError(f"--labels {' '.join(labels)} are {len(labels)} for {len(folders)} runs; give one a run")
    from ..measure import write_report

    print(write_report(list(folders), output, labels=list(labels) or None, title=title, overwrite=overwrite))
