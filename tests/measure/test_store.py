import json

import pytest

from mnesis.measure import evaluate
from mnesis.measure.streaming.records import read_records
from mnesis.measure.streaming.stream import stream_seed

from .conftest import First, Perfect

TIMED = ("units_per_second", "peak_bytes", "growth_bytes")


def run(folder, task=None, memory=None, **options):
    options = {"lengths": [10, 50], "streams": 6, "batch": 2, "store": folder, "progress": False} | options
    return evaluate(memory or Perfect(), task or First(2), **options)


def untimed(evaluation):
    return [{key: value for key, value in row.items() if key not in TIMED} for row in evaluation.lengths]


def test_a_killed_evaluation_goes_on(tmp_path):
    whole = run(tmp_path)
    file = tmp_path / "evaluation.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 12
    file.write_text("".join(lines[:5]) + lines[5][:40])  # four streams, and a torn line
    (tmp_path / "results.json").unlink()

    task = First(2)
    again = run(tmp_path, task)
    read = task.drawn[2:]  # the first two warm up
    assert read == [*((10, stream_seed(0, i)) for i in (4, 5)), *((50, stream_seed(0, i)) for i in range(6))]
    assert untimed(again) == untimed(whole)
    assert again.results["samples"] == whole.results["samples"]
    assert (tmp_path / "results.json").is_file()
    assert len(file.read_text().splitlines()) == 1 + 12


def test_what_is_done_is_not_read_again(tmp_path):
    first = run(tmp_path)
    task = First(2)
    assert untimed(run(tmp_path, task)) == untimed(first)
    assert task.drawn == []


def test_lengths_may_be_added(tmp_path):
    run(tmp_path, lengths=[10], about={"command": "first"})
    assert [row["length"] for row in run(tmp_path, lengths=[20], about={"command": "then"}).lengths] == [10, 20]
    assert len(run(tmp_path, lengths=[10], streams=8).streams) == 8 + 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": Perfect(0.5)}, None),
        ({"seed": 1}, "another seed"),
        ({"task": First(1)}, "another task"),
        ({"questions": 1}, "another questions"),
        ({"about": {"background": "books"}}, "another about"),
    ],
)
def test_other_evaluations_do_not_mix(tmp_path, options, message):
    run(tmp_path)
    if message is None:
        options["memory"].scale.data.fill_(2.0)
        message = "another weights"
    with pytest.raises(ValueError, match=message):
        run(tmp_path, **options)


def test_a_broken_middle_is_refused(tmp_path):
    run(tmp_path)
    file = tmp_path / "evaluation.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + "{broken\n" + "".join(lines[2:]))
    with pytest.raises(ValueError, match="line 2 of"):
        run(tmp_path)


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "evaluation.jsonl").write_text(json.dumps({"format": 99}) + "\n")
    with pytest.raises(ValueError, match="format 99, this mnesis reads 1"):
        run(tmp_path)


def test_records_read_back(tmp_path):
    assert read_records(tmp_path) == []
    assert read_records(tmp_path / "absent") == []
    assert run(tmp_path).streams == read_records(tmp_path)
