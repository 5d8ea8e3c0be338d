"""Code that a run's files name runs where somebody says --trust, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mnesis.cli import main
from mnesis.cli.runs import open_run
from mnesis.nets import LanguageModel, save
from mnesis.tasks.language.tokenizer import ByteTokenizer

OWN = """
from pathlib import Path
import mnesis
Path({trace!r}).touch()
Mine = type(mnesis.create_memory("gru", dim=4))
"""


@pytest.fixture
def shared(tmp_path) -> tuple[Path, Path]:
    """A run whose configuration names a file, and what stands there once that file has run."""
    (tmp_path / "own.py").write_text(OWN.format(trace=str(tmp_path / "ran")))
    torch.manual_seed(0)
    model = LanguageModel(257, dim=4, memory=f"{tmp_path / 'own.py'}:Mine", depth=1)
    save(model, tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run")
    (tmp_path / "ran").unlink()
    (tmp_path / "text.txt").write_text("Mary went to the garden.")
    # Files of a class of one's own are kept, and run once a process.
    from mnesis.core.card import _own

    _own.cache_clear()
    return tmp_path / "run", tmp_path / "ran"


def exit_code(line: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(line)
    return left.value.code


@pytest.mark.parametrize("command", ["stream", "evaluate"])
def test_a_command_refuses_code_in_a_run(shared, command, capsys) -> None:
    run, ran = shared
    line = [command, str(run.parent / "text.txt"), "--model", str(run)] if command == "stream" else [command, str(run)]
    assert exit_code(line) == 2
    said = capsys.readouterr().err
    assert "--trust" in said
    assert not ran.exists()


def test_a_command_that_trusts_a_run_reads_with_its_code(shared, capsys) -> None:
    run, ran = shared
    assert exit_code(["stream", str(run.parent / "text.txt"), "--model", str(run), "--trust"]) == 0
    assert "read 25 tokens" in capsys.readouterr().out
    assert ran.exists()


def test_a_tokenizer_of_another_network_is_refused(tmp_path) -> None:
    save(LanguageModel(200, dim=4, memory="gru", depth=1), tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"has 257 tokens, its network reads 200; they come from different runs"):
        open_run(str(tmp_path / "run"))


def test_a_run_without_a_source_says_so(tmp_path) -> None:
    save(LanguageModel(257, dim=4, memory="gru", depth=1), tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run")
    with pytest.raises(ValueError, match="was not trained on BABILong"):
        _ = open_run(str(tmp_path / "run")).source
