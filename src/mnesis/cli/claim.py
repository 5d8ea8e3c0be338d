"""Run a paper's claim as an experiment, and judge it by the predicate that was fixed before.

    mnesis claim rmt-copy
    mnesis claim armt-rewrite --scale smoke --json

Trainings are kept in the folder: Ctrl-C saves, and the same command goes on. Exit code 0 if the claim holds (or ran at
smoke scale), 1 if it does not hold or nothing can be concluded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from ..claims.claim import Claim, Result, Stopped, accuracy, places
from ..core.catalog import card, papers


def run(
    name: tyro.conf.Positional[str],
    /,
    scale: Literal["smoke", "laptop", "full"] = "laptop",
    folder: Path | None = None,
    threads: int = 2,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Run a claim.

    Args:
        name: of the claim (mnesis list claims).
        scale: smoke (seconds, not judged), laptop (at most ten minutes on two cores) or full.
        folder: for trainings, result.json and the figure; runs/claims/NAME if not given.
        threads: of the processor; as many trainings run side by side.
        overwrite: train anew what stands in the folder.
        quiet: no progress.
        as_json: an object {claim, paper, scale, verdict, predicate, figures, seeds, seconds}.
    """
    if threads < 1:
        raise ValueError(f"threads={threads} runs nothing; give 1 or more")
    claim: Claim = card("claims", name).load()()
    folder, console = folder or Path("runs/claims") / name, Console()
    torch.set_num_threads(1)
    if not as_json:
        paper = papers()[claim.paper]
        console.print(f"[bold]{claim.statement}[/]\n{paper.authors.split(',')[0]} {paper.year}, {paper.title}\n")
    try:
        result = claim.run(scale, folder, progress=not quiet, overwrite=overwrite, workers=threads)
    except Stopped as stop:
        Console(stderr=True).print("stopped; the same command goes on from there")
        return 128 + stop.number
    if as_json:
        print(json.dumps(result.as_json(), indent=2))
    else:
        _show(result, folder / scale, console)
    return 0 if result.verdict in ("holds", "not judged") else 1


def _show(result: Result, folder: Path, console: Console) -> None:
    figures, at = result.figures, places(result.figures)
    table = Table("", "seed", *(f"{place:,}" for place in at), caption=f"right answers in %, by {figures['unit']}")
    models = dict.fromkeys(point["model"] for point in figures["points"])
    for model in models:
        for seed in result.seeds:
            own = {p["at"]: p for p in figures["points"] if (p["model"], p["seed"]) == (model, seed)}
            table.add_row(model, str(seed), *(_cell(own[place]) for place in at))
        if len(result.seeds) > 1:
            table.add_row("", "mean", *(f"[bold]{100 * accuracy(figures, model, place):.1f}[/]" for place in at))
    table.add_row("answers", "each", *(f"{_answers(figures, place):,}" for place in at), style="dim")
    console.print(table)
    console.print(f"predicate: {result.predicate}.")
    console.print(f"[bold]{result.verdict}[/] ({result.scale} scale, {result.seconds:.0f} s; {folder / 'figure.svg'})")


def _cell(point: dict[str, Any]) -> str:
    low, high = point["interval"]
    return f"{100 * point['accuracy']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _answers(figures: dict[str, Any], place: int) -> int:
    return min(point["answers"] for point in figures["points"] if point["at"] == place)
