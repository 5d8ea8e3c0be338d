"""What kills commands does so where it says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .kills import kill_at, operations, run_watched

COMMAND = ["laws", "gru", "--only", "rows"]


def write() -> None:
    """Stands in for a command's own writing: a folder, a file that takes its name, one that goes."""

    def main(arguments: list[str]) -> None:
        os.mkdir("made")
        with open("made/new.txt", "w") as file:
            file.write("whole")
            file.flush()
            os.fsync(file.fileno())
        os.replace("made/new.txt", "made/old.txt")
        os.unlink("made/old.txt")
        os.rmdir("made")
        raise SystemExit(0)

    import mnesis.cli

    mnesis.cli.main = main


BEFORE = f"{__name__}:write"


def test_operations_are_counted_in_order(tmp_path: Path) -> None:
    ended = run_watched(COMMAND, within=tmp_path, before=BEFORE)
    assert [line.split()[0] for line in ended.operations] == [
        "os.mkdir",
        "open",
        "fsync",
        "os.rename",
        "os.remove",
        "os.rmdir",
    ]
    assert operations(COMMAND, within=tmp_path / "made", folder=tmp_path, before=BEFORE) == 6
    assert operations(COMMAND, within=tmp_path / "elsewhere", folder=tmp_path, before=BEFORE) == 0


def test_nothing_happens_from_the_kill_on(tmp_path: Path) -> None:
    left = []
    for n in range(6):
        kill_at(COMMAND, n, within=tmp_path, before=BEFORE)
        left.append(sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")))
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert left == [
        [],
        ["made"],
        ["made", "made/new.txt"],
        ["made", "made/new.txt"],
        ["made", "made/old.txt"],
        ["made"],
    ]


def test_other_signals_reach_the_command(tmp_path: Path) -> None:
    assert run_watched(COMMAND, within=tmp_path, before=BEFORE, at=1, number=signal.SIGTERM).code == -signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_commands_own_end_is_told(tmp_path: Path) -> None:
    ended = run_watched(["laws", "gruu"], within=tmp_path)
    assert ended.code == 2
    assert "did you mean 'gru'" in ended.output
    assert ended.operations == ()
