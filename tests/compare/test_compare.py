"""Comparisons: equal budgets and sizes, resumption, what cannot take part, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
import torch

from mnesis.cli import main
from mnesis.compare import cell as cells
from mnesis.compare import ways
from mnesis.compare.cell import run_cell
from mnesis.compare.grid import run_grid, standing
from mnesis.compare.leaderboard import effort, leaderboard, line, markdown
from mnesis.compare.processes import Processes
from mnesis.compare.setting import Budget, Match
from mnesis.core.catalog import card
from mnesis.memories.recurrent.gru import GRU

from .small import ARGUMENTS, SMALL, compare, without_clocks


def test_budgets_and_matches() -> None:
    assert Budget.parse("tokens=1.5M") == Budget("tokens", 1_500_000)
    assert Budget.parse("seconds=60") == Budget("seconds", 60)
    assert Match.parse("state=16k") == Match("state", 16_000)
    for text in ("steps=3", "tokens", "tokens=0"):
        with pytest.raises(ValueError, match=r"tokens=2M or seconds=60|give more than 0"):
            Budget.parse(text)
    with pytest.raises(ValueError, match="write parameters=100k or state=16k"):
        Match.parse("layers=2")


def test_a_cell(tmp_path) -> None:
    """Every memory trains on as many units; figures can be traced to the runs' configurations."""
    found = run_cell(SMALL, "gru", {}, tmp_path / "gru")
    other = run_cell(SMALL, "linear-attention", {}, tmp_path / "linear-attention")
    assert found["status"] == other["status"] == "done"
    assert [t["units"] for t in found["trainings"]] == [t["units"] for t in other["trainings"]]
    assert abs(found["trainings"][0]["units"] - 600) < 120, "lengths are drawn"
    assert [entry["rate"] for entry in found["search"]][:2] == [1e-3, 3e-3]
    assert len(found["search"]) == 3, "the best of two is always at an end"
    assert 0.5 < found["multiply_adds"] / found["parameters"] < 3, "most weights are used once a unit"
    best = max(found["search"], key=lambda entry: entry["bits"])
    assert found["rate"] == best["rate"]
    for training in found["trainings"]:
        config = json.loads((tmp_path / "gru" / training["folder"] / "config.json").read_text(encoding="utf-8"))
        assert config["recipe"]["learning_rate"] == best["rate"]
        assert config["recipe"]["seed"] == training["seed"]
        assert [score["length"] for score in training["scores"]] == [3, 6]
    assert run_cell(SMALL, "gru", {}, tmp_path / "gru") == found
    with pytest.raises(ValueError, match="a cell of another setting"):
        run_cell(replace(SMALL, dim=32), "gru", {}, tmp_path / "gru")


def test_a_cell_of_an_earlier_revision_is_stale(tmp_path, monkeypatch) -> None:
    """Its figures say what made them, and are not handed back once that has changed."""
    folder = tmp_path / "gru"
    found = run_cell(SMALL, "gru", {}, folder)
    made = found["made_by"]["memories"]["gru"]
    assert made["revision"] == 1
    assert made["options"] == {"dim": found["dim"], **_defaults(GRU)}, "defaults included"
    raised = replace(card("memories", "gru"), earlier=({},))
    other = lambda kind, name: raised if name == "gru" else card(kind, name)  # noqa: E731
    monkeypatch.setattr(ways, "card", other)
    stale = "holds a cell made with revision 1 of gru, which is at 2: its figures are stale; --overwrite it, or give"
    with pytest.raises(ValueError, match=stale):
        run_cell(SMALL, "gru", {}, folder)
    cells.discard(folder)
    assert run_cell(SMALL, "gru", {}, folder)["asked"]["revisions"] == {"gru": 2}
    assert run_cell(SMALL, "gru", {}, folder)["asked"]["revisions"] == {"gru": 2}, "read back"
    monkeypatch.setattr(ways, "TRAINING", 3)
    with pytest.raises(ValueError, match="made with revision 1 of training, which is at 3"):
        run_cell(SMALL, "gru", {}, folder)


def _defaults(cls: type) -> dict[str, Any]:
    options = signature(cls.__init__).parameters.values()
    return {option.name: option.default for option in options if option.default is not option.empty}


def test_a_rate_that_breaks_down_is_passed_over(tmp_path, monkeypatch) -> None:
    fit = ways.fit

    def breaking(network, task, recipe, *rest, **options):
        if recipe.learning_rate > 2e-3:
            raise FloatingPointError("the loss is nan")
        return fit(network, task, recipe, *rest, **options)

    monkeypatch.setattr(ways, "fit", breaking)
    found = run_cell(SMALL, "gru", {}, tmp_path / "some")
    assert found["search"][1]["bits"] is None
    assert found["search"][1]["broke"] == "the loss is nan"
    assert found["status"] == "done"
    assert found["rate"] < 2e-3
    monkeypatch.setattr(ways, "fit", lambda *_, **__: (_ for _ in ()).throw(FloatingPointError("nan")))
    failed = run_cell(SMALL, "gru", {}, tmp_path / "none")
    assert (failed["status"], failed["reason"]) == ("failed", "every learning rate of the search broke down")
    assert line(failed).bits is None


def test_seconds(tmp_path) -> None:
    """As many updates as were foretold once, however long they take."""
    setting = replace(SMALL, budget=Budget("seconds", 0.2))
    found = run_cell(setting, "gru", {}, tmp_path / "gru")
    assert found["status"] == "done"
    assert found["steps"] == json.loads((tmp_path / "gru" / "steps.json").read_text(encoding="utf-8")) >= 1


def test_too_small_a_budget(tmp_path) -> None:
    with pytest.raises(ValueError, match="does not suffice for one update of 4 rows"):
        run_cell(replace(SMALL, budget=Budget("tokens", 3)), "gru", {}, tmp_path / "gru")


def test_a_cluster_finds_the_same(tmp_path) -> None:
    pytest.importorskip("ray")
    memories = {"gru": {}, "elman": {}}
    here = run_grid([SMALL], memories, tmp_path / "here", progress=False)
    there = run_grid([SMALL], memories, tmp_path / "there", ray="local", progress=False)
    assert without_clocks(there) == without_clocks(here)
    with pytest.raises(ValueError, match="a cell of another setting"):
        run_grid([replace(SMALL, dim=32)], memories, tmp_path / "there", ray="local", progress=False)


def test_the_command(tmp_path) -> None:
    result = compare(*ARGUMENTS, "--json", "--tests", "16x", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = json.loads(result.stdout)
    assert {each["memory"] for each in lines} == {"gru", "elman"}
    assert [length for length, _, _ in lines[0]["by_length"]] == [3, 6, 12, 24, 48]
    assert json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8")) == lines
    assert "## copy" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "gru on copy" in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kopy",), "did you mean 'copy'?"),
        (("copy", "--memories", "gruu"), "did you mean 'gru'?"),
        (("copy", "--memories", "gru", "--options", "dim=3"), "gru is given dim by --dim"),
        (("copy", "--memories", "gru,lstm", "--options", "dim=3"), "write MEMORY:key=value"),
        (("copy", "--memories", "gru", "--budget", "tokens=3"), "does not suffice for one update"),
        (("copy", "--memories", "gru", "--task-options", "symbols=1"), "symbols=1 is not a whole number of at least 2"),
        (("multi-query-recall", "--memories", "gru", "--length", "100"), "raise it"),
        (("babilong", "--memories", "gru"), "the catalog has no lengths for babilong"),
        (("copy", "--memories", "gru", "--trackers", "wandbb"), "no tracker is called 'wandbb'; did you mean 'wandb'?"),
        (("copy", "--memories", "gru", "--csv", "nowhere/x.csv"), "there is no folder nowhere for x.csv; make it"),
        ((), "TASK is missing; give one or more, or --redraw what stands in --folder"),
        (("copy", "--threads", "0"), "--threads 0 is not a whole number between 1 and 1024"),
        (("copy", "--memories", "gru", "--ray", "127.0.0.1:1"), "--ray"),
    ],
)
def test_bad_input(arguments, message, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments, "--folder", str(tmp_path), "--quiet"])
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_what_stands_is_read_back_without_a_process(tmp_path, monkeypatch) -> None:
    expected = run_grid([SMALL], {"gru": {}}, tmp_path, progress=False)
    begun: list[str] = []
    monkeypatch.setattr(Processes, "try_all", lambda _, places: begun.extend(each.memory for each in places))
    assert run_grid([SMALL], {"gru": {}}, tmp_path) == expected
    assert not begun
    with pytest.raises(ValueError, match="a cell of another setting"):
        run_grid([SMALL], {"elman": {}, "gru": {"hidden": 8}}, tmp_path, progress=False)
    assert not begun, "refused before anything is trained"


@pytest.mark.slow
def test_cells_of_earlier_commands_are_shown_too(tmp_path) -> None:
    run_grid([SMALL], {"gru": {}}, tmp_path, progress=False)
    found = run_grid([SMALL], {"elman": {}}, tmp_path, progress=False)
    both = found + standing(tmp_path, found)
    assert [cell["memory"] for cell in both] == ["elman", "gru"]
    assert both[1]["machine"].endswith(f"torch {torch.__version__}")
    moved = tmp_path / "copy" / "Mine"
    moved.mkdir()
    text = json.dumps({**found[0], "memory": "gone.py:Mine"})
    (moved / "cell.json").write_text(text, encoding="utf-8")
    assert [cell["memory"] for cell in standing(tmp_path)] == ["elman", "gru"], "of no file that is gone"
    text = markdown(leaderboard(both), effort(both))
    assert text.startswith("2 of 2 cells are done: ")
