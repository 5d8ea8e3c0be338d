"""Files of runs, changed at random from a fixed seed: ``make fuzz`` draws more of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from .fuzz import in_process
from .fuzz.run_files import inputs


def test_changed_files_are_read_rightly_or_refused(tmp_path: Path) -> None:
    for number, given in enumerate(islice(inputs(2), 14)):
        folder = tmp_path / str(number)
        folder.mkdir()
        kind, said = in_process(given, folder)
        assert kind in ("read", "refused"), f"{given.label}: {kind}\n{said}"
