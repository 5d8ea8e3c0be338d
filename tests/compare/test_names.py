"""Names that look alike, names that hold markup, and processes whose parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnesis.cli import main
from mnesis.compare.grid import places, run_grid, standing
from mnesis.compare.leaderboard import leaderboard, markdown
from mnesis.compare.names import labels
from mnesis.compare.page import write_page
from mnesis.measure import progress
from tests.compare.small import SMALL

LEAKY = Path(__file__).parents[1] / "core" / "broken.py"


def test_labels_tell_all_apart() -> None:
    assert labels(["gru", "own/a.py:Mine"]) == {"gru": "gru", "own/a.py:Mine": "Mine"}
    assert labels(["own/a.py:Mine", "own/b.py:Mine"]) == {"own/a.py:Mine": "a.Mine", "own/b.py:Mine": "b.Mine"}
    told = labels(["x/a.py:Mine", "y/a.py:Mine", "m.a:Mine", "a.py:Mine", "../a.py:Mine"])
    assert list(told.values())[:3] == ["x.a.Mine", "y.a.Mine", "m.a.Mine"]
    assert len(set(told.values())) == 5
    assert all(("/" not in label and label.endswith("Mine")) or "-" in label for label in told.values())


@pytest.mark.slow
def test_two_classes_of_one_name_take_part(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.py").write_text(LEAKY.read_text(encoding="utf-8"), encoding="utf-8")
    setting = replace(SMALL, rates=(1e-3,), seeds=1)
    both: dict[str, dict] = {"a.py:Leaky": {}, "b.py:Leaky": {}}
    found = run_grid([setting], both, Path("out"), progress=False)
    assert [(cell["memory"], cell["status"]) for cell in found] == [("a.py:Leaky", "done"), ("b.py:Leaky", "done")]
    assert sorted(path.parent.name for path in Path("out/copy").glob("*/cell.json")) == ["a.Leaky", "b.Leaky"]
    assert run_grid([setting], both, Path("out"), progress=False) == found, "read back"
    text = write_page(Path("out"), standing(Path("out"))).read_text(encoding="utf-8")
    assert 'id="copy--a.Leaky"' in text
    assert 'id="copy--b.Leaky"' in text


def test_one_that_stands_keeps_its_folder(tmp_path) -> None:
    """The second class of a name comes with a later command."""
    asked = {"memory": "own/a.py:Mine", "options": {}, "setting": {}}
    cell = {"asked": asked, "task": "copy", "memory": "own/a.py:Mine", "status": "unfit", "reason": ""}
    (tmp_path / "copy" / "Mine").mkdir(parents=True)
    (tmp_path / "copy" / "Mine" / "cell.json").write_text(json.dumps(cell), encoding="utf-8")
    folders = {
        place.memory: place.folder.name for place in places([SMALL], {"own/a.py:Mine": {}, "b:Mine": {}}, tmp_path)
    }
    assert folders == {"own/a.py:Mine": "Mine", "b:Mine": "b.Mine"}
    (other,) = places([SMALL], {"b:Mine": {}}, tmp_path)
    assert other.folder.name == "b.Mine"


def test_markup_in_names_and_reasons_is_text() -> None:
    cell = {
        "task": "t.py:<b>",
        "memory": "a|b_c*d*`[x](http://y)<script>",
        "status": "failed",
        "reason": "a\nb <i> _u_",
    }
    text = markdown(leaderboard([cell]), "on a <machine>")
    assert text == (
        "on a &lt;machine&gt;\n\n## t.py:&lt;b&gt;\n\n"
        "| memory | % | bits | held | state B | bits/B | weights | mult-adds | units/s |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        "| a\\|b_c\\*d\\*\\`\\[x\\](http://y)&lt;script&gt; | failed |  |  |  |  |  |  |  |\n\n"
        "- a\\|b_c\\*d\\*\\`\\[x\\](http://y)&lt;script&gt; failed: a b &lt;i&gt; \\_u\\_\n"
    )


TASKS = """
import mnesis
from mnesis.tasks.copying.copy import Copy

class Silent(Copy):
    def __init__(self):
        super().__init__(symbols=4)
        del self.vocabulary

class Tuples(Copy):
    def episodes(self, batch, length, generator):
        return tuple(super().episodes(batch, length, generator))

class Abstract(mnesis.Task):
    vocabulary, chance = 4, 0.25
"""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Silent", "own.py:Silent says no vocabulary; set self.vocabulary to a number"),
        ("Tuples", "own.py:Tuples draws a tuple and no Episode; return mnesis.Episode(inputs, targets, weight)"),
        ("Abstract", "own.py:Abstract does not define episodes, as every Task must; write it"),
    ],
)
def test_tasks_that_are_none_are_refused_at_once(name, sentence, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(TASKS, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["compare", f"own.py:{name}", "--memories", "gru", "--length", "2", "--tests", "2"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not Path("runs").exists()


def test_a_class_file_that_breaks_is_refused(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for body, reason in (
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ):
        Path(f"{reason[:4]}.py").write_text(body, encoding="utf-8")
        with pytest.raises(SystemExit) as end:
            main(["laws", f"{reason[:4]}.py:Mine"])
        assert end.value.code == 2
        assert (
            f"cannot import {reason[:4]}.py:Mine ({reason} ({reason[:4]}.py, line 1)); mend it there"
            in capsys.readouterr().err
        )


def test_the_bar_stays_beside_long_names(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(progress, "PATIENCE", -1)
    with progress.Bar(4, True) as bar:
        bar.describe("wrong.py:Raises on tasks.py:Last, [bold]wrong[/].py:BadShape on tasks.py:Last")
        bar.advance(1)
    said = capsys.readouterr().err
    assert "wrong.py:Raises" in said
    assert "…" in said
    assert " 25%" in said
    assert "-:--:--" in said or "0:" in said
    assert said.count("━") >= 15


ORPHANED = """
import sys
from pathlib import Path
from mnesis.compare.grid import run_grid
from tests.compare.test_names import SMALL, replace
from mnesis.compare.setting import Budget
if __name__ == "__main__":
    run_grid([replace(SMALL, budget=Budget("tokens", 10**8))], {"gru": {}}, Path(sys.argv[1]), progress=False)
"""


@pytest.mark.slow
def test_orphans_of_a_killed_comparison_say_nothing(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHANED, encoding="utf-8")
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, str(script), str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    while not list(tmp_path.glob("out/copy/gru/*/metrics.jsonl")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.stderr.read() == b"", "until the last that could say something has ended"
    process.wait()
