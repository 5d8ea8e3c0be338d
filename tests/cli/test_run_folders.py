"""Folders that train and bench write into: nothing is left of what is refused, and nothing of others is replaced."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mnesis.cli import main
from mnesis.cli.designs import ReaderDesign
from mnesis.cli.runs import open_run
from mnesis.cli.training import train_reader
from mnesis.core.files import read_json
from mnesis.core.folders import alone
from mnesis.learn import Recipe, Stage
from mnesis.tasks.stories.babilong.source import BABILongSource

from .test_commands import short_phases

SOURCE = BABILongSource(vocabulary=600)
DESIGN = ReaderDesign("gru", 16, 1, 16, None)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code, capsys.readouterr().err


def train(folder, source=SOURCE, design=DESIGN, **options):
    return train_reader(folder, source, design, short_phases()[:1], progress=False, **options)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(folder)
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--memory", "gru", "--options", "nope=3"],
        ["--memory", "gruu"],
        ["--background", "absent"],
        ["--stories", "absent.zip"],
        ["--memory", "linear-attention", "--options", "heads=7"],
    ],
)
def test_a_refused_training_leaves_nothing(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, error = run(capsys, "train", "babilong", "--folder", "runs/x", *arguments, "--vocabulary", "600")
    assert (code, error.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_fails_before_its_first_update_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="nonesuch"):
        train(tmp_path / "run", trackers=("nonesuch",))
    assert list(tmp_path.iterdir()) == []


def test_other_data_say_what_differs(folder):
    before = content(folder)
    with pytest.raises(
        ValueError, match=r"a run on other data \(number is 1 there and 2 here; vocabulary is 600 there"
    ):
        train(folder, BABILongSource(2, vocabulary=700))
    assert content(folder) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "model.safetensors"])
def test_somebody_elses_model_is_not_replaced(tmp_path, name, overwrite):
    """Such as a downloaded one."""
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=rf"holds {name} and no source\.json .*choose another folder, or move it away"):
        train(tmp_path, overwrite=overwrite)
    assert content(tmp_path) == {name: b"{}"}


def test_overwriting_removes_the_run_alone(folder):
    (folder / "thesis.txt").write_text("mine")
    (folder / "phase-1" / "notes.txt").write_text("mine")
    (folder / "phase-9").mkdir()
    (folder / "phase-9" / "model.safetensors").write_text("mine")
    before = content(folder)
    train(folder, BABILongSource(vocabulary=700), overwrite=True)
    after = content(folder)
    assert {name for name in after if after[name] == b"mine"} == {
        "thesis.txt", "phase-1/notes.txt", "phase-9/model.safetensors"
    }  # fmt: skip
    assert after.keys() == before.keys()
    assert after["source.json"] != before["source.json"]


def test_one_training_at_a_time(folder):
    before = content(folder)
    with alone(folder), pytest.raises(ValueError, match="another process is writing in"):
        train(folder, overwrite=True)
    assert content(folder) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not whole JSON"),
        ("[]", "[] is not a mapping"),
        ('{"number": "x"}', "number='x'"),
        ('{"more": 1}', "more"),
    ],
)
def test_damaged_sources(folder, text, words):
    (folder / "source.json").write_text(text)
    with pytest.raises(ValueError, match=r"source\.json .*; choose another folder, or remove the run") as told:
        train(folder)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"config": {"source": 5}},
            "config.json: source cannot be read: this is no BABILong source: 5 is not a mapping",
        ),
        ({"config": {"source": {"background": 5}}}, "background=5 is not text"),
        ({"config": {"source": {"held_out": "x"}}}, "held_out='x' is not a list"),
        ({"config": 5}, "was not trained on BABILong"),
    ],
)
def test_sources_in_configurations(trained, config, words):
    opened = replace(open_run(str(trained)), config=config)
    with pytest.raises(ValueError, match=r"restore the file|was not trained") as told:
        _ = opened.source
    assert words in str(told.value)


def test_a_finished_run_is_cleared_of_what_kills_left(folder):
    before = content(folder)
    phase = folder / "phase-1"
    old = Path(__file__).parents[1] / "old" / "run" / "begun" / "checkpoint-000000011"
    shutil.copytree(old, phase / "checkpoint-000000011")
    shutil.copytree(old, phase / ".checkpoint-000000002.removed")
    (phase / ".checkpoint-000000003.partial").mkdir()
    (phase / ".metrics.jsonl.abcd1234").write_text("half")
    (phase / "best-000000004.safetensors").write_text("half")
    (phase / ".lock").touch()
    (folder / ".lock").touch()
    (folder / ".model.safetensors.abcd1234").mkdir()
    (folder / ".mine.abcd1234").write_text("mine")
    _, result = train(folder)
    assert result.finished
    (folder / ".mine.abcd1234").unlink()
    assert content(folder) == before
    assert not list(folder.rglob(".*"))


def test_a_training_that_breaks_down_says_so(capsys, tmp_path, monkeypatch):
    from mnesis.cli import train as command
    from mnesis.cli.recipes import Phase

    recipe = Recipe((Stage(64, 4, 50, truncation=64, update="window"),), learning_rate=1e30, clip=None)
    monkeypatch.setattr("mnesis.cli.recipes.phases", lambda *_, **__: [Phase(recipe, 64, 64, {"forks": 0})])
    monkeypatch.setattr(command, "phases", lambda *_, **__: [Phase(recipe, 64, 64, {"forks": 0})], raising=False)
    sizes = ["--memory", "gru", "--dim", "16", "--depth", "1", "--vocabulary", "600", "--threads", "1", "--quiet"]
    code, error = run(capsys, "train", "babilong", "--folder", str(tmp_path / "run"), *sizes)
    assert (code, error.count("\n")) == (2, 1)
    assert "lower learning_rate=1e+30" in error
    assert (tmp_path / "run" / "phase-1" / "checkpoint-000000000").is_dir()


def test_bench_writes_alone(capsys, tmp_path):
    arguments = ["bench", "gru", "--quick", "--only", "stepping", "--dim", "8", "--output", str(tmp_path / "a.md")]
    with alone(tmp_path, name="a.md"):
        code, error = run(capsys, *arguments)
    assert (code, error.count("\n")) == (2, 1)
    assert "another process is writing in" in error
    assert list(tmp_path.iterdir()) == []


def test_figures_of_a_run_are_its_own(folder):
    """What is merged over phases reads as it did."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    phase = [json.loads(line) for line in (folder / "phase-1" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [line["loss"] for line in phase]
    assert read_json(folder / "config.json", dict, mend="")["config"]["source"]["vocabulary"] == 600
