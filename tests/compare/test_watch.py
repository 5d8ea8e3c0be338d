"""How far a comparison is: what a terminal shows at 80 columns, and plain lines where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from mnesis.compare import watch as watching
from mnesis.compare.place import Place, Told
from mnesis.compare.setting import Budget, Setting
from mnesis.compare.watch import Watch

SETTING = Setting(task="associative-retrieval", length=8, tests=(8,), budget=Budget("tokens", 600))


def place(memory: str) -> Place:
    return Place(SETTING, memory, {}, Path("out", memory))


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    return now


def shown(watch: Watch, width: int) -> list[str]:
    watch.console = Console(file=io.StringIO(), width=width)
    watch.console.print(watch)
    assert isinstance(watch.console.file, io.StringIO)
    return [line.rstrip() for line in watch.console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 200])
def test_what_a_terminal_shows(clock, width) -> None:
    watch = Watch(False)
    assert shown(watch, width) == ["loading ..."]
    watch.trying(6)
    watch.tried()
    assert shown(watch, width) == ["trying every memory on every task: 1 of 6"]
    watch.training(6, 2)
    watch.begun(place("gru"))
    assert shown(watch, width)[1] == "  gru on associative-retrieval starting"[: width - 1]
    clock[0] += 30
    watch.told(place("gru"), Told(3, 6, 200, 400))
    watch.told(place("somebody/elses/long_name_of_a_file.py:AndItsClass"), Told(1, 6, 1, 1234))
    head, *rows = shown(watch, width)
    assert "2 of 6 cells, 4 min left, until " in head, "0.4 of a cell in 30 s, and 3.6 are left"
    assert all(len(line) <= width for line in (head, *rows))
    assert rows[0].endswith("training 3 of 6, update 200 of 400")
    assert rows[1].endswith("training 1 of 6, update 1 of 1,234"), "names are cut, numbers are not"
    assert ("…" in rows[1]) is (width == 80)
    watch.counted(place("gru"))
    assert "3 of 6 cells" in shown(watch, width)[0]
    for number in range(20):
        watch.begun(place(f"memory-{number}"))
    assert shown(watch, width)[-1] == "  and 13 more"


def test_plain_lines_where_there_is_no_terminal(clock, capsys) -> None:
    with Watch(True) as watch:
        assert capsys.readouterr().err == "", "a refusal is one line"
        watch.trying(2)
        watch.training(2, 0)
        assert capsys.readouterr().err == "trying every memory on every task: 0 of 2\n0 of 2 cells\n"
        clock[0] += 1
        watch.told(place("gru"), Told(1, 4, 20, 40))
        assert capsys.readouterr().err == "", "not at every word"
        clock[0] += watching.QUIET
        watch.told(place("gru"), Told(2, 4, 20, 40))
        told = capsys.readouterr().err
        assert told.endswith("; gru on associative-retrieval: training 2 of 4, update 20 of 40\n")
        assert "0 of 2 cells, 2 min left, until " in told
    with Watch(False) as watch:
        watch.trying(2)
    assert capsys.readouterr() == ("", "")
