"""Training a reader in phases, each a resumable run of its own below the reader's folder."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.tracking import GeneralTracker

from ..core.catalog import card
from ..core.files import atomic_path, read_json, shown_differences, write_json
from ..core.folders import alone
from ..core.machine import fast_products, prepare
from ..core.made_by import told
from ..core.run_files import CONFIG, METRICS, WEIGHTS, read_metrics
from ..learn import Training, fit
from ..learn.folder import discard as discard_run
from ..learn.folder import is_run
from ..nets import LanguageModel, save, specification
from ..tasks.language.tokenizer import FILE as TOKENIZER
from ..tasks.language.tokenizer import Tokenizer, load_tokenizer
from ..tasks.stories.babilong.babilong import BABILong
from ..tasks.stories.babilong.lives import BABILongLives
from ..tasks.stories.babilong.source import BABILongSource
from .recipes import Phase
from .runs import SOURCE, THREADS, kept_threads, read_source

FILES = (SOURCE, THREADS, TOKENIZER, CONFIG, METRICS, WEIGHTS)


@dataclass(frozen=True)
class ReaderDesign:
    """The network of a reader, without its vocabulary."""

    memory: str = "armt"
    dim: int = 128
    depth: int = 2
    hidden: int | None = 256
    convolution: int | None = 6
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, vocabulary: int, segment: int, extra: Mapping[str, Any]) -> LanguageModel:
        """The network for a phase; ``options`` overrides the phase's segment."""
        accepted = inspect.signature(card("memories", self.memory).load().__init__).parameters
        given = {"segment": segment} if "segment" in accepted else {}
        network = LanguageModel(
            vocabulary,
            dim=self.dim,
            memory=self.memory,
            depth=self.depth,
            hidden=self.hidden,
            convolution=self.convolution,
            options={**given, **self.options, **extra},
        )
        return cast(LanguageModel, network)


DESIGNS: dict[str, Mapping[str, Any]] = {
    "armt": {"memory_tokens": 8, "memory_dim": 32, "gate_bias": -2.0, "output_norm": True},
    "rmt": {"memory_tokens": 8, "output_norm": True},
    "window": {"window": 512},
}
"""Options that readers are built with unless told otherwise."""


def train_reader(
    folder: Path,
    source: BABILongSource,
    design: ReaderDesign,
    phases: Sequence[Phase],
    *,
    seed: int = 0,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    trackers: Sequence[str | GeneralTracker] = (),
) -> tuple[LanguageModel, Training]:
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
        tokenizer = kept or source.tokenizer()
        task = source.open(tokenizer, split="train", show_answers=0.1)
        for phase in phases:  # what cannot be is refused before anything is written
            _lives(task, design.build(tokenizer.vocabulary, phase.segment, phase.options), phase)
        if overwrite:
            discard(folder)
        if kept is None:
            write_json(folder / SOURCE, source.as_json(), indent=None)
            tokenizer.save(folder)
        count = prepare(threads or kept_threads(folder))
        write_json(folder / THREADS, count, indent=None)
        config = {"source": source.as_json()}
        try:
            with fast_products(design.dim):
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
    design: ReaderDesign,
    phases: Sequence[Phase],
    config: Mapping[str, Any],
    seed: int,
    progress: bool,
    trackers: Sequence[str | GeneralTracker],
) -> tuple[LanguageModel, Training]:
    torch.manual_seed(seed)
    network = result = None
    for index, phase in enumerate(phases):
        weights = None if network is None else network.state_dict()
        network = design.build(tokenizer.vocabulary, phase.segment, phase.options)
        if weights is not None:
            network.load_state_dict(weights)
        result = fit(
            network,
            _lives(task, network, phase),
            phase.recipe,
            folder / f"phase-{index + 1}",
            config={**config, "model": specification(network), "phase": phase.as_json()},
            progress=progress,
            trackers=trackers,
        )
        if not result.finished:
            break
    assert network is not None, "there is a phase"
    assert result is not None, "there is a phase"
    return network, result


def _lives(task: BABILong, network: LanguageModel, phase: Phase) -> BABILongLives:
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


def _assemble(folder: Path, network: LanguageModel, config: Mapping[str, Any], phases: Sequence[Phase]) -> None:
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
