"""Run a paper's claim as an experiment, and judge it by the predicate that was fixed before.

    mnesis claim rmt-copy
    mnesis claim armt-rewrite --scale smoke --json

Trainings are kept in the folder: Ctrl-C saves, and the same command goes on. Exit code 0 if the claim holds (or ran at
smoke scale), 1 if it does not hold or nothing can be concluded.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ..core.catalog import card, papers
from ..core.machine import free_cores, prepare
from .arguments import Named
from .options import Threads, refuse_present
from .output import bold, print_table, write_csv

if TYPE_CHECKING:
    from ..claims.claim import Claim, Result

KEPT = "what is trained is kept, and the same command goes on from there"


def run(
    name: Annotated[str, Named("CLAIM")],
    /,
    scale: Literal["smoke", "laptop", "full"] = "laptop",
    folder: Path | None = None,
    data: Path | None = None,
    threads: Threads | None = None,
    record: Path | None = None,
    csv: Path | None = None,
    trackers: tuple[str, ...] = (),
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Run a claim.

    Args:
        name: a claim of the catalog (mnesis list claims).
        scale: how much is trained: smoke (seconds, not judged), laptop (minutes on two cores) or full.
        folder: where trainings, NAME.json, figures and report.html go; runs/claims/NAME if not given. Claims about the
            same trained networks share one.
        data: folder of real data sets, for claims that can be made about them (mnesis fetch gets some); what is made up
            on the spot if not given.
        threads: threads of the processor, and trainings side by side; as many as cores are free if not given.
        record: JSON file that keeps the verdict beside those of other claims; a page of all is written beside it.
        csv: file for the points that were measured as a table, one line a model, seed and place.
        trackers: where the curves of its trainings go besides: tensorboard, wandb, trackio or another that accelerate
            knows.
        overwrite: train anew what stands in the folder.
        quiet: show no progress.
        as_json: print an object {claim, paper, scale, verdict, predicate, figures, seeds, seconds}.
    """
    known = card("claims", name)
    refuse_present("--csv", csv, "remove it")
    if trackers:
        from ..learn.trackers import require_trackers

        require_trackers(trackers)

    from ..claims.claim import Stopped
    from ..claims.page import write_page
    from ..claims.verdicts import keep, require_verdicts

    if record is not None:
        require_verdicts(record)
        if scale == "smoke":
            raise ValueError("--record keeps verdicts, and --scale smoke is not judged; give --scale laptop or full")
    claim: Claim = known.load()(data)
    if record is not None and claim.reads_data and data is None:
        raise ValueError(
            f"{name} is about real data, and what stands in for them without --data is none to keep a verdict on; give "
            "--data FOLDER, or leave --record out"
        )
    folder = folder or Path("runs/claims") / claim.study
    prepare(1)
    if not as_json:
        paper = papers()[claim.paper]
        print(f"{bold(claim.statement)}\n{paper.authors.split(',')[0]} {paper.year}, {paper.title}\n")
    try:
        workers = threads or free_cores()
        result = claim.run(scale, folder, progress=not quiet, overwrite=overwrite, workers=workers, trackers=trackers)
    except Stopped as stop:
        print(f"stopped; {KEPT}", file=sys.stderr)
        return 128 + stop.number
    page = write_page(folder / scale)
    if record is not None:
        keep(result, record)
    if csv is not None:
        write_csv(csv, result.figures["points"])
    if as_json:
        print(json.dumps(result.as_json(), indent=2))
    else:
        _show(claim, result, page)
    return 0 if result.verdict in ("holds", "not judged") else 1


def _show(claim: Claim, result: Result, page: Path) -> None:
    found = claim.table(result.figures)
    print_table(found.header, found.rows, caption=found.caption)
    print(f"predicate: {result.predicate}.")
    print(f"{bold(result.verdict)} ({result.scale} scale, {result.seconds:.0f} s)")
    print(f"report: {page}")
