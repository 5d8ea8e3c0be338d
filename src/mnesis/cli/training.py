"""Training a reader in phases, each a resumable run of its own below the reader's folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.tracking import GeneralTracker

from ..core.files import atomic_path, read_json, shown_differences, write_json
from ..core.folders import alone
from ..core.machine import fast_products, prepare, width
from ..core.made_by import told
from ..core.run_files import CONFIG, METRICS, WEIGHTS, read_metrics
from ..learn import Training, fit
from ..learn.folder import discard as discard_run
from ..learn.folder import is_run
from ..nets import save, specification
from ..nets.generating import Generating
from ..tasks.language.tokenizer import FILE as TOKENIZER
from ..tasks.language.tokenizer import Tokenizer, load_tokenizer
from ..tasks.stories.babilong.babilong import BABILong
from ..tasks.stories.babilong.lives import BABILongLives
from ..tasks.stories.babilong.source import BABILongSource
from .designs import HostedDesign, ReaderDesign
from .recipes import Phase
from .runs import SOURCE, THREADS, kept_threads, read_source

FILES = (SOURCE, THREADS, TOKENIZER, CONFIG, METRICS, WEIGHTS)


def train_reader(
    folder: Path,
    source: BABILongSource,
    design: ReaderDesign | HostedDesign,
    phases: Sequence[Phase],
    *,
    seed: int = 0,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    trackers: Sequence[str | GeneralTracker] = (),
) -> tuple[Generating, Training]:
    """Train a reader, or go on where its training stopped, with as many threads as it began with unless told otherwise.

    The folder ends as a run: config.json, tokenizer.json, model.safetensors, metrics.jsonl over all phases, and the
    phases' own folders below it.

    Returns:
        The network of the last phase that ran, and how that phase ended (``finished`` is False after a signal).

    Raises:
        ValueError: the folder holds a run of another configuration or on other data, files of no run, or another
            process is writing there; a source that cannot be read. Nothing is left of what is refused.
    """
    if not phases:
        raise ValueError("a recipe without phases trains nothing; give at least one")
    # Of the processes of a launcher the first one writes.
    with alone(folder, *FILES) if os.environ.get("RANK", "0") == "0" else nullcontext():
        kept = kept_tokenizer(folder, source, overwrite)
        tokenizer = kept or design.tokenizer() or source.tokenizer()
        task = source.open(tokenizer, split="train", show_answers=0.1)
        dim = 0
        for phase in phases:  # what cannot be is refused before anything is written
            network = design.build(tokenizer.vocabulary, phase.segment, phase.options)
            _lives(task, network, phase)
            dim = width(network)
        if overwrite:
            discard(folder)
        if kept is None:
            write_json(folder / SOURCE, source.as_json(), indent=None)
            tokenizer.save(folder)
        count = prepare(threads or kept_threads(folder))
        write_json(folder / THREADS, count, indent=None)
        config = {"source": source.as_json()}
        try:
            with fast_products(dim):
                network, result = _train(folder, task, tokenizer, design, phases, config, seed, progress, trackers)
        except ValueError:
            if kept is None and not any(folder.glob("phase-*")):
                discard(folder)
            raise
        if result.finished:
            _assemble(folder, network, config, phases)
        return network, result


def _train(
    folder: Path,
    task: BABILong,
    tokenizer: Tokenizer,
    design: ReaderDesign | HostedDesign,
    phases: Sequence[Phase],
    config: Mapping[str, Any],
    seed: int,
    progress: bool,
    trackers: Sequence[str | GeneralTracker],
) -> tuple[Generating, Training]:
    torch.manual_seed(seed)
    network = result = None
    for index, phase in enumerate(phases):
        weights = None if network is None else network.state_dict()
        network = design.build(tokenizer.vocabulary, phase.segment, phase.options)
        if weights is not None:
            network.load_state_dict(weights)
        place = folder / f"phase-{index + 1}"
        if progress and os.environ.get("RANK", "0") == "0" and not (place / WEIGHTS).exists():
            print(f"phase {index + 1} of {len(phases)}: {_told(phase)}", file=sys.stderr)
        result = fit(
            network,
            _lives(task, network, phase),
            phase.recipe,
            place,
            config={**config, "model": specification(network), "phase": phase.as_json()},
            progress=progress,
            trackers=trackers,
        )
        if not result.finished:
            break
    assert network is not None, "there is a phase"
    assert result is not None, "there is a phase"
    return network, result


def _told(phase: Phase) -> str:
    longest = max(stage.length if isinstance(stage.length, int) else stage.length[1] for stage in phase.recipe.stages)
    return f"up to {phase.recipe.steps:,} updates, on texts of up to {longest:,} tokens"


def _lives(task: BABILong, network: Generating, phase: Phase) -> BABILongLives:
    return BABILongLives(task, window=phase.window, period=network.period or phase.segment, **phase.lives)


def kept_tokenizer(folder: Path, source: BABILongSource, overwrite: bool) -> Tokenizer | None:
    """The tokenizer of the run that stands in a folder; None = it is begun anew.

    Raises:
        ValueError: the folder holds a run on other data, or files that are of no run.
    """
    place = folder / SOURCE
    found = [name for name in FILES if (folder / name).exists()]
    phases = [path for path in folder.glob("phase-*") if is_run(path)]
    if not place.exists():
        if found and not phases:
            raise ValueError(
                f"{folder} holds {found[0]} and no {SOURCE} that says that a training wrote it; choose another folder, "
                "or move it away"
            )
        return None
    if overwrite and phases:
        return None
    mend = "choose another folder, or remove the run"
    earlier = read_source(read_json(place, dict[str, Any], mend=mend), str(place), mend=mend)
    if overwrite:
        return None
    if shown := shown_differences(earlier.as_json(), source.as_json()):
        raise ValueError(f"{folder} holds a run on other data ({shown}); choose another folder, or --overwrite it")
    return load_tokenizer(folder) if (folder / TOKENIZER).exists() else None


def discard(folder: Path) -> None:
    """Remove the run of a reader, source.json last, and nothing else that stands in its folder."""
    for path in folder.glob("phase-*"):
        discard_run(path)
    for name in reversed(FILES):
        (folder / name).unlink(missing_ok=True)


def _assemble(folder: Path, network: Generating, config: Mapping[str, Any], phases: Sequence[Phase]) -> None:
    """The run as a whole: final weights, configuration, and one curve over all phases."""
    lines, before = [], {"update": 0, "units": 0, "seconds": 0.0}
    for index, _ in enumerate(phases):
        own = read_metrics(folder / f"phase-{index + 1}", mend="restore the file, or --overwrite the run")
        lines += [{**line, "stage": index, **{key: line[key] + before[key] for key in before}} for line in own]
        before = {key: lines[-1][key] for key in before} if lines else before
    with atomic_path(folder / METRICS) as path:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    save(network, folder, overwrite=True)
    described = {**config, "model": specification(network), "phases": [phase.as_json() for phase in phases]}
    write_json(folder / CONFIG, {"config": described, **told(network)})
