"""Run a paper's claim as an experiment, and judge it by the predicate that was fixed before.

    mnesis claim rmt-copy
    mnesis claim armt-rewrite --scale smoke --json

Trainings are kept in the folder: Ctrl-C saves, and the same command goes on. Exit code 0 if the claim holds (or ran at
smoke scale), 1 if it does not hold or nothing can be concluded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from ..claims.claim import Claim, Result, Stopped
from ..claims.page import write_page
from ..core.catalog import card, papers


def run(
    name: tyro.conf.Positional[str],
    /,
    scale: Literal["smoke", "laptop", "full"] = "laptop",
    folder: Path | None = None,
    data: Path | None = None,
    threads: int = 2,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Run a claim.

    Args:
        name: of the claim (mnesis list claims).
        scale: smoke (seconds, not judged), laptop (minutes on two cores) or full.
        folder: for trainings, NAME.json, figures and report.html; runs/claims/NAME if not given. Claims about the same
            trained networks share one.
        data: folder of real data sets, for claims that can be made about them (mnesis fetch gets some); what is made up
            on the spot if not given.
        threads: of the processor; as many trainings run side by side.
        overwrite: train anew what stands in the folder.
        quiet: no progress.
        as_json: an object {claim, paper, scale, verdict, predicate, figures, seeds, seconds}.
    """
    if threads < 1:
        raise ValueError(f"threads={threads} runs nothing; give 1 or more")
    claim: Claim = card("claims", name).load()(data)
    folder, console = folder or Path("runs/claims") / claim.study, Console()
    torch.set_num_threads(1)
    if not as_json:
        paper = papers()[claim.paper]
        console.print(f"[bold]{claim.statement}[/]\n{paper.authors.split(',')[0]} {paper.year}, {paper.title}\n")
    try:
        result = claim.run(scale, folder, progress=not quiet, overwrite=overwrite, workers=threads)
    except Stopped as stop:
        Console(stderr=True).print("stopped; the same command goes on from there")
        return 128 + stop.number
    page = write_page(folder / scale)
    if as_json:
        print(json.dumps(result.as_json(), indent=2))
    else:
        _show(claim, result, page, console)
    return 0 if result.verdict in ("holds", "not judged") else 1


def _show(claim: Claim, result: Result, page: Path, console: Console) -> None:
    found = claim.table(result.figures)
    table = Table(*found.header, caption=found.caption)
    for row in found.rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"predicate: {result.predicate}.")
    console.print(f"[bold]{result.verdict}[/] ({result.scale} scale, {result.seconds:.0f} s)")
    console.print(f"report: {page}")
