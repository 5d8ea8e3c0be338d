"""Commands that write folders, killed at their file operations: the same command goes on to the same results."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from .kills import kill_at, operations, run_watched
from .loopback import Loopback

CLOCKS = re.compile(r"seconds|units_per_second|search_seconds|peak_bytes|growth_bytes|machine")
PAGES = (".html", ".svg", ".png", ".md")
"""They show clocks."""
BEFORE = f"{__name__}:shorten"
TRAIN = [
    "train",
    "babilong",
    "--folder",
    "run",
    "--memory",
    "gru",
    "--dim",
    "16",
    "--depth",
    "1",
    "--hidden",
    "16",
    "--vocabulary",
    "600",
]
TRAIN += ["--threads", "1", "--quiet"]
EVALUATE = ["evaluate", "run", "--lengths", "100,200", "--streams", "2", "--batch", "1", "--output", "out"]
EVALUATE += ["--threads", "1", "--quiet"]
COMPARE = ["compare", "copy", "--memories", "gru,elman", "--dim", "16", "--depth", "1", "--batch", "4", "--seeds", "1"]
COMPARE += ["--sequences", "8", "--rates", "1e-3", "--budget", "tokens=100", "--length", "1-3", "--folder", "out"]
COMPARE += ["--quiet"]
BENCH = ["bench", "gru", "--quick", "--only", "stepping", "--dim", "8", "--output", "out/table.md", "--overwrite"]
BENCH += ["--quiet"]
FETCH = ["fetch", "mnist", "out", "--quiet"]
SERVED = {name: name.encode() * 200_000 for name in ("a", "b")}
ADDRESS = "MNESIS_TEST_ADDRESS"


def shorten() -> None:
    """Recipes of some updates, with a checkpoint after each."""
    from mnesis.cli import recipes
    from mnesis.cli.recipes import Phase
    from mnesis.learn import Recipe, Stage

    def phases(*_: object, **__: object) -> list[Phase]:
        recipes_ = [
            Recipe((Stage(length, 4, updates, truncation=64, update="window"),), save_every=1, log_every=1)
            for length, updates in ((64, 2), (128, 1))
        ]
        return [Phase(each, 64, 64, {"questions": 3.0, "forks": 0}) for each in recipes_]

    recipes.phases = phases


def results(folder: Path) -> dict[str, object]:
    """What stands in a folder, without clocks."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if not CLOCKS.fullmatch(key)}
        return [plain(each) for each in value] if isinstance(value, list) else value

    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = plain(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [plain(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.is_file():
            found[name] = None if path.suffix in PAGES else path.read_bytes()
    return found


def in_one_process() -> None:
    """Fill the cells of a comparison in the process that was asked to."""
    from mnesis.compare.cell import run_cell
    from mnesis.compare.place import Filled
    from mnesis.compare.processes import Processes

    shorten()
    Processes.try_all = lambda *_: None
    Processes.fill = lambda _, places: (Filled(place, run_cell(*place.cell)) for place in places)


def from_here() -> None:
    """Two files of this machine are a collection."""
    from mnesis.tasks.files.fetching import File
    from mnesis.tasks.images import collections

    files = (File(name, f"{os.environ[ADDRESS]}/{name}", sha256(held).hexdigest()) for name, held in SERVED.items())
    collections.COLLECTIONS["mnist"] = replace(collections.COLLECTIONS["mnist"], files=tuple(files))


def killed_everywhere(command: list[str], folder: Path, before: str, seed: str, sample: int | None, **how: Any) -> None:
    """Kill a command at some of its operations, or all, and see that it ends as if nobody had."""
    whole = folder / "whole"
    whole.mkdir()
    how["before"] = before
    count, expected = operations(command, within=whole, **how), results(whole)
    for n in range(count) if sample is None else sorted(random.Random(seed).sample(range(count), sample)):
        own = folder / str(n)
        own.mkdir()
        killed = kill_at(command, n, within=own, **how)
        again = run_watched(command, within=own, **how)
        where = f"after a kill at {n}, {killed.operations[-1:]}"
        assert again.code == 0, f"{where}: {again.output}"
        assert results(own) == expected, where
        assert not list(own.rglob(".*")), f"{where}: {list(own.rglob('.*'))}"
        shutil.rmtree(own)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    operations(TRAIN, within=folder, before=BEFORE)
    return folder / "run"


@pytest.fixture
def commands(trained: Path) -> dict[str, tuple[list[str], str]]:
    evaluate = [str(trained) if word == "run" else word for word in EVALUATE]
    one = f"{__name__}:in_one_process"
    return {
        "train": (TRAIN, BEFORE),
        "evaluate": (evaluate, BEFORE),
        "compare": (COMPARE, one),
        "bench": (BENCH, BEFORE),
    }


NAMES = ("train", "evaluate", "compare", "bench")


@pytest.mark.parametrize("name", [n if n == "train" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_killed_here_and_there(commands: dict[str, tuple[list[str], str]], tmp_path: Path, name: str) -> None:
    command, before = commands[name]
    killed_everywhere(command, tmp_path, before, name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_every_operation(commands: dict[str, tuple[list[str], str]], tmp_path: Path, name: str) -> None:
    command, before = commands[name]
    killed_everywhere(command, tmp_path, before, name, None)


def test_a_fetch_is_killed_at_every_operation(tmp_path: Path) -> None:
    with Loopback() as server:
        server.content = dict(SERVED)
        here = {ADDRESS: server.address}
        killed_everywhere(FETCH, tmp_path, f"{__name__}:from_here", "fetch", None, environment=here)


@pytest.mark.slow
def test_processes_of_a_comparison_are_killed(tmp_path: Path) -> None:
    """The cells' own processes with it."""
    killed_everywhere(COMPARE, tmp_path, BEFORE, "processes", 6)
