"""Classes of one's own in a comparison: what they raise is their cells' alone, and scripts that compare."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnesis.compare.grid import run_grid
from mnesis.compare.leaderboard import leaderboard, markdown
from mnesis.core.catalog import card

from .small import ARGUMENTS, SMALL, compare, without_clocks

MINE = """
from pathlib import Path
from typing import Any
import torch
from mnesis import Memory

class Mine(Memory[torch.Tensor]):
    '''Counts.'''

    def __init__(self, dim: int, step: float = 1.0) -> None:
        super().__init__()
        self.dim, self.rate = dim, torch.nn.Parameter(torch.tensor(step))

    def initial_state(self, batch, *, device, dtype):
        return torch.zeros(batch, self.dim, device=device, dtype=dtype)

    def scan(self, x, state, phase=0):
        y = state[:, None] + (self.rate * x).cumsum(1)
        return y, y[:, -1].clone()

not_mine = 3
"""


STOPPING = """
import os
import signal
import time

class Stopping(Mine):
    '''Has the command stopped once, in the middle of a training, and waits until that has come back to it.'''

    updates = 0

    def scan(self, x, state, phase=0):
        Stopping.updates += torch.is_grad_enabled()
        once = Path(__file__).with_name("stopped")
        if Stopping.updates == 5 and not once.exists():
            once.touch()
            ends, told = signal.getsignal(signal.SIGTERM), []
            signal.signal(signal.SIGTERM, lambda *caught: (told.append(1), ends(*caught)))
            os.kill(os.getppid(), signal.SIGINT)
            while not told:
                time.sleep(0.01)
        return super().scan(x, state, phase)
"""


BROKEN = """
import os
import signal

class Late(Mine):
    '''Breaks after some updates: not when it is tried.'''

    scans = 0

    def scan(self, x, state, phase=0):
        Late.scans += 1
        if Late.scans > 12 and not Path(__file__).with_name("mended").exists():
            self.breaks()
        return super().scan(x, state, phase)

class Crashes(Late):
    '''Ends its process.'''

    def breaks(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Raises(Late):
    '''Raises.'''

    def breaks(self):
        raise ValueError("kaboom in my scan")

class AtOnce(Mine):
    '''Raises at its first unit.'''

    def scan(self, x, state, phase=0):
        raise RuntimeError("kaboom at once")

class NoState(Mine):
    '''Returns its outputs alone.'''

    def scan(self, x, state, phase=0):
        return super().scan(x, state, phase)[0]

class Ends(Mine):
    '''Ends its process at its first unit.'''

    def scan(self, x, state, phase=0):
        os._exit(3)
"""


@pytest.mark.slow
def test_a_crash_is_its_cells_alone(tmp_path) -> None:
    name = f"{tmp_path}/broken.py:Crashes"
    (tmp_path / "broken.py").write_text(MINE + BROKEN, encoding="utf-8")
    found = run_grid([SMALL], {name: {}, "gru": {}}, tmp_path, workers=2, progress=False)
    assert [(cell["memory"], cell["status"]) for cell in found] == [(name, "failed"), ("gru", "done")]
    assert found[0]["reason"] == "its process ended with exit code -9"
    lines = leaderboard(found)
    assert [each.memory for each in lines] == ["gru", name], "what did not finish comes last"
    text = markdown(lines)
    assert "broken.py:Crashes | failed |" in text
    assert "Crashes failed: its process ended with exit code -9\n" in text, "below the table, which it would widen"
    (tmp_path / "mended").touch()
    again = run_grid([SMALL], {name: {}, "gru": {}}, tmp_path, progress=False)
    assert [cell["status"] for cell in again] == ["done", "done"], "and is tried again"
    assert again[1] == found[1]


@pytest.mark.slow
def test_what_a_memory_raises_is_its_cells_alone(tmp_path) -> None:
    """ValueErrors too: the others go on, the reason stands in the table and on the page, the traceback in a file."""
    (tmp_path / "broken.py").write_text(MINE + BROKEN, encoding="utf-8")
    arguments = [word if word != "gru,elman" else "broken.py:Raises,gru" for word in ARGUMENTS]
    result = compare(*arguments, folder=tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    line = (MINE + BROKEN).splitlines().index('        raise ValueError("kaboom in my scan")') + 1
    reason = f"ValueError: kaboom in my scan (broken.py, line {line})"
    assert f"broken.py:Raises failed: {reason}\n" in result.stdout
    assert result.stderr == "", "tracebacks stand in files"
    assert reason in (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    told = (tmp_path / "out" / "copy" / "Raises" / "error.txt").read_text(encoding="utf-8")
    assert told.startswith(f"broken.py:Raises on copy: {reason}\n\nTraceback (most recent call last):")
    (tmp_path / "mended").touch()
    result = compare(*arguments, "--json", folder=tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [each["status"] for each in json.loads(result.stdout)] == ["done", "done"]
    assert not (tmp_path / "out" / "copy" / "Raises" / "error.txt").exists()


@pytest.mark.parametrize(
    ("memories", "options", "sentence"),
    [
        (
            "gru,broken.py:AtOnce",
            (),
            "broken.py:AtOnce cannot be trained on copy: RuntimeError: kaboom at once (broken",
        ),
        pytest.param(
            "gru,broken.py:NoState",
            (),
            "broken.py:NoState cannot be trained on copy: ValueError: NoState.scan returns a Tensor; return (y, state)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "gru,broken.py:Ends",
            (),
            "broken.py:Ends cannot be trained on copy: its process ended with exit code 3; mend",
            marks=pytest.mark.slow,
        ),
        (
            "gru,window",
            ("--options", "window:heads=3"),
            "window cannot be built at width 16: dim=16 does not split into",
        ),
    ],
)
def test_every_memory_is_tried_before_anything_trains(memories, options, sentence, tmp_path) -> None:
    (tmp_path / "broken.py").write_text(MINE + BROKEN, encoding="utf-8")
    arguments = [word if word != "gru,elman" else memories for word in ARGUMENTS]
    result = compare(*arguments, *options, folder=tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"mnesis: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists(), "nothing was begun"


@pytest.mark.slow
def test_overwriting_begins_once_every_memory_was_tried(tmp_path) -> None:
    (tmp_path / "broken.py").write_text(MINE + BROKEN, encoding="utf-8")
    name = f"{tmp_path}/broken.py:AtOnce"
    (found,) = run_grid([SMALL], {"gru": {}}, tmp_path, progress=False)
    with pytest.raises(ValueError, match="kaboom at once"):
        run_grid([SMALL], {"gru": {}, name: {}}, tmp_path, overwrite=True, progress=False)
    assert run_grid([SMALL], {"gru": {}}, tmp_path, progress=False) == [found], "what stood stands"
    (again,) = run_grid([SMALL], {"gru": {}}, tmp_path, overwrite=True, progress=False)
    assert without_clocks([again]) == without_clocks([found])


@pytest.mark.slow
def test_a_stopped_command_goes_on(tmp_path) -> None:
    """With the same figures as one that was not stopped."""
    (tmp_path / "stopping.py").write_text(MINE + STOPPING, encoding="utf-8")
    arguments = ["stopping.py:Stopping" if word == "gru,elman" else word for word in ARGUMENTS]
    stopped = compare(*arguments, folder=tmp_path / "a", cwd=tmp_path)
    assert stopped.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM), stopped.stderr
    assert "stopped" in stopped.stderr
    assert not list(tmp_path.glob("a/copy/*/cell.json"))
    assert list(tmp_path.glob("a/copy/*/search-*/checkpoint-*[1-9]")), "what goes on"
    for folder in ("a", "b"):
        result = compare(*arguments, folder=tmp_path / folder, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    a, b = (json.loads((tmp_path / name / "leaderboard.json").read_text(encoding="utf-8")) for name in "ab")
    for lines in (a, b):
        for each in lines:
            for clocked in ("seconds", "search_seconds", "units_per_second"):
                del each[clocked]
    assert a == b


UNGUARDED = """
import sys
from pathlib import Path
from mnesis.compare.grid import run_grid
from tests.compare.small import SMALL

run_grid([SMALL], {"gru": {}}, Path(sys.argv[1]), progress=False)
"""


@pytest.mark.slow
def test_a_script_without_a_guard_is_refused_in_a_sentence(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED, encoding="utf-8")
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(script), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert result.stderr.count("Traceback") == 1, "that of the script itself"
    assert 'put the call behind if __name__ == "__main__": in a file' in result.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "compare.md"


@pytest.mark.slow
def test_the_guide_runs_as_a_script(tmp_path) -> None:
    """Its blocks in one file, as somebody pastes them: every process of the comparison imports it again."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "script.py").write_text("\n".join(blocks), encoding="utf-8")
    command = [sys.executable, "script.py"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "FadingMean" in result.stdout


def test_classes_of_your_own_take_part(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    arguments = [word if word != "gru,elman" else "gru,mine.py:Mine" for word in ARGUMENTS]
    result = compare(*arguments, "--options", "mine.py:Mine:step=0.5", "--json", folder=tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = json.loads(result.stdout)
    assert {(each["memory"], each["status"]) for each in lines} == {("gru", "done"), ("mine.py:Mine", "done")}
    cell = json.loads((tmp_path / "out" / "copy" / "Mine" / "cell.json").read_text(encoding="utf-8"))
    assert cell["asked"]["options"] == {"step": 0.5}
    assert "Mine on copy" in (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.py:Yours", r"cannot import .*mine.py:Yours"),
        ("yours.py:Mine", r"cannot import .*yours.py:Mine"),
        ("mine.py:not_mine", r"mine.py:not_mine is no class but of type int"),
        ("mine.py:torch.Tensor", r"cannot import .*mine.py:torch.Tensor"),
        ("mine.py:Path", r"mine.py:Path is not a Memory; derive it from mnesis.Memory"),
        ("broken.py:Mine", r"cannot import .*broken.py:Mine"),
    ],
)
def test_classes_that_are_none(name, message, tmp_path) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("class Mine(", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        card("memories", f"{tmp_path}/{name}")
