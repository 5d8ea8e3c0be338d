"""Damaged files of runs: one sentence with file, value, rule and mend, or the same training as from whole ones."""

import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mnesis.core.files import read_lines
from mnesis.core.run_files import Line, read_metrics
from mnesis.learn import Stage, checkpoint, fit
from tests.old.wrote_runs import train

from .tiny import Echo, model, recipe

OLD = Path(__file__).parents[1] / "old" / "run"


@pytest.fixture
def begun(tmp_path):
    shutil.copytree(OLD / "begun", tmp_path / "run")
    return tmp_path / "run"


def refused(folder, *words):
    with pytest.raises(ValueError, match=r"overwrite=True|train in another folder") as told:
        train(folder, seed=5)
    sentence = str(told.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def position(folder):
    return checkpoint.latest(folder) / "position.json"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "it has no entry 'format'"),
        ("[]", "[] is not a mapping"),
        ("", "is not whole JSON"),
        ("{", "is not whole JSON"),
        ("\0\0", "is not whole JSON"),
        ("[" * 100_000, "nested deeper"),
        ({"format": "x"}, "format='x' is not a whole number"),
        ({"format": 2}, "has format 2, this mnesis reads 1 and below; upgrade mnesis"),
        ({"processes": 0}, "processes=0 is not a whole number of at least 1"),
        ({"processes": 10**9}, "processes=1000000000, more than a batch has rows"),
        ({"carried": False}, "carried=False, which does not fit"),
        ({"carried": 1}, "carried=1 is not true or false"),
        ({"more": 1}, "an entry 'more' that does not belong there"),
        ({"position": {}}, "update=0, which is not that of its folder"),
    ],
)
def test_position_file(begun, content, words):
    file = position(begun)
    if isinstance(content, dict):
        content = json.dumps({**json.loads(file.read_text()), **content})
    file.write_text(content)
    refused(begun, "checkpoint-000000011", "position.json", words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"update": -5}, "position.update -5"),
        ({"update": 12}, "update=12, which is not that of its folder"),
        ({"update": 11.0}, "position.update 11.0"),
        ({"stage": 99}, "stage=99"),
        ({"stage": 0}, "stage=0"),
        ({"stage_update": 12}, "stage_update=12 of a stage of 12"),
        ({"stage_update": 4}, "update=11 where the stages count 10"),
        ({"window": 10**9}, "window=1000000000 after 5 updates"),
        ({"window": 4}, "after window 4 of an episode of 4"),
        ({"window": -1}, "position.window -1"),
        ({"progress": 0.0}, "progress=0.0 where 11 updates make 0.611111"),
        ({"progress": 2.0}, "position.progress 2.0"),
        ({"units": -1}, "position.units -1"),
        ({"seconds": "x"}, "position.seconds 'x'"),
        ({"unknown": 1}, "an entry 'unknown'"),
        ({"line": []}, "line []"),
        ({"line": {"asked": -1}}, "line.asked -1"),
        ({"recent": [[1.0, 2]]}, "recent"),
        ({"recent": [[1.0, 3, 2]]}, "more right answers than there were"),
        ({"recent": [[1e999, 3, 4]]}, "is no JSON number"),
        ({"stages": []}, "stage=1 after 0 results"),
        ({"stages": [{"updates": 5, "promoted": False, "loss": None, "accuracy": None}]}, "updates=5 of a stage of 6"),
        ({"best": 5}, "best 5"),
        ({"best": {"update": 99, "score": 1.0}}, "best.update=99"),
    ],
)
def test_positions_that_no_training_reaches(begun, values, words):
    """Some of these went on and ended with other weights, or never ended."""
    file = position(begun)
    content = json.loads(file.read_text())
    content["position"] |= values
    file.write_text(json.dumps(content))
    refused(begun, "position.json" if "episode of" not in words else "cannot be continued", words)


def change(folder, name, function):
    path = checkpoint.latest(folder) / name
    tensors = load_file(path)
    function(tensors)
    save_file(tensors, path)


def nan(name):
    return lambda tensors: tensors[name].view(-1)[:1].fill_(torch.nan)


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("model.safetensors", nan("head.weight"), "holds NaN (head.weight)"),
        ("model.safetensors", lambda t: t.pop("head.weight"), "another memory (head.weight"),
        ("optimiser.safetensors", nan("head.weight.exp_avg"), "holds NaN (head.weight.exp_avg)"),
        ("optimiser.safetensors", lambda t: t.clear(), "holds moments of another shape"),
        ("optimiser.safetensors", lambda t: t.pop("head.weight.step"), "head.weight.step: nothing there, [] here"),
        (
            "optimiser.safetensors",
            lambda t: t.update({"head.weight.exp_avg": torch.zeros(3)}),
            "head.weight.exp_avg: [3] there, [5, 8] here",
        ),
        ("draws.safetensors", lambda t: t.clear(), "no state of a generator named 'generator'"),
        ("draws.safetensors", lambda t: t.update(generator=t["generator"][:9]), "no state of a generator"),
        ("process-0.safetensors", lambda t: t.clear(), "no state of a generator named 'cpu'"),
        ("process-0.safetensors", lambda t: t.update(cpu=torch.zeros(5056)), "no state of a generator named 'cpu'"),
    ],
)
def test_tensors(begun, name, function, words):
    change(begun, name, function)
    refused(begun, name, words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "is not whole JSON"),
        ("\0\0\0", "is not whole JSON"),
        ("[]", "[] is not a mapping"),
        ('{"stage": 0}', "it has no entry 'update'"),
        ('{"update": "x"}', "update='x'"),
    ],
)
def test_metrics(begun, line, words):
    file = begun / "metrics.jsonl"
    lines = file.read_text().splitlines()
    if line.startswith('{"update'):
        line = json.dumps({**json.loads(lines[3]), **json.loads(line)})
    file.write_text("\n".join([*lines[:3], line, *lines[4:]]) + "\n")
    refused(begun, "line 4 of", "metrics.jsonl", words)


def test_torn_ends_and_figures_that_are_none(tmp_path):
    line = {"update": 1, "stage": 0, "length": 3, "loss": None, "accuracy": None, "units": 9, "seconds": 0.5}
    text = json.dumps({**line, "validation": {"loss": 1.0}}) + "\n"
    for end in ("", text[:20], text[:-1], "\0" * 40, "\0" * 40 + "\n"):
        (tmp_path / "metrics.jsonl").write_text(text.replace("1.0", "NaN") + text + end)
        found = read_metrics(tmp_path, mend="")
        assert str([each["validation"]["loss"] for each in found]) == "[nan, 1.0]"
    bad = []
    (tmp_path / "metrics.jsonl").write_text(text + "5\n" + text)
    assert len(read_metrics(tmp_path, mend="remove it", bad=bad)) == 2
    assert bad == [f"line 2 of {tmp_path / 'metrics.jsonl'} cannot be read: 5 is not a mapping; remove it"]
    assert read_lines(tmp_path / "absent", Line, mend="").entries == []


@pytest.mark.parametrize("content", ["{}", "[]", "5", "{", '{"config": {}, "recipe": 5, "memory": {}}'])
def test_config(begun, content):
    (begun / "config.json").write_text(content)
    refused(begun, "config.json")


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"updates": -1}'])
def test_results(tmp_path, content):
    fit(model(), Echo(), recipe(Stage(5, 2, 2)), tmp_path, progress=False)
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(ValueError, match=r"training\.json .*overwrite=True"):
        fit(model(), Echo(), recipe(Stage(5, 2, 2)), tmp_path, progress=False)


@pytest.mark.parametrize("size", [100, 4000, 6000])
def test_a_full_disk_is_one_sentence_and_loses_nothing(begun, size):
    """A file may grow to so many bytes: metrics, generators or moments do not fit."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        said = b"no sentence"
        try:
            train(begun, seed=5)
        except ValueError as error:
            said = str(error).encode()
        finally:
            os.write(write, said)
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as told:
        sentence = told.read()
    assert "it is larger than a file may be here; make room, and do the same again" in sentence
    assert str(begun) in sentence
    assert "\n" not in sentence
    network, _ = train(begun, seed=5)
    whole = checkpoint.read_tensors(OLD / "whole" / "model.safetensors")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, whole[name], rtol=1e-4, atol=1e-6)
    assert not list(begun.rglob(".*"))
