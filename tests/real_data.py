"""Where real data sets lie, for the tests that read them; the tests are skipped where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("MNESIS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def real(*parts: str) -> Path:
    """The path of a file or folder; skips the test where it is absent."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent; set MNESIS_DATA to its data folder")
    return path
