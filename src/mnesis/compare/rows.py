"""Results as CSV: a row for every memory, task, length and seed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.files import atomic_path

HEADER: tuple[str, ...] = (
    "task", "memory", "status", "reason", "seed", "length", "accuracy", "accuracy_low", "accuracy_high", "bits",
    "bits_low", "bits_high", "control", "chance", "held", "state_bytes", "sees", "inside", "parameters", "dim", "rate",
    "units", "seconds", "units_per_second",
)  # fmt: skip


def require_rows(path: Path | None) -> None:
    """Refuse to replace a file that is none of ours: theirs begin with another line.

    Raises:
        ValueError: somebody else's stands there, or there is no such folder.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent} for {path.name}; make it, or give another --csv")
    if path.exists() and not _is_ours(path):
        raise ValueError(f"{path} is there and was not written by this command; move it away, or give another --csv")


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().rstrip(b"\r\n") == ",".join(HEADER).encode()


def write_rows(path: Path, cells: Sequence[Mapping[str, Any]]) -> None:
    """Write the results of these cells, whole or not at all.

    Raises:
        ValueError: somebody else's file stands there.
    """
    require_rows(path)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, HEADER, lineterminator="\n")
        table.writeheader()
        table.writerows(rows(cells))


def rows(cells: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows under ``HEADER``; a cell without trainings has one, with its reason. Doubled budgets are told by units."""
    from .growth import further
    from .verbatim import seen_by

    for cell in cells:
        known = {name: cell.get(name) for name in ("task", "memory", "status", "reason", "parameters", "dim", "rate")}
        seen = seen_by(cell)
        known |= {"sees": seen.sees, "units_per_second": cell.get("units_per_second")}
        if not cell.get("trainings"):
            yield known
        for training in (*cell.get("trainings", []), *further(cell)):
            own = {name: training[name] for name in ("seed", "units", "seconds")}
            for score in training["scores"]:
                figures = {name: score[name] for name in HEADER if name in score}
                for name in ("accuracy", "bits"):
                    low, high = score[f"{name}_interval"] or (None, None)
                    figures |= {f"{name}_low": low, f"{name}_high": high}
                inside = None if seen.sees is None else int(score["length"] in seen.inside)
                yield {**known, **own, **figures, "inside": inside}
