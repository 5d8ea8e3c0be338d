"""Comparisons: equal budgets and sizes, resumption, what cannot take part, and the command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch

from mnesis.cli import main
from mnesis.compare import cell as cells
from mnesis.compare import ways
from mnesis.compare.cell import run_cell
from mnesis.compare.design import Size, Unfit, build, count_parameters, count_state, matched
from mnesis.compare.grid import run_grid, standing
from mnesis.compare.leaderboard import effort, leaderboard, line, markdown
from mnesis.compare.processes import Processes
from mnesis.compare.setting import Budget, Match, Setting
from mnesis.core.catalog import card, list_tasks
from mnesis.layers.short_convolution import ShortConvolution
from mnesis.memories.recurrent.gru import GRU
from mnesis.nets import Classifier, LanguageModel

SMALL = Setting(
    task="copy",
    length=(1, 3),
    tests=(3, 6),
    budget=Budget("tokens", 600),
    task_options={"symbols": 4},
    dim=16,
    depth=1,
    batch=4,
    rates=(1e-3, 3e-3),
    seeds=2,
    sequences=8,
)


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


@pytest.mark.parametrize("memory", ["gru", "linear-attention", "mamba", "rmt"])
@pytest.mark.parametrize("limit", [30_000, 100_000])
def test_parameters_match(memory, limit) -> None:
    task = SMALL.create_task()
    setting = replace(SMALL, match=Match("parameters", limit), depth=2)
    size = matched(setting, task, memory, {})
    assert size.dim % 16 == 0
    assert 0.95 * limit <= count_parameters(build(setting, task, memory, size)) <= limit
    wider = matched(replace(setting, match=None, dim=size.dim + 16), task, memory, {})
    assert count_parameters(build(setting, task, memory, wider)) > limit, "the width is the largest"


@pytest.mark.parametrize(
    ("memory", "limit", "dim", "options"),
    [
        ("gru", 1280, 32, {"hidden": 320}),
        ("min-gru", 400, 96, {"heads": 4}),
        ("mamba", 10_000, 32, {"states": 36}),
        ("window", 20_000, 32, {"heads": 4, "window": 79}),
    ],
)
def test_states_match(memory, limit, dim, options) -> None:
    """By what the card names, else by the width."""
    task = SMALL.create_task()
    setting = replace(SMALL, match=Match("state", limit), depth=1, convolution=None, dim=32)
    size = matched(setting, task, memory, {})
    assert 0.95 * limit <= count_state(build(setting, task, memory, size)) <= limit
    assert size.dim == dim
    assert {key: value for key, value in options.items() if key != "heads"}.items() <= size.options.items()


@pytest.mark.parametrize("memory", ["gru", "transformer-xl", "lmuformer", "rmt"])
def test_whole_stacks_go_without_what_they_have_no_place_for(memory) -> None:
    task, setting = SMALL.create_task(), replace(SMALL, convolution=4)
    network = build(setting, task, memory, matched(setting, task, memory, {}))
    found = [part for part in network.modules() if isinstance(part, ShortConvolution)]
    assert bool(found) is (memory in ("gru", "rmt"))


def test_what_does_not_match_says_why(tmp_path) -> None:
    setting = replace(SMALL, match=Match("parameters", 1_000))
    with pytest.raises(Unfit, match="more parameters than 1,000 with width = 16 already"):
        matched(setting, setting.create_task(), "gru", {})
    found = run_cell(setting, "gru", {}, tmp_path / "gru")
    assert found["status"] == "unfit"
    with pytest.raises(Unfit, match="none within 5 %"):
        matched(replace(SMALL, match=Match("state", 16_000), depth=2), SMALL.create_task(), "taylor-attention", {})
    with pytest.raises(ValueError, match="linear-attention cannot be built at width 16"):
        matched(SMALL, SMALL.create_task(), "linear-attention", {"heads": 3})


def test_networks_fit_tasks() -> None:
    for entry in list_tasks():
        if entry.lengths is not None:
            setting = replace(SMALL, task=entry.name, task_options=entry.example, length=entry.lengths)
            task = setting.create_task()
            network = build(setting, task, "gru", Size(16, None, {}))
            assert isinstance(network, Classifier if task.features else LanguageModel)
            episode = task.episodes(2, setting.lengths[0], torch.Generator().manual_seed(0))
            y, _ = network(episode.inputs)
            assert y.shape[-1] == (task.target_features or task.vocabulary)
            assert setting.units(task) > 0


def test_seconds(tmp_path) -> None:
    """As many updates as were foretold once, however long they take."""
    setting = replace(SMALL, budget=Budget("seconds", 0.2))
    found = run_cell(setting, "gru", {}, tmp_path / "gru")
    assert found["status"] == "done"
    assert found["steps"] == json.loads((tmp_path / "gru" / "steps.json").read_text(encoding="utf-8")) >= 1


def test_too_small_a_budget(tmp_path) -> None:
    with pytest.raises(ValueError, match="does not suffice for one update of 4 rows"):
        run_cell(replace(SMALL, budget=Budget("tokens", 3)), "gru", {}, tmp_path / "gru")


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


def without_clocks(found: list) -> list:
    """What does not depend on how fast a machine is."""
    text = json.dumps(found)
    return json.loads(re.sub(r'"(search_seconds|seconds|units_per_second)": [0-9.e-]+', '"clock": 0', text))


def test_a_cluster_finds_the_same(tmp_path) -> None:
    pytest.importorskip("ray")
    memories = {"gru": {}, "elman": {}}
    here = run_grid([SMALL], memories, tmp_path / "here", progress=False)
    there = run_grid([SMALL], memories, tmp_path / "there", ray="local", progress=False)
    assert without_clocks(there) == without_clocks(here)
    with pytest.raises(ValueError, match="a cell of another setting"):
        run_grid([replace(SMALL, dim=32)], memories, tmp_path / "there", ray="local", progress=False)


def compare(*arguments: str, folder: Path, **options):
    command = [sys.executable, "-m", "mnesis.cli", "compare", *arguments, "--folder", str(folder), "--quiet"]
    # A shell has what it runs in the background ignore interrupts, and its children after it.
    interrupted = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, preexec_fn=interrupted, **options
    )


ARGUMENTS = ("copy", "--memories", "gru,elman", "--dim", "16", "--depth", "1", "--batch", "4", "--sequences", "8")
ARGUMENTS += ("--seeds", "1", "--rates", "1e-3", "--budget", "tokens=600", "--length", "1-3")


def test_the_command(tmp_path) -> None:
    result = compare(*ARGUMENTS, "--json", "--tests", "16x", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = json.loads(result.stdout)
    assert {each["memory"] for each in lines} == {"gru", "elman"}
    assert [length for length, _, _ in lines[0]["by_length"]] == [3, 6, 12, 24, 48]
    assert json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8")) == lines
    assert "## copy" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "gru on copy" in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")


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

class Ends(Mine):
    '''Ends its process at its first unit.'''

    def scan(self, x, state, phase=0):
        os._exit(3)
"""


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
        (
            "gru,broken.py:Ends",
            (),
            "broken.py:Ends cannot be trained on copy: its process ended with exit code 3; mend",
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


def test_overwriting_begins_once_every_memory_was_tried(tmp_path) -> None:
    (tmp_path / "broken.py").write_text(MINE + BROKEN, encoding="utf-8")
    name = f"{tmp_path}/broken.py:AtOnce"
    (found,) = run_grid([SMALL], {"gru": {}}, tmp_path, progress=False)
    with pytest.raises(ValueError, match="kaboom at once"):
        run_grid([SMALL], {"gru": {}, name: {}}, tmp_path, overwrite=True, progress=False)
    assert run_grid([SMALL], {"gru": {}}, tmp_path, progress=False) == [found], "what stood stands"
    (again,) = run_grid([SMALL], {"gru": {}}, tmp_path, overwrite=True, progress=False)
    assert without_clocks([again]) == without_clocks([found])


UNGUARDED = """
import sys
from pathlib import Path
from mnesis.compare.grid import run_grid
from tests.compare.test_compare import SMALL

run_grid([SMALL], {"gru": {}}, Path(sys.argv[1]), progress=False)
"""


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


def test_what_stands_is_read_back_without_a_process(tmp_path, monkeypatch) -> None:
    expected = run_grid([SMALL], {"gru": {}}, tmp_path, progress=False)
    begun: list[str] = []
    monkeypatch.setattr(Processes, "try_all", lambda _, places: begun.extend(each.memory for each in places))
    assert run_grid([SMALL], {"gru": {}}, tmp_path) == expected
    assert not begun
    with pytest.raises(ValueError, match="a cell of another setting"):
        run_grid([SMALL], {"elman": {}, "gru": {"hidden": 8}}, tmp_path, progress=False)
    assert not begun, "refused before anything is trained"


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
