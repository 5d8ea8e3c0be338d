"""The demo: what it refuses before it begins, the curve that it draws, and all of its steps on a small scale."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from mnesis.cli import demo, main, recipes
from mnesis.cli.live import LiveCurve, braille
from mnesis.learn import Recipe, Stage

PROSE = "The tide turned slowly. A lamp burned in the harbour, and nobody came to look after it. " * 200


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["demo", *words])
    return end.value.code


@pytest.fixture
def small(monkeypatch) -> None:
    """One phase of three updates."""

    def phases(name, *, memory, seed):
        stage = Stage(128, 4, 3, truncation=64, update="window")
        return [recipes.Phase(Recipe((stage,), seed=seed, log_every=1), 64, 64, {"questions": 6.0, "forks": 0})]

    monkeypatch.setattr(recipes, "phases", phases)


@pytest.mark.parametrize("name", ["book.md", "none.txt", "folder.txt"])
def test_a_book_that_is_none_is_refused_before_anything(tmp_path, monkeypatch, capsys, name) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.md").write_text(PROSE)
    Path("folder.txt").mkdir()
    assert run("d", "--book", name) == 2
    assert f"--book {name} is no .txt file; give the path of one" in capsys.readouterr().err
    assert not Path("d").exists()


def test_a_folder_of_another_run_is_refused_before_the_reading(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "fresh").mkdir()
    other = {"number": 2, "stories": "simulated", "variant": "en-10k", "background": "prose"}
    (tmp_path / "fresh" / "source.json").write_text(json.dumps({**other, "held_out": [], "vocabulary": 2048}))

    def read(*words):
        raise AssertionError("nothing is read")

    monkeypatch.setattr(demo, "_evaluate", read)
    assert run(str(tmp_path)) == 2
    assert "number is 2 there and 1 here" in capsys.readouterr().err


def test_it_reads_your_book_trains_asks_and_goes_on(tmp_path, monkeypatch, capsys, small) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(PROSE)
    words = [
        "d",
        "--book",
        "book.txt",
        "--reader-lengths",
        "2k",
        "--lengths",
        "300",
        "--streams",
        "2",
        "--threads",
        "1",
    ]
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^(\d) of 3  ", out, re.MULTILINE) == ["1", "2", "3"]
    assert len(re.findall(r"Where is \w+\?  +\w+ +right +[\d,]+ tokens ago", out)) >= 4
    assert "however long the text" in out
    told = json.loads(Path("d/reader/results.json").read_text())["about"]["source"]
    assert (told["background"], told["held_out"]) == (".", ["book.txt"])
    assert Path("d/report.html").is_file()
    trained = Path("d/fresh/model.safetensors").read_bytes()
    assert run(*words) == 0
    assert Path("d/fresh/model.safetensors").read_bytes() == trained


def test_a_curve_goes_from_corner_to_corner() -> None:
    assert braille([(0.0, 0.0), (10.0, 1.0)], [], 10.0, width=2, rows=1) == ["⡠⠊"]
    assert braille([(0.0, 1.0), (10.0, 1.0)], [5.0], 10.0, width=4, rows=1) == ["⠉⠉⠉⠉"]
    assert braille([], [], 0.0, width=3, rows=2) == ["⠀⠀⠀", "⠀⠀⠀"]


def test_the_curve_shows_what_stands_in_the_folder(tmp_path) -> None:
    def line(update, units, accuracy, seconds):
        known = {"update": update, "stage": 0, "length": 64, "loss": 1.0, "learning_rate": 1e-3, "gradient_norm": 1.0}
        return json.dumps({**known, "accuracy": accuracy, "units": units, "units_per_second": 1e4, "seconds": seconds})

    for phase, accuracies in enumerate(([0.2, 0.9], [0.4, 0.5])):
        folder = tmp_path / f"phase-{phase + 1}"
        folder.mkdir()
        lines = [line(20 * n + 20, 500_000 * (n + 1), value, 10 * n + 10) for n, value in enumerate(accuracies)]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    console = Console(width=60, record=True)
    console.print(LiveCurve(tmp_path, ["near", "far"], [100, 200], console).drawn())
    heading, about, *picture, axis = console.export_text().splitlines()
    assert heading == "right answers in training: 50%"
    assert about == "2 of 2, far: 10,000 tokens/s, at most 1:20 of it left"
    assert axis.split() == ["0", "2.0", "million", "tokens"]
    assert [row[:5].strip() for row in picture] == ["100%", *[""] * 4, "50%", *[""] * 3, "0%"]
