"""What of PyTorch works with a memory: transforms, compilation, devices, hooks, adapters, processes. Exit code 1 if
something does not.

    mnesis capabilities armt
    mnesis capabilities gru mamba --only vmap export
    mnesis capabilities path/to/file.py:MyMemory --options dim=16
    mnesis capabilities --all --markdown

Each is examined by using it: numbers must be those of plain calls. docs/guides/pytorch.md says what each means.
"""

from __future__ import annotations

import json
from typing import Annotated

from ..core.catalog import card, create_memory, list_memories
from ..core.machine import prepare
from ..core.source import names_of
from .arguments import Named
from .options import check_names, options_of
from .output import print_table


def run(
    names: Annotated[tuple[str, ...], Named("MEMORY")] = (),
    /,
    every: Annotated[bool, Named("all")] = False,
    only: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    markdown: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Examine capabilities.

    Args:
        names: memories of the catalog, or your own classes (file.py:Class or module:Class).
        every: examine all memories of the catalog.
        only: capabilities to examine, rather than all.
        options: constructor arguments of the one memory, key=value; a catalogued one has a small example of its own.
        markdown: print a table for a page.
        as_json: print a list of {memory, capability, works, reason}.
    """
    if bool(names) == every:
        raise ValueError("give the names of memories, or --all; mnesis list memories shows them")
    if options and len(names) != 1:
        raise ValueError(f"--options {' '.join(options)} belong to one memory; name one alone")
    known = names_of("mnesis.core.capabilities", "CAPABILITIES")
    check_names("capability", only, known)
    given = {name: options_of("memories", name, options) for name in names}
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from ..core.capabilities import shortcoming

    prepare(1)
    asked, chosen = given or {entry.name: {} for entry in list_memories()}, list(only or known)
    found: dict[str, dict[str, str]] = {}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("examining", total=len(asked) * len(chosen))
        for name, own in asked.items():
            torch.manual_seed(0)
            memory, found[name] = create_memory(name, **(own or card("memories", name).example)), {}
            for capability in chosen:
                found[name][capability] = shortcoming(memory, capability)
                bar.advance(task)
    if as_json:
        rows = [(name, capability, reason) for name, row in found.items() for capability, reason in row.items()]
        print(json.dumps([{"memory": m, "capability": c, "works": not r, "reason": r} for m, c, r in rows], indent=2))
    else:
        _print(found, chosen, markdown=markdown)
    return 1 if any(reason for row in found.values() for reason in row.values()) else 0


def _print(found: dict[str, dict[str, str]], chosen: list[str], *, markdown: bool) -> None:
    rows = [[name, *("no" if row[capability] else "yes" for capability in chosen)] for name, row in found.items()]
    if markdown:
        print(f"| memory | {' | '.join(chosen)} |\n|{'---|' * (len(chosen) + 1)}")
        print("\n".join(f"| {' | '.join([f'`{name}`', *cells])} |" for name, *cells in rows))
        return
    print_table(("memory", *chosen), rows)
    for name, row in found.items():
        for capability, reason in row.items():
            if reason:
                print(f"{name}, {capability}: {reason}")
