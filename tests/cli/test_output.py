"""Outputs that are closed, full, or cannot say everything, and text that is not markup."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnesis.cli import laws, listing, main, output, recipes
from mnesis.cli.recipes import Phase
from mnesis.learn import Recipe, Stage

MNESIS = f"{sys.executable} -m mnesis.cli"
FULL = "mnesis: cannot write the output: No space left on device; make room, and do the same again\n"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"set -o pipefail; {line.replace('mnesis ', MNESIS + ' ', 1)}"
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, errors="replace", env={**os.environ, **environment}
    )


@pytest.mark.parametrize("command", ["list memories", "show gru", "--help", "--version", "train --help"])
def test_a_full_disk_is_one_sentence(command) -> None:
    found = shell(f"mnesis {command} > /dev/full")
    assert (found.returncode, found.stderr) == (2, FULL)


def test_closed_streams(tmp_path) -> None:
    found = shell("mnesis list memories >&-")
    assert found.returncode == 2
    assert found.stderr == "mnesis: standard output is closed; let it go to a terminal, a file or a pipe\n"
    found = shell("mnesis list memories 2>&-")
    assert (found.returncode, found.stdout.count("\n")) == (0, 1 + 48)
    assert shell("mnesis lawz 2>&-").returncode == 2
    assert shell("mnesis lawz <&- >&- 2>&-").returncode == 2
    found = shell("mnesis stream - <&-")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_whoever_has_seen_enough_may_go() -> None:
    assert shell("mnesis list memories | head -0").returncode == 128 + signal.SIGPIPE
    assert shell("mnesis list memories | head -0").stderr == ""


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_what_cannot_be_said_is_replaced(environment) -> None:
    found = shell("mnesis list memories --bibtex", **environment)
    assert (found.returncode, found.stderr) == (0, "")
    assert "Schmidhuber, J?rgen" in found.stdout
    found = shell("mnesis list memories Où", **environment)
    assert found.returncode == 2
    assert found.stderr.startswith("mnesis: none of the memories has ")
    assert found.stderr.count("\n") == 1


def test_piped_rows_are_plain_and_whole() -> None:
    lines = shell("mnesis list memories").stdout.splitlines()
    assert lines[0].split() == ["name", "family", "what", "it", "is", "paper"]
    assert len(lines) == 1 + 48
    (row,) = [line for line in lines if line.startswith("delta-product ")]
    assert "so that it can rotate it  " in row, "nothing is cut"
    assert row.endswith("Siems 2025, Grazzi 2024")
    assert not any(mark in "\n".join(lines) for mark in "\t│┃─…")


def test_brackets_are_text(capsys, monkeypatch) -> None:
    output.print_table(("name", "[b]n"), [("[/bold] x", "[red]1[/]")], title="[u]t", caption="[/]c", right=("[b]n",))
    assert capsys.readouterr().out == "[u]t\nname            [b]n\n[/bold] x  [red]1[/]\n[/]c\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_table(("name", "[b]n"), [("[/bold] x", "[red]1[/]")], title="[u]t", caption="[/]c", right=("[b]n",))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[u]t", "[b]n", "[/bold] x", "[red]1[/]", "[/]c"))


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write the output: No space left on device; make"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a/b"), "cannot write a/b: Disk quota exceeded; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied; give a path"),
        (MemoryError(), "this needs more memory than the machine gives"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), "more memory"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(capsys, monkeypatch, error, sentence) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(listing, "_chosen", fail)
    monkeypatch.setattr("mnesis.cli.forget_output", lambda: None)  # pytest's own is to stay
    code, said = refusal(capsys, "list", "memories")
    assert code == 2
    assert said.startswith("mnesis: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_mistakes_of_ours_stay_tracebacks(monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(listing, "_chosen", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list", "memories"])


def test_a_command_that_is_stopped_says_what_is_kept(capsys, monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "_chosen", stop)
    assert refusal(capsys, "list", "memories") == (130, "\nstopped; nothing is kept\n")
    monkeypatch.setattr("mnesis.cli.compare._options", stop)
    kept = "what is trained is kept, and the same command goes on from there"
    assert refusal(capsys, "compare", "copy") == (130, f"\nstopped; {kept}\n")
    monkeypatch.setattr(laws, "check_names", stop)
    assert refusal(capsys, "laws", "gru")[0] == 130


def tiny(*_: object, **__: object) -> list[Phase]:
    recipe = Recipe((Stage(64, 4, 2, truncation=64, update="window"),), save_every=1, log_every=1)
    return [Phase(recipe, 64, 64, {"questions": 3.0, "forks": 0})]


TRAINED = """
import resource, sys
from mnesis.cli import main, recipes
from mnesis.learn import Recipe, Stage
stage = Stage(64, 4, 2, truncation=64, update="window")
phase = recipes.Phase(Recipe((stage,), save_every=1, log_every=1), 64, 64, {"questions": 3.0, "forks": 0})
recipes.phases = lambda *_, **__: [phase]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
words = ["--memory", "gru", "--dim", "64", "--hidden", "64", "--vocabulary", "600", "--quiet"]
main(["train", "babilong", "--folder", "run", *words])
"""


def test_a_training_without_room_says_so(tmp_path) -> None:
    """As on a full disk: no file may grow beyond some bytes."""
    command = [sys.executable, "-c", TRAINED, "20000"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 2, found.stderr
    place, reason = "run/phase-1/checkpoint-000000000", "it is larger than a file may be here"
    assert found.stderr == f"mnesis: cannot write {place}: {reason}; make room, and do the same again\n"


def test_bytes_are_a_vocabulary(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "phases", tiny)
    words = [
        "train",
        "babilong",
        "--folder",
        "run",
        "--memory",
        "gru",
        "--dim",
        "16",
        "--hidden",
        "16",
        "--vocabulary",
        "257",
        "--quiet",
    ]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0, capsys.readouterr().err
    assert Path("run/model.safetensors").is_file()


def test_rows_become_a_table(tmp_path) -> None:
    """A column for every name that a row has; several values in one cell are JSON."""
    output.write_csv(tmp_path / "a.csv", [{"model": "gru, 2", "at": 3}, {"model": "lstm", "interval": (0.1, 0.2)}])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"model": "gru, 2", "at": "3", "interval": ""},
        {"model": "lstm", "at": "", "interval": "[0.1, 0.2]"},
    ]
