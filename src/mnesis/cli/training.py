"""Training a reader in phases, each a resumable run of its own below the reader's folder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from ..core.catalog import card
from ..core.files import atomic_path
from ..learn import Training, fit
from ..nets import LanguageModel, save, specification
from ..tasks.babilong_lives import BABILongLives
from ..tasks.babilong_source import BABILongSource
from ..tasks.tokenizer import Tokenizer, load_tokenizer
from .recipes import Phase


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
    overwrite: bool = False,
    progress: bool = True,
    trackers: Sequence[str] = (),
) -> tuple[LanguageModel, Training]:
    """Train a reader, or go on where its training stopped.

    The folder ends as a run: config.json, tokenizer.json, model.safetensors, metrics.jsonl over all phases, and the
    phases' own folders below it.

    Returns:
        The network of the last phase that ran, and how that phase ended (``finished`` is False after a signal).

    Raises:
        ValueError: the folder holds a run of another configuration; a source that cannot be read.
    """
    tokenizer = _tokenizer(folder, source, overwrite)
    task = source.open(tokenizer, split="train", show_answers=0.1)
    config = {"source": source.as_json()}
    torch.manual_seed(seed)
    network, result = None, None
    for index, phase in enumerate(phases):
        weights = None if network is None else network.state_dict()
        network = design.build(tokenizer.vocabulary, phase.segment, phase.options)
        if weights is not None:
            network.load_state_dict(weights)
        period = network.period or phase.segment
        lives = BABILongLives(task, window=phase.window, period=period, **phase.lives)
        result = fit(
            network,
            lives,
            phase.recipe,
            folder / f"phase-{index + 1}",
            config={**config, "model": specification(network), "phase": phase.as_json()},
            overwrite=overwrite,
            progress=progress,
            trackers=trackers,
        )
        if not result.finished:
            return network, result
    if network is None or result is None:
        raise ValueError("a recipe without phases trains nothing; give at least one")
    _assemble(folder, network, config, phases)
    return network, result


def _tokenizer(folder: Path, source: BABILongSource, overwrite: bool) -> Tokenizer:
    kept = folder / "source.json"
    if not overwrite and kept.exists():
        earlier = json.loads(kept.read_text(encoding="utf-8"))
        if earlier != source.as_json():
            raise ValueError(
                f"{folder} holds a run on other data ({earlier}); choose another folder, or --overwrite it"
            )
        return load_tokenizer(folder)
    tokenizer = source.tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)
    with atomic_path(kept) as path:
        path.write_text(json.dumps(source.as_json()), encoding="utf-8")
    return tokenizer


def _assemble(folder: Path, network: LanguageModel, config: Mapping[str, Any], phases: Sequence[Phase]) -> None:
    """The run as a whole: final weights, configuration, and one curve over all phases."""
    lines, before = [], {"update": 0, "units": 0, "seconds": 0.0}
    for index, _ in enumerate(phases):
        text = (folder / f"phase-{index + 1}" / "metrics.jsonl").read_text(encoding="utf-8")
        own = [json.loads(line) for line in text.splitlines()]
        lines += [{**line, "stage": index, **{key: line[key] + before[key] for key in before}} for line in own]
        before = {key: lines[-1][key] for key in before} if lines else before
    with atomic_path(folder / "metrics.jsonl") as path:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    save(network, folder, overwrite=True)
    described = {**config, "model": specification(network), "phases": [phase.as_json() for phase in phases]}
    with atomic_path(folder / "config.json") as path:
        path.write_text(json.dumps({"config": described}, indent=2) + "\n", encoding="utf-8")
