"""How far a memory is from obeying the laws: every gap beside its tolerance. Exit code 1 if one does not hold.

    mnesis laws armt
    mnesis laws retention mlstm --only cuts
    mnesis laws my_package.my_module:MyMemory --options dim=16
    mnesis laws path/to/file.py:MyMemory --options dim=16
    mnesis laws --all --json

Any cut of a stream gives the same outputs, states and gradients, all forms agree, resets and padding are exact, and
states are bounded, saved and never written to: each is a law with a name, which the table tells.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from ..core.catalog import card, create_memory, list_memories
from ..core.source import names_of
from .arguments import Named
from .options import check_names, options_of
from .output import print_table

if TYPE_CHECKING:
    from ..core.laws import Gap
    from ..core.memory import Memory


def run(
    names: Annotated[tuple[str, ...], Named("MEMORY")] = (),
    /,
    every: Annotated[bool, Named("all")] = False,
    only: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Measure the laws.

    Args:
        names: memories of the catalog, or your own classes (file.py:Class or module:Class).
        every: examine all memories of the catalog.
        only: laws to examine, rather than all.
        options: constructor arguments of the one memory, key=value; a catalogued one has a small example of its own.
        as_json: print a list of {memory, law, form, dtype, gap, tolerance, holds}.
    """
    if bool(names) == every:
        raise ValueError("give the names of memories, or --all; mnesis list memories shows them")
    if options and len(names) != 1:
        raise ValueError(f"--options {' '.join(options)} belong to one memory; name one alone")
    check_names("law", only, names_of("mnesis.core.laws", "LAWS"))
    given = {name: options_of("memories", name, options) for name in names}
    import torch
    from rich.console import Console
    from rich.markup import escape

    from ..core.laws import check

    torch.set_num_threads(1)
    gaps = []
    with Console(stderr=True).status("measuring") as status:
        for label, memory in _memories(given or {entry.name: {} for entry in list_memories()}):
            status.update(escape(f"measuring {label}"))
            gaps.extend(check(memory, name=label, laws=only or None))
    if as_json:
        print(json.dumps([{**dataclasses.asdict(gap), "holds": gap.holds} for gap in gaps], indent=2))
    else:
        _print(gaps)
    return 0 if all(gap.holds for gap in gaps) else 1


def _memories(given: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Memory]]:
    import torch

    for name, options in given.items():
        torch.manual_seed(0)
        yield name, create_memory(name, **(options or card("memories", name).example))


def _print(gaps: list[Gap]) -> None:
    from ..core.laws import LAWS

    rows = [
        (
            gap.memory,
            gap.form,
            gap.law,
            gap.dtype,
            f"{gap.gap:.1e}",
            f"{gap.tolerance:.0e}",
            "holds" if gap.holds else "BROKEN",
        )
        for gap in sorted(gaps, key=lambda gap: (gap.memory, gap.form, list(LAWS).index(gap.law)))
    ]
    print_table(("memory", "form", "law", "dtype", "gap", "tolerance", ""), rows, right=("gap", "tolerance"))
    broken = sum(not gap.holds for gap in gaps)
    print(f"{len(gaps) - broken} of {len(gaps)} hold" + (f", {broken} are broken" if broken else ""))
