"""Damaged and foreign files where an evaluation and its report stand."""

import json
import shutil
from pathlib import Path

import pytest

from mnesis.core.folders import alone
from mnesis.measure import write_report
from mnesis.measure.pages.runs import load_run
from mnesis.measure.streaming.records import read_records
from tests.old.wrote_runs import read

OLD = Path(__file__).parents[1] / "old" / "evaluation"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(OLD, tmp_path / "run")
    return tmp_path / "run"


def change(folder, number, values):
    """Change a line of the records: with a mapping its entries, with text the whole of it."""
    file = folder / "evaluation.jsonl"
    lines = file.read_text().splitlines()
    if isinstance(values, dict):
        content = json.loads(lines[number - 1])
        for key, value in values.items():
            *path, last = key.split(".")
            inner = content
            for part in path:
                inner = inner[int(part)] if part.isdigit() else inner[part]
            inner[last] = value
        values = json.dumps(content)
    lines[number - 1] = values
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("number", "values", "words"),
    [
        (1, "5", "5 is not a mapping"),
        (1, "[]", "[] is not a mapping"),
        (1, "null", "None is not a mapping"),
        (1, {"identity": [1]}, "identity=[1] is not a mapping"),
        (1, {"format": "x"}, "format='x' is not a whole number"),
        (1, {"format": 2}, "has format 2, this mnesis reads 1 and below"),
        (3, "", "is not whole JSON"),
        (3, "\0\0", "is not whole JSON"),
        (3, "{", "is not whole JSON"),
        (3, {"length": "x"}, "length='x' is not a whole number"),
        (3, {"length": -20}, "length=-20"),
        (3, {"length": 10**30}, "length=1000000000000000000000000000000"),
        (3, {"stream": -1}, "stream=-1"),
        (3, {"stream": 5}, "is not that of stream 5"),
        (3, {"seed": 5}, "seed=5 is not that of stream 1"),
        (3, {"questions": []}, "asks nothing where others do"),
        (3, {"questions": None}, "questions=None is not a list"),
        (3, {"questions.0.reply.bits": None}, "questions[0].reply.bits None is not a finite number"),
        (3, {"questions.0.depth": 2}, "questions[0].depth 2"),
        (3, {"questions.0.reply.correct": 1}, "questions[0].reply.correct 1 is not true or false"),
        (3, {"questions.0.reply": []}, "questions[0].reply [] is not a mapping"),
        (3, {"more": 1}, "an entry 'more' that does not belong there"),
        (3, {"units": 1.5}, "units=1.5"),
    ],
)
def test_records(folder, number, values, words):
    change(folder, number, values)
    before = (folder / "evaluation.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"evaluation\.jsonl.*(remove the file|upgrade)") as told:
        read(folder)
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    if "nothing" not in words:
        assert f"line {number} of" in str(told.value)
        assert any(words in problem for problem in [*load_run(folder).problems, *_problems(folder)])
    assert (folder / "evaluation.jsonl").read_bytes() == before


def _problems(folder):
    """What a report says where results.json is gone."""
    (folder / "results.json").unlink()
    return load_run(folder).problems


@pytest.mark.parametrize(
    ("number", "length", "words"), [(12, 0, "0 it holds stream 4"), (4, 60, "20 it holds stream 5")]
)
def test_a_changed_length_leaves_streams_without_their_earlier_ones(folder, number, length, words):
    change(folder, number, {"length": length})
    with pytest.raises(ValueError, match=rf"of length {words} and not stream \d; remove the file to evaluate anew"):
        read_records(folder)


def test_readers_change_nothing(folder):
    file = folder / "evaluation.jsonl"
    torn = file.read_bytes()[:-30]
    file.write_bytes(torn)
    assert len(read_records(folder)) == 11
    write_report([folder])
    assert file.read_bytes() == torn


def test_one_evaluation_at_a_time(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with alone(folder):
        with pytest.raises(ValueError, match="another process is writing in"):
            read(folder)
        (folder / "evaluation.jsonl").write_bytes(before["evaluation.jsonl"] + b'{"half')  # the other one's line
        page = write_report([folder])  # may be looked at meanwhile
        assert (folder / "evaluation.jsonl").read_bytes().endswith(b'{"half')
    assert page.is_file()
    assert (folder / "results.json").read_bytes() == before["results.json"]


def test_a_refused_evaluation_leaves_nothing(tmp_path, folder):
    (folder / "evaluation.jsonl").unlink()
    (folder / "results.json").write_text('{"mine": 1}')
    with pytest.raises(ValueError, match=r"results\.json is there and was not written by this command; move it away"):
        read(folder)
    assert (folder / "results.json").read_text() == '{"mine": 1}'
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "results.json"]


@pytest.mark.parametrize("name", ["report.html", "figures/accuracy.svg", "figures/cost.png"])
def test_reports_replace_nobody_elses_files(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(ValueError, match="was not written by this command; move it away, or give another place"):
        write_report([folder])
    assert (folder / name).read_text() == "mine"
    if name == "report.html":
        write_report([folder], overwrite=True)
        write_report([folder])  # our own


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "[] is not a mapping"),
        ('{"recipe": 5}', "recipe 5 is not a mapping"),
        ('{"recipe": {"stages": [5]}}', "is not a mapping"),
        ('{"recipe": {"stages": [{"length": "x"}]}}', "length 'x'"),
        ('{"trained_length": "x"}', "trained_length 'x'"),
        ('{"config": {"trained_length": -1}}', "trained_length -1"),
    ],
)
def test_configurations_in_reports(folder, content, words):
    (folder / "config.json").write_text(content)
    run = load_run(folder)
    assert run.config == {}
    assert any(words in problem and "it is left out" in problem for problem in run.problems)


def test_a_config_may_say_anything_else(folder):
    (folder / "config.json").write_text('{"config": 5, "command": 5, "more": [[{"a": null}]]}')
    assert load_run(folder).config["more"] == [[{"a": None}]]
    write_report([folder])


@pytest.mark.parametrize("content", ["5", "{}", '{"lengths": [{}]}', '{"lengths": [5], "samples": []}'])
def test_results_in_reports(folder, content):
    (folder / "results.json").write_text(content)
    run = load_run(folder)
    assert len(run.lengths) == 2, "from the records"
    assert any("results.json cannot be read" in problem for problem in run.problems)
