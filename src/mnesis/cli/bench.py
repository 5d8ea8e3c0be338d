"""Speed and memory of every memory, beside torch's own LSTM and attention in the same run.

    mnesis bench
    mnesis bench gru armt --lengths 512 2048 --quick
    mnesis bench gla mamba --peers
    mnesis bench --long --lengths 2048 8192 32768
    mnesis bench lstm mamba --only training --lengths 2048 8192 32768 --batch 1
    mnesis bench rmt armt --dim 512 --heads 8 --options segment=512 memory_tokens=16 memory_dim=64

Times are CPU seconds. Rates stand beside their share of the LSTM's, and the exponent of training's cost, 1 where it is
linear, if several lengths are trained. Without --long: training, streaming in chunks, single steps, what the process
gains over a long stream, and the cost of resets.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.markdown import Markdown

from ..core.catalog import Card, card, create_memory, list_memories
from ..core.files import atomic_path
from ..core.memory import Memory
from ..measure.speed import Peers, Row, bench, markdown_table, peer_table
from .options import parse_options
from .peers import PEERS, build_peer, is_installed


def run(
    memories: tyro.conf.Positional[tuple[str, ...]] = (),
    /,
    dim: int = 256,
    heads: int = 4,
    options: tuple[str, ...] = (),
    batch: int = 4,
    lengths: tuple[int, ...] = (512, 2048, 8192),
    repeats: int = 5,
    budget: float = 20.0,
    quick: bool = False,
    long: bool = False,
    only: tuple[str, ...] = (),
    peers: bool = False,
    threads: int = 1,
    output: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Measure.

    Args:
        memories: of the catalog; all if none is named.
        dim: width.
        heads: where a memory has heads.
        options: further constructor arguments as key=value, for the memories that take them.
        batch: rows in training.
        lengths: of the trained sequences.
        repeats: of which the median is shown.
        budget: seconds after which no further repeat begins and no stream goes on; lengths that would take four times
            as long are left out.
        quick: fewer repeats and shorter streams.
        long: how cost and memory follow the length: training memory, streams of a million units, 64k single steps.
        only: quantities to measure, rather than all: training, streaming, stepping, "memory growth", ragged; with
            --long training, "training memory", "memory growth", "memory growth by steps".
        peers: the best public implementation of each mechanism beside ours; all that are needed must be installed.
        threads: of the processor; one is the quietest measure.
        output: file for the table, in Markdown; it is written after each memory.
        overwrite: replace an existing output.
        quiet: no progress bar.
        as_json: a list of {memory, form, quantity, length, value, unit, baseline, ratio}.
    """
    if output is not None and output.exists() and not overwrite:
        raise ValueError(f"{output} exists; give another --output or --overwrite")
    torch.set_num_threads(threads)
    chosen = [card("memories", name) for name in memories] if memories else list_memories()
    given = {"heads": heads, **parse_options(options)}
    built = {entry.name: _builder(entry, dim, given) for entry in chosen}
    beside = _peers(built) if peers else None
    rows = bench(
        built,
        dim=dim,
        batch=batch,
        lengths=lengths,
        repeats=repeats,
        budget=budget,
        quick=quick,
        long=long,
        only=only,
        peers=beside,
        progress=not quiet,
        keep=None if output is None else lambda rows: _write(output, rows),
    )
    table = _tables(rows)
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        Console().print(Markdown(table))


def _tables(rows: list[Row]) -> str:
    return "\n".join(filter(None, (markdown_table(rows), peer_table(rows))))


def _write(output: Path, rows: list[Row]) -> None:
    """After each memory anew, so that a run that breaks off leaves what it measured."""
    with atomic_path(output) as path:
        path.write_text(_tables(rows) + "\n", encoding="utf-8")


def _builder(entry: Card, dim: int, given: dict[str, Any]) -> Callable[[], Memory[Any]]:
    """A memory of the catalog as published, at a width, with those of the options that it takes."""
    accepted = inspect.signature(entry.load().__init__).parameters
    options = {key: value for key, value in given.items() if key in accepted}
    if "heads" in options and accepted["heads"].default is None:
        del options["heads"]  # their number is the mechanism's own
    return partial(create_memory, entry.name, dim=dim, **options)


def _peers(built: Mapping[str, Callable[[], Memory[Any]]]) -> Peers:
    """Those of these memories; what is not installed, or cannot be built, is told before anything is measured."""
    chosen = {name: PEERS[name] for name in built if name in PEERS}
    missing = sorted({peer.package for peer in chosen.values() if not is_installed(peer)})
    if missing:
        raise ValueError(
            f"{', '.join(missing)} is not installed; pip install --no-deps {' '.join(missing)}, or leave --peers out"
        )
    for name, peer in chosen.items():
        try:
            build_peer(peer, built[name]())
        except ImportError as error:
            raise ValueError(
                f"{peer.label} cannot be imported ({error}); install what it needs, or leave {name} or --peers out"
            ) from error
    return {name: (peer.label, partial(build_peer, peer)) for name, peer in chosen.items()}
