"""What somebody else's code raised, and where in it, in one line. Nothing here needs torch."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path

LONGEST = 140
"""Characters of somebody's text that stand in a sentence of ours."""


def reason_for(error: BaseException) -> str:
    """``RuntimeError: first line of its text (file.py, line 52)``: the deepest place that is not torch's or ours."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{kind}: {error.msg} ({Path(error.filename).name}, line {error.lineno})"
    first = (str(error).strip() or "it says nothing").splitlines()[0].split(". ")[0].rstrip(".")
    first = first if len(first) <= LONGEST else f"{first[: LONGEST - 3]}..."
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _is_known(frame.filename):
            return f"{kind}: {first} ({Path(frame.filename).name}, line {frame.lineno})"
    return f"{kind}: {first}"


def _is_known(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or (
        "site-packages" not in path.parts and Path(sysconfig.get_paths()["stdlib"]) in path.parents
    ):
        return True
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("torch", "mnesis")]
    return any(file and Path(file).parent in path.parents for file in files)
