"""One door for any task: train, evaluate and report, on tasks of the catalog and of one's own."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from mnesis.cli import main
from mnesis.core.catalog import list_tasks
from tests.real_data import DATA

SMALL = ["--dim", "8", "--depth", "1", "--convolution", "0", "--batch", "4", "--threads", "1", "--quiet"]
TINY = [*SMALL, "--budget", "updates=2"]
FILES = ("words", "polyphonic-music", "series", "spoken-digits")
"""Tasks of data sets, which are made here or at hand."""
OWN = """
import torch
import mnesis
class NoVocabulary(mnesis.Task):
    '''Say the last symbol again.'''
    chance = 0.2
    def __init__(self, symbols: int = 5): self.symbols = symbols
    def episodes(self, batch, length, generator):
        x = torch.randint(self.symbols, (batch, length), generator=generator)
        weight = torch.zeros(batch, length)
        weight[:, -1] = 1
        return mnesis.Episode(x, x, weight)
class Last(NoVocabulary):
    vocabulary = 5
class Returns(Last):
    def episodes(self, batch, length, generator): return 1, 2
class Raises(Last):
    def episodes(self, batch, length, generator): raise RuntimeError("kaboom in my task")
class Beyond(Last):
    def episodes(self, batch, length, generator):
        return super().episodes(batch, length, generator)._replace(inputs=torch.full((batch, length), 7))
class Memory(type(mnesis.create_memory("gru", dim=4))):
    '''A GRU of one's own.'''
class Wrong(Memory):
    def scan(self, x, state, phase=0): raise RuntimeError("kaboom in my scan")
class Alone(Memory):
    def scan(self, x, state, phase=0): return super().scan(x, state, phase)[0]
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(here) -> Path:
    (here / "own.py").write_text(OWN)
    return here


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder in which a GRU was trained on copying."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit) as end:
            main(["train", "copy", "--memory", "gru", "--length", "2-4", "--task-options", "symbols=4", *TINY])
        assert end.value.code == 0
    finally:
        os.chdir(before)
    return folder / "runs" / "copy-gru"


def test_a_run_is_trained_evaluated_and_reported(capsys, here) -> None:
    train = ["train", "copy", "--memory", "gru", "--length", "2-4", "--task-options", "symbols=4", *SMALL]
    code, out, _ = run(capsys, *train, "--budget", "tokens=2k")
    assert code == 0
    assert "trained: runs/copy-gru (55 updates, 2,052 units, " in out
    assert "on unseen sequences: accuracy " in out
    assert "at length 4; chance is " in out
    assert "next: mnesis evaluate runs/copy-gru" in out
    code, out, _ = run(
        capsys, "evaluate", "runs/copy-gru", "--lengths", "4x", "--sequences", "8", "--csv", "a.csv", "--overwrite"
    )
    assert code == 0
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [row["length"] for row in rows] == ["4", "8", "16"]
    assert all(float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) for row in rows)
    assert out.splitlines()[1].split()[:3] == ["length", "accuracy", "95"]
    page = Path("runs/copy-gru/report.html").read_text()
    assert "Answers on sequences that training did not see" in page
    other = [*train, "--budget", "updates=2"]
    other[3] = "delta-rule"
    assert run(capsys, *other)[0] == 0
    code, out, _ = run(capsys, "report", "runs/copy-gru", "runs/copy-delta-rule")
    assert (code, out.strip()) == (0, "runs/copy-gru-and-copy-delta-rule.html")
    page = Path(out.strip()).read_text()
    for words in ("All runs in one table", "How they learned", "delta-rule", "not asked"):
        assert words in page


def test_the_same_command_goes_on(capsys, trained, monkeypatch) -> None:
    monkeypatch.chdir(trained.parents[1])
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    train = ["train", "copy", "--memory", "gru", "--length", "2-4", "--task-options", "symbols=4"]
    code, out, _ = run(capsys, *train, *TINY, "--json")
    assert code == 0
    assert json.loads(out)["unseen"]["length"] == 4
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before
    code, _, error = run(capsys, *train, *TINY, "--seed", "3")
    assert (code, "a run of another config (recipe.seed is 0 there and 3 here" in error) == (2, True)
    assert "or --overwrite to replace it" in error, "as a shell says it"
    code, _, error = run(capsys, *train[:-1], "symbols=5", *TINY)
    assert (code, "task.options.symbols is 4 there and 5 here" in error) == (2, True)


def test_an_evaluation_goes_on_where_it_was(capsys, trained) -> None:
    output = ["--output", str(trained / "again"), "--sequences", "8", "--threads", "1", "--quiet", "--json"]
    assert run(capsys, "evaluate", str(trained), "--lengths", "4,8", *output)[0] == 0
    file = trained / "again" / "scores.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    file.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # as a kill leaves it
    code, out, _ = run(capsys, "evaluate", str(trained), "--lengths", "4,8,16", *output)
    found = json.loads(out)["lengths"]
    assert (code, [each["length"] for each in found]) == (0, [4, 8, 16])
    assert found[0]["seconds"] == json.loads(lines[1])["seconds"], "what was kept is not asked again"
    assert found[1]["accuracy"] == json.loads(lines[2])["score"]["accuracy"]
    assert len(file.read_bytes().splitlines()) == 4
    code, _, error = run(capsys, "evaluate", str(trained), "--lengths", "4", "--seed", "7", *output)
    assert code == 2
    assert "holds scores of something else (seed is 1000000007 there and 7 here); overwrite it" in error
    assert run(capsys, "evaluate", str(trained), "--lengths", "4", "--seed", "7", *output, "--overwrite")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("card", list_tasks(), ids=lambda card: card.name)
def test_every_task_of_the_catalog_has_the_door(capsys, here, card) -> None:
    """Two updates, and an evaluation at the trained length."""
    if card.name == "babilong":
        pytest.skip("readers have tests of their own")
    given = []
    if card.name in FILES:
        made = _files(here)
        if card.name not in made:
            pytest.skip("no data of this task here")
        given = ["--task-options", *made[card.name], "--length", "20"]
    code, out, error = run(capsys, "train", card.name, "--memory", "gru", *given, *TINY)
    assert (code, error) == (0, "")
    assert "on unseen sequences: " in out
    folder = f"runs/{card.name}-gru"
    code, out, error = run(capsys, "evaluate", folder, "--lengths", "2x", "--sequences", "8", "--overwrite", "--quiet")
    assert (code, error) == (0, "")
    assert Path(folder, "report.html").is_file()
    assert run(capsys, "show", folder)[0] == 0


def _files(folder: Path) -> dict[str, list[str]]:
    """Options of tasks whose data can be made here or are at hand."""
    words = " ".join(["the", "tide", "turned", "and", "the", "captain", "met", "a", "clerk"] * 60)
    (folder / "ptb").mkdir()
    for part in ("train", "valid", "test"):
        (folder / "ptb" / f"{part}.txt").write_text(f"{words}\n")
    (folder / "series" / "Shapes").mkdir(parents=True)
    lines = ["\t".join([str(1 + row % 2), *(str((row + at) % 7 / 7) for at in range(30))]) for row in range(20)]
    for part in ("TRAIN", "TEST"):
        (folder / "series" / "Shapes" / f"Shapes_{part}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "digits").mkdir()
    for digit, take in itertools.product(range(10), (0, 5, 10)):
        with wave.open(str(folder / "digits" / f"{digit}_jackson_{take}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(random.Random(10 * digit + take).randbytes(2 * 2400)))
    made = {
        "words": ["folder=ptb"], "series": ["name=Shapes", "folder=series"], "spoken-digits": ["path=digits"],
    }  # fmt: skip
    music = DATA / "poly-music" / "JSB_Chorales.mat"
    return made | ({"polyphonic-music": [f"file={music}"]} if music.is_file() else {})


def test_a_task_and_a_memory_of_ones_own(capsys, own) -> None:
    code, out, _ = run(capsys, "train", "own.py:Last", "--memory", "own.py:Memory", "--length", "4", *TINY)
    assert code == 0
    assert "trained: runs/Last-Memory" in out
    config = json.loads((own / "runs/Last-Memory/config.json").read_text())
    assert config["task"] == {"name": f"{own / 'own.py'}:Last", "options": {}}
    code, _, error = run(capsys, "evaluate", "runs/Last-Memory")
    assert (code, error.count("\n")) == (2, 1)
    assert "--trust" in error
    evaluate = ["evaluate", "runs/Last-Memory", "--lengths", "2x", "--sequences", "8", "--quiet", "--overwrite"]
    code, out, _ = run(capsys, *evaluate, "--trust", "--json")
    assert (code, [row["length"] for row in json.loads(out)["lengths"]]) == (0, [4, 8])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["own.py:NoVocabulary", "--memory", "gru"], "NoVocabulary says no vocabulary; set it to the number of ids"),
        (["own.py:Returns", "--memory", "gru"], "Returns drew a tuple; return mnesis.Episode(inputs, targets, weight)"),
        (["own.py:Raises", "--memory", "gru"], "RuntimeError: kaboom in my task (own.py, line 18)"),
        (["own.py:Beyond", "--memory", "gru"], "draws inputs with the id 7 where its vocabulary is 5"),
        (["own.py:Last", "--memory", "own.py:Wrong"], "RuntimeError: kaboom in my scan (own.py, line 25)"),
        (
            ["own.py:Last", "--memory", "own.py:Alone"],
            "Alone.scan returns a Tensor; return (y, state)",
        ),
        (["own.py:Nothing", "--memory", "gru"], "nothing there has that name"),
        (["own.py:Last", "--memory", "gru", "--task-options", "symbol=3"], "did you mean 'symbols'?"),
        (["own.py:Last", "--memory", "echo-state"], "mnesis compare own.py:Last --memories echo-state"),
        (["own.py:Last", "--memory", "gru", "--budget", "tokens=3"], "does not suffice for one update"),
        (["own.py:Last", "--memory", "gru", "--trackers", "wandbb"], "no tracker is called 'wandbb'; did you mean"),
        (["own.py:Last", "--memory", "gru", "--trackers", "aim"], "the tracker aim is not installed; pip install aim"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(capsys, own, arguments, sentence) -> None:
    code, _, error = run(capsys, "train", *arguments, "--length", "4", *SMALL)
    assert (code, error.count("\n")) == (2, 1), error
    assert sentence in error
    assert sorted(path.name for path in own.iterdir() if path.name != "__pycache__") == ["own.py"]


def test_a_call_as_it_was_goes_on_with_a_hint(capsys, here, monkeypatch) -> None:
    called = []
    monkeypatch.setattr("mnesis.cli.train._reader", lambda folder, *_: called.append(folder) or 0)
    (here / "old").mkdir()
    (here / "copy").mkdir()
    for words, folder in ((["runs/qa1"], "runs/qa1"), (["old"], "old")):
        code, _, error = run(capsys, "train", *words, "--memory", "gru", "--number", "2")
        assert code == 0
        assert f"mnesis train babilong --folder {folder}" in error
    assert run(capsys, "train", "babilong")[2] == ""
    assert called == [Path("runs/qa1"), Path("old"), Path("runs/babilong-armt")]
    code, _, error = run(capsys, "train", "copy", "--memory", "gru", "--number", "2")
    assert (code, "--number is an option of babilong alone, and the task is copy" in error) == (2, True)
    (here / "copy" / "source.json").write_text("{}")  # a reader's run
    assert "--folder copy" in run(capsys, "train", "copy", "--memory", "gru", "--number", "2")[2]


def test_a_run_without_words_is_not_streamed(capsys, trained) -> None:
    (trained / "text.txt").write_text("Mary went to the office.")
    code, _, error = run(capsys, "stream", str(trained / "text.txt"), "--model", str(trained))
    assert (code, error.count("\n")) == (2, 1)
    assert "was trained on copy and has no tokenizer; give a reader of text" in error


def test_a_run_that_does_not_say_its_task_is_asked_another(capsys, trained, tmp_path) -> None:
    shutil.copytree(trained, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    del config["task"]
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    (tmp_path / "old" / "scores.jsonl").unlink()
    code, _, error = run(capsys, "evaluate", str(tmp_path / "old"))
    assert (code, "give --task NAME" in error) == (2, True)
    asked = ["--task", "copy", "--task-options", "symbols=4", "--lengths", "4", "--sequences", "4", "--quiet"]
    assert run(capsys, "evaluate", str(tmp_path / "old"), *asked)[0] == 0
    code, _, error = run(capsys, "evaluate", str(tmp_path / "old"), "--streams", "3")
    assert (code, "is no reader of BABILong; leave --streams out" in error) == (2, True)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path) -> None:
    words = ["train", "copy", "--memory", "gru", "--length", "8", *SMALL, "--budget", "updates=3000"]
    command = [sys.executable, "-m", "mnesis.cli", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    folder = tmp_path / "runs" / "copy-gru"
    while process.poll() is None and not (folder / "metrics.jsonl").is_file():
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on from update" in out
    assert json.loads((folder / "threads.json").read_text()) == 1
    assert list(folder.glob("checkpoint-*"))
