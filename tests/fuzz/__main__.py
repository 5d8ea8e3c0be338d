"""``make fuzz``: inputs of every kind in turn, for some minutes; exit code 1 where one was not met as it should be.

python -m tests.fuzz --minutes 10 --seed 0 --only states
"""

from __future__ import annotations

import argparse
import collections
import pkgutil
import sys
import tempfile
import time
from importlib import import_module
from itertools import cycle
from pathlib import Path

from tests import fuzz


def main() -> int:
    """Draw, read, count."""
    kinds = sorted(module.name for module in pkgutil.iter_modules(fuzz.__path__) if module.name != "__main__")
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn; told at the end too")
    parser.add_argument("--only", nargs="*", choices=kinds, default=kinds)
    given = parser.parse_args()
    sources = {kind: iter(import_module(f"tests.fuzz.{kind}").inputs(given.seed)) for kind in given.only}
    counts: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in sources}
    failed, until = [], time.monotonic() + 60 * given.minutes
    largest, slowest = 0, 0.0
    for kind in cycle(list(sources)):
        if time.monotonic() > until or not sources:
            break
        drawn = next(sources.get(kind, iter(())), None)
        if drawn is None:
            sources.pop(kind, None)
            continue
        with tempfile.TemporaryDirectory() as folder:
            outcome = fuzz.in_child(drawn, Path(folder))
        counts[kind][outcome.kind] += 1
        largest, slowest = max(largest, outcome.largest), max(slowest, outcome.seconds)
        if fuzz.broken([outcome]):
            failed.append(outcome)
            fuzz.show(outcome)
    for kind, count in counts.items():
        print(
            f"{kind}: {sum(count.values()):,} inputs, "
            + ", ".join(f"{n:,} {name}" for name, n in sorted(count.items()))
        )
    total = sum(sum(count.values()) for count in counts.values())
    print(
        f"{total:,} inputs with seed {given.seed}: {len(failed)} not met as they should be; the slowest took "
        f"{slowest:.1f} s, the largest process {largest / 2**20:,.0f} MiB"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
