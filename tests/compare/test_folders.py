"""Cells and leaderboards beside other people's files, damaged, and filled by two commands."""

import json
import shutil
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from mnesis.cli import main
from mnesis.compare import cell as cells
from mnesis.compare.cell import discard, read_cell, run_cell
from mnesis.compare.grid import run_grid, standing
from mnesis.compare.page import require_boards, write_boards
from mnesis.core.folders import alone
from tests.old.wrote_runs import SETTING

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "old" / "cell"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(OLD, tmp_path / "copy" / "gru")
    return tmp_path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "[] is not a mapping"),
        ("{}", "it has no entry 'asked'"),
        ("{", "is not whole JSON"),
        ("5", "5 is not a mapping"),
        ({"status": "great"}, "status='great'"),
        ({"status": "unfit"}, "does not belong there"),
        ({"asked": 5}, "asked=5 is not a mapping"),
        ({"dim": 0}, "dim=0"),
        ({"trainings": []}, "it is done and has no trainings"),
        ({"trainings": [5]}, "trainings[0] 5 is not a mapping"),
        ({"search": [{}]}, "search[0] has no entry 'folder'"),
        ({"rate": -1}, "rate=-1"),
        ({"search_seconds": None}, "search_seconds=None"),
    ],
)
def test_cells(folder, content, words):
    file = folder / "copy" / "gru" / "cell.json"
    if isinstance(content, dict):
        content = json.dumps({**json.loads(file.read_text()), **content})
    file.write_text(content)
    for what in (lambda: run_cell(SETTING, "gru", {}, file.parent), lambda: standing(folder)):
        with pytest.raises(
            ValueError, match=r"cell\.json .*; remove it to fill the cell anew, or give another"
        ) as told:
            what()
        assert words in str(told.value)
        assert "\n" not in str(told.value)


def test_scores(folder):
    file = folder / "copy" / "gru" / "cell.json"
    content = json.loads(file.read_text())
    content["trainings"][0]["scores"][1]["accuracy"] = "x"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"trainings\[0\]\.scores\[1\]\.accuracy 'x' is not a finite number"):
        read_cell(file)
    content["trainings"][0]["scores"] = []
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="a training has no scores"):
        read_cell(file)


def test_all_published_cells_are_read():
    found = standing(ROOT / "docs" / "results" / "leaderboard")
    assert len(found) >= 172
    require_boards(ROOT / "docs" / "results" / "leaderboard")


def test_another_setting_says_what_differs(folder):
    with pytest.raises(ValueError, match=r"another setting \(setting\.dim is 16 there and 32 here\); give another"):
        run_cell(replace(SETTING, dim=32), "gru", {}, folder / "copy" / "gru")


def test_overwriting_removes_cells_alone(folder):
    own = folder / "copy" / "gru"
    (own / "thesis.txt").write_text("mine")
    shutil.copytree(ROOT / "tests" / "old" / "run" / "begun", own / "seed-1")
    (own / "seed-1" / "notes.md").write_text("mine")
    (own / "seed-2").mkdir()
    (own / "seed-2" / "model.safetensors").write_text("mine, whatever it is called")
    (own / "search-old").mkdir()
    discard(own)
    left = sorted(str(path.relative_to(own)) for path in own.rglob("*") if path.is_file())
    assert left == ["seed-1/notes.md", "seed-2/model.safetensors", "thesis.txt"]
    (own / "cell.json").write_text('{"prison": 5}')
    with pytest.raises(ValueError, match=r"cell\.json cannot be read"):
        run_grid([SETTING], {"gru": {}}, folder, overwrite=True, progress=False)
    assert (own / "cell.json").read_text() == '{"prison": 5}'
    discard(folder / "absent")


def test_nothing_is_removed_for_a_cluster_that_is_not_there(folder, monkeypatch):
    whole = (folder / "copy" / "gru" / "cell.json").read_bytes()
    there = ModuleType("ray")
    there.__spec__ = ModuleSpec("ray", None)
    for module, words in ((None, "ray is not installed; pip install"), (there, "no Ray cluster answers at")):
        monkeypatch.setitem(sys.modules, "ray", module)
        with pytest.raises(ValueError, match=words):
            run_grid([SETTING], {"gru": {}}, folder, ray="127.0.0.1:1", overwrite=True, progress=False)
        assert (folder / "copy" / "gru" / "cell.json").read_bytes() == whole


def test_an_empty_cell_goes(folder):
    discard(folder / "copy" / "gru")
    assert not (folder / "copy" / "gru").exists()


@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.html", "leaderboard.json"])
def test_leaderboards_replace_nobody_elses_files(folder, name, capsys):
    (folder / name).write_text('["mine"]')
    with pytest.raises(SystemExit) as ended:
        main(["compare", "copy", "--memories", "gru", "--folder", str(folder), "--quiet"])
    assert ended.value.code == 2
    assert f"{name} is there and was not written by this command; move it away" in capsys.readouterr().err
    assert (folder / name).read_text() == '["mine"]'


def test_leaderboards_hold_all_cells_that_stand(folder):
    cell = read_cell(folder / "copy" / "gru" / "cell.json")
    lines, page = write_boards(folder, [])
    assert [line.memory for line in lines] == ["gru"]
    shutil.copytree(folder / "copy" / "gru", folder / "copy" / "lstm")
    (folder / "copy" / "lstm" / "cell.json").write_text(json.dumps({**cell, "memory": "lstm"}))
    lines, _ = write_boards(folder, [cell])
    assert {line.memory for line in lines} == {"gru", "lstm"}
    assert page.is_file()
    assert len(json.loads((folder / "leaderboard.json").read_text())) == 2


def test_a_cell_is_filled_by_one_command(folder, monkeypatch):
    """The second waits no longer than it takes to say so, and finds it filled when it comes again."""
    whole = (folder / "copy" / "gru" / "cell.json").read_bytes()
    (folder / "copy" / "gru" / "cell.json").unlink()
    with alone(folder / "copy" / "gru"):
        with pytest.raises(ValueError, match="another process is writing in"):
            run_cell(SETTING, "gru", {}, folder / "copy" / "gru")
        with pytest.raises(ValueError, match="another process is writing in"):
            discard(folder / "copy" / "gru")
    monkeypatch.setattr(cells, "_measure", None)  # nothing is measured
    (folder / "copy" / "gru" / "cell.json").write_bytes(whole)
    assert run_cell(SETTING, "gru", {}, folder / "copy" / "gru") == json.loads(whole)
