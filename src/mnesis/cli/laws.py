"""How far a memory is from obeying the laws: every gap beside its tolerance. Exit code 1 if one does not hold.

    mnesis laws armt
    mnesis laws retention mlstm --only cuts
    mnesis laws path/to/file.py:MyMemory my_package.my_module:Other --options MyMemory:dim=16 Other:heads=2
    mnesis laws torch.nn:LSTM --options input_size=8 hidden_size=8 batch_first=true
    mnesis laws transformers:LlamaForCausalLM --options num_hidden_layers=2 --dtypes float32
    mnesis laws --all --json

Any cut of a stream gives the same outputs, states and gradients, all forms agree, resets and padding are exact, and
states are bounded, saved and never written to: each is a law with a name, which the table tells. A class that is no
memory, but reads (sequence, state) and returns both, is examined too; laws that ask for more say "not offered". A
transformers model is built small, with random weights; options are those of its configuration. Exit code 2: something
cannot be examined at all.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..core.card import OWN, Card
from ..core.catalog import card, create_memory, list_memories
from ..core.machine import prepare
from ..core.reason import reason_for
from ..core.source import check_options, names_of
from .arguments import Named
from .options import check_names, options_of, pairs_by_name, parse_options
from .output import print_table

if TYPE_CHECKING:
    from ..core.laws import Gap
    from ..core.memory import Memory

DIM = 8
"""Width of somebody's memory, where nothing else is said."""


def run(
    names: Annotated[tuple[str, ...], Named("MEMORY")] = (),
    /,
    every: Annotated[bool, Named("all")] = False,
    only: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
    dtypes: tuple[Literal["float64", "float32", "bfloat16"], ...] = ("float64", "float32", "bfloat16"),
    as_json: Annotated[bool, Named("json")] = False,
    markdown: bool = False,
) -> int:
    """Measure the laws.

    Args:
        names: memories of the catalog, or classes of your own or of anybody (file.py:Class or module:Class).
        every: examine all memories of the catalog.
        only: laws to examine, rather than all.
        options: constructor arguments, key=value where one memory is named, MEMORY:key=value where there are more. A
            catalogued memory has a small example of its own, any other is built with dim=8, unless they say otherwise.
        dtypes: where numbers are compared; what is no number is measured in the first.
        as_json: print a list of {memory, law, form, dtype, gap, tolerance, reason, holds}; holds is null where a law
            asks for what is not offered, and gap where nothing could be measured.
        markdown: print a certificate, a row a law and a column a memory, with the largest gap in any form and dtype.
    """
    if bool(names) == every:
        raise ValueError("give the names of memories, or --all; mnesis list memories shows them")
    check_names("law", only, names_of("mnesis.core.laws", "LAWS"))
    chosen = list(names) or [entry.name for entry in list_memories()]
    pairs = pairs_by_name(options, chosen)
    catalogued = {name: options_of("memories", name, own) for name, own in pairs.items() if ":" not in name}
    import torch
    from rich.console import Console
    from rich.markup import escape

    from ..core.laws import check

    prepare(1)
    memories = {
        name: _catalogued(name, catalogued[name]) if name in catalogued else _own(name, pairs[name]) for name in pairs
    }
    gaps = []
    with Console(stderr=True).status("measuring") as status:
        for name, memory in memories.items():
            status.update(escape(f"measuring {name}"))
            gaps += check(memory, name=name, laws=only or None, dtypes=[getattr(torch, dtype) for dtype in dtypes])
    if as_json:
        print(json.dumps([_as_json(gap) for gap in gaps], indent=2))
    elif markdown:
        print("\n".join(_certificate(gaps)))
    else:
        _print(gaps)
    return 1 if any(gap.holds is False for gap in gaps) else 0


def _catalogued(name: str, options: dict[str, Any]) -> Memory:
    import torch

    torch.manual_seed(0)
    return create_memory(name, **{**card("memories", name).example, **options})


def _own(name: str, pairs: Sequence[str]) -> Memory:
    """Somebody's class, as what is to be examined.

    Raises:
        ValueError: it cannot be.
    """
    import torch

    from ..core.adapt import adapt, is_transformer, small_transformer

    torch.manual_seed(0)
    known, options = Card(name, name, OWN, ""), parse_options(pairs)
    cls = known.load()
    if is_transformer(cls):
        build = lambda: small_transformer(cls, options)  # noqa: E731
    else:
        given = {**_width(known, cls, options), **options}
        build = lambda: cls(**given)  # noqa: E731
    try:
        memory = adapt(build())
    except ValueError:
        raise
    except Exception as error:  # of somebody else's class, anything
        raise ValueError(f"{name} cannot be built: {reason_for(error)}; mend it, or give other --options") from error
    memory.example(1, 1, torch.Generator())  # refuses one that does not say what it reads
    return memory


def _width(known: Card, cls: type, options: dict[str, Any]) -> dict[str, int]:
    """The width, where a constructor takes one and needs nothing else.

    Raises:
        ValueError: it needs more, or takes no such options.
    """
    open_ended = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    parameters = list(signature(cls.__init__).parameters.values())[1:]
    accepted = [each for each in parameters if each.kind not in open_ended]
    if not any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        check_options(known, options)
    width = {"dim": DIM} if any(each.name == "dim" for each in accepted) else {}
    needed = [each.name for each in accepted if each.default is Parameter.empty]
    if missing := [key for key in needed if key not in options and key not in width]:
        given = " ".join(f"{key}=..." for key in missing)
        raise ValueError(f"{known.name} needs {', '.join(missing)}; give --options {given}")
    return width


def _as_json(gap: Gap) -> dict[str, Any]:
    return {**dataclasses.asdict(gap), "gap": gap.gap if math.isfinite(gap.gap) else None, "holds": gap.holds}


def _certificate(gaps: list[Gap]) -> list[str]:
    """A table in Markdown, and what is not as it should be as a list."""
    memories = list(dict.fromkeys(gap.memory for gap in gaps))
    heads = [f"`{name.rpartition(':')[2]}`" for name in memories]
    lines = [f"| {' | '.join(['law', *heads])} |", "|---" * (1 + len(memories)) + "|"]
    for law in dict.fromkeys(gap.law for gap in gaps):
        worst = [max((g for g in gaps if (g.memory, g.law) == (name, law)), key=_badness) for name in memories]
        lines.append(f"| {law} | {' | '.join(map(_cell, worst))} |")
    short = [dataclasses.replace(gap, memory=gap.memory.rpartition(":")[2]) for gap in gaps]
    return [*lines, "", *(f"- {line}" for line in _reasons(short))]


def _badness(gap: Gap) -> tuple[bool, float]:
    return gap.holds is False, 0.0 if gap.holds is None else gap.gap


def _cell(gap: Gap) -> str:
    size = f"{gap.gap:.1e}" if math.isfinite(gap.gap) else ""
    return {True: size, False: f"**broken** {size}".rstrip(), None: "not offered"}[gap.holds]


def _print(gaps: list[Gap]) -> None:
    from ..core.laws import LAWS

    marks = {True: "holds", False: "BROKEN", None: "not offered"}
    rows = [
        (
            gap.memory,
            gap.form,
            gap.law,
            gap.dtype,
            "" if gap.holds is None else f"{gap.gap:.1e}",
            f"{gap.tolerance:.0e}",
            marks[gap.holds],
        )
        for gap in sorted(gaps, key=lambda gap: (gap.memory, gap.form, list(LAWS).index(gap.law)))
    ]
    print_table(("memory", "form", "law", "dtype", "gap", "tolerance", ""), rows, right=("gap", "tolerance"))
    for line in _reasons(gaps):
        print(line)
    broken, lacking = (sum(gap.holds is state for gap in gaps) for state in (False, None))
    told = f", {broken} are broken" if broken else ""
    told += f", {lacking} ask for what is not offered" if lacking else ""
    print(f"{len(gaps) - broken - lacking} of {len(gaps)} hold{told}")


def _reasons(gaps: list[Gap]) -> list[str]:
    """What is not as it should be, each in one line: the reason, or else what the law says."""
    from ..core.laws import LAWS

    laws: dict[tuple[str, str], dict[str, None]] = {}
    for gap in gaps:
        if not gap.holds:
            told = (LAWS[gap.law].measure.__doc__ or "").splitlines()[0].rstrip(".")
            laws.setdefault((gap.memory, gap.reason or f"it does not hold that: {told}"), {})[gap.law] = None
    memories: dict[tuple[str, str], list[str]] = {}
    for (memory, reason), found in laws.items():
        memories.setdefault((", ".join(found), reason), []).append(memory)
    return [f"{', '.join(names)}: {found}: {reason}" for (found, reason), names in memories.items()]
