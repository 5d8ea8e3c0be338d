"""Runs, evaluations and cells that 8c606dd wrote open, go on, and say the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from mnesis.compare.cell import run_cell
from mnesis.compare.grid import standing
from mnesis.compare.leaderboard import Line, leaderboard
from mnesis.core.folders import is_ours
from mnesis.learn.checkpoint import read_tensors
from mnesis.learn.fit import read_result
from mnesis.measure import write_report
from mnesis.measure.pages.runs import load_run
from mnesis.measure.streaming.records import read_records
from mnesis.measure.streaming.summary import Results

from .wrote_runs import LENGTHS, SETTING, STREAMS, fill, read, train

OLD = Path(__file__).parent
TIMED = ("seconds", "units_per_second", "search_seconds", "peak_bytes", "growth_bytes")
NEAR = {"rel": 1e-4, "abs": 1e-6}
"""Processors round differently."""


def untimed(tree):
    """As JSON, without what clocks and allocators say."""
    if isinstance(tree, dict):
        return {key: untimed(value) for key, value in tree.items() if key not in TIMED}
    return [untimed(value) for value in tree] if isinstance(tree, (list, tuple)) else tree


def near(found, expected):
    """The same, numbers up to rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            near(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            near(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, **NEAR)
    else:
        assert found == expected


def metrics(folder):
    return untimed([json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()])


def test_a_run_half_trained_goes_on(tmp_path):
    shutil.copytree(OLD / "run" / "begun", tmp_path / "run")
    network, result = train(tmp_path / "run", seed=5)
    whole = read_tensors(OLD / "run" / "whole" / "model.safetensors")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, whole[name], rtol=1e-4, atol=1e-6)
    near(metrics(tmp_path / "run"), metrics(OLD / "run" / "whole"))
    finished = read_result(OLD / "run" / "whole")
    near(vars(result.stages[0]), vars(finished.stages[0]))
    near(vars(result.stages[1]), vars(finished.stages[1]))
    assert (result.updates, result.units) == (finished.updates, finished.units) == (18, 336)


def test_an_evaluation_goes_on(tmp_path):
    folder = tmp_path / "evaluation"
    shutil.copytree(OLD / "evaluation", folder)
    results = json.loads((folder / "results.json").read_text())
    assert len(read_records(folder)) == len(LENGTHS) * STREAMS
    assert is_ours(folder / "results.json", Results)
    assert untimed(load_run(folder).results) == untimed(results)
    file = folder / "evaluation.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:8]) + lines[8][:50])  # as a kill leaves it
    near(untimed(read(folder).results), untimed(results))
    assert [json.loads(line)["stream"] for line in file.read_text().splitlines()[1:]] == [*range(STREAMS)] * 2
    assert write_report([folder]).is_file()


def test_a_cell_is_read_and_filled_alike(tmp_path):
    folder = tmp_path / "copy" / "gru"
    shutil.copytree(OLD / "cell", folder)
    cell = json.loads((folder / "cell.json").read_text())
    assert run_cell(SETTING, "gru", {}, folder) == cell
    assert standing(tmp_path) == [cell]
    assert leaderboard([cell])[0].bits.median == pytest.approx(sum(_bits(cell)) / 2)
    anew = fill(tmp_path / "anew")
    later = {"machine": anew["machine"], "made_by": anew["made_by"], "sees": None, "inside": []}
    near(untimed(anew), untimed({**cell, **later}))
    assert not is_ours(folder / "cell.json", list[Line])


def _bits(cell):
    return [training["scores"][0]["bits"] for training in cell["trainings"]]
