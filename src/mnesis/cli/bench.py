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
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..core.catalog import Card, card, create_memory, list_memories
from ..core.domain import Positive
from ..core.files import atomic_path
from ..core.machine import prepare
from ..core.source import check_options, described
from .arguments import Named
from .options import Size, Threads, Width, parse_options

if TYPE_CHECKING:
    from ..core.memory import Memory
    from ..measure.bench.speed import Peers, Row

KEPT = "an --output holds the memories that were measured, nothing else is kept"
Quantity = Literal[
    "training", "streaming", "stepping", "memory growth", "ragged", "training memory", "memory growth by steps"
]


def run(
    memories: Annotated[tuple[str, ...], Named("MEMORY")] = (),
    /,
    dim: Width = 256,
    heads: Size = 4,
    options: tuple[str, ...] = (),
    batch: Size = 4,
    lengths: tuple[Size, ...] = (512, 2048, 8192),
    repeats: Size = 5,
    budget: Positive = 20.0,
    quick: bool = False,
    long: bool = False,
    only: tuple[Quantity, ...] = (),
    peers: bool = False,
    threads: Threads = 1,
    output: Path | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Measure.

    Args:
        memories: memories of the catalog; all of them if none is named.
        dim: width of the memories.
        heads: their number, where a memory has heads.
        options: further constructor arguments as key=value, for the memories that take them.
        batch: rows in training.
        lengths: units of the trained sequences.
        repeats: how often each is measured; the median is shown.
        budget: seconds after which no further repeat begins and no stream goes on; lengths that would take four times
            as long are left out.
        quick: measure fewer repeats and shorter streams.
        long: measure how cost and memory follow the length: training memory, streams of a million units, 64k single
            steps.
        only: quantities to measure, rather than all; with --long training, "training memory", "memory growth" and
            "memory growth by steps".
        peers: measure the best public implementation of each mechanism beside ours; all that are needed must be
            installed.
        threads: threads of the processor; one is the quietest measure.
        output: file for the table, in Markdown; it is written after each memory.
        overwrite: replace an existing output.
        quiet: show no progress bar.
        as_json: print a list of {memory, form, made_by, quantity, length, value, unit, baseline, ratio}.
    """
    if output is not None and output.exists() and not overwrite:
        raise ValueError(f"{output} exists; give another --output or --overwrite")
    chosen = [card("memories", name) for name in memories] if memories else list_memories()
    given = {"heads": heads, **_examined(chosen, parse_options(options))}

    from ..core.folders import alone
    from ..measure.bench.speed import bench

    prepare(threads)
    built = {entry.name: _builder(entry, dim, given) for entry in chosen}
    beside = _peers(built) if peers else None
    with nullcontext() if output is None else alone(output.parent, output.name, name=output.name):
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
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(table))
    else:
        print(table)


def _examined(chosen: list[Card], options: dict[str, Any]) -> dict[str, Any]:
    """Options that at least one of the memories takes, with values that those that take them can have."""
    for key, value in options.items():
        takers = [entry for entry in chosen if key in described(entry).options] or chosen[:1]
        for entry in takers:
            check_options(entry, {key: value}, fixed={"dim": "--dim"})
    return options


def _tables(rows: list[Row]) -> str:
    from ..measure.bench.speed import markdown_table, peer_table

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
    from .peers import PEERS, build_peer, is_installed

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
