"""Memories, networks and tasks by name, and back."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

import mnesis
from mnesis.core.catalog import list_tasks
from mnesis.core.specification import NETWORKS, TaskSpecification, specification, task_specification
from mnesis.core.task import Task
from mnesis.nets import Block

OWN = """
from mnesis.tasks.copying.copy import Copy
class Mine(Copy):
    def __init__(self, symbols: int = 4): super().__init__(symbols=symbols)
"""


def test_networks_are_where_their_names_say() -> None:
    for name, target in NETWORKS.items():
        module, _, own = target.rpartition(":")
        assert own == name
        assert issubclass(getattr(import_module(f"mnesis.{module}"), own), mnesis.Memory)


def test_tasks_of_the_catalog_come_back() -> None:
    for card in list_tasks():
        if card.lengths is not None and card.name not in ("text", "sequential-images"):
            found = task_specification(mnesis.create_task(card.name, **card.example))
            assert found == (card.name, dict(card.example))
            built = found.build("here")
            assert task_specification(built) == found


def test_paths_become_text(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("some text of some length " * 20)
    found = task_specification(mnesis.create_task("text", file=tmp_path / "a.txt"))
    assert found.options == {"file": str(tmp_path / "a.txt")}
    json.dumps(found.as_json())


def test_a_class_of_ones_own_is_named_by_its_file_and_needs_trust(tmp_path, monkeypatch) -> None:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    found = task_specification(mnesis.create_task("own.py:Mine", symbols=3))
    assert found == (f"{tmp_path / 'own.py'}:Mine", {"symbols": 3})
    assert found.label == "own.py:Mine"
    monkeypatch.chdir(Path(__file__).parent)
    with pytest.raises(ValueError, match=r"^run/config\.json names .*--trust"):
        found.build("run/config.json")
    assert found.build("run/config.json", trust=True).vocabulary == 4


def test_what_was_built_from_objects_has_no_name() -> None:
    class Local(Task):
        def __init__(self, thing: object = None) -> None:
            pass

        def episodes(self, batch, length, generator):
            raise NotImplementedError

    with pytest.raises(ValueError, match="put it into a module of its own"):
        task_specification(Local())
    with pytest.raises(ValueError, match="built from objects"):
        task_specification(Local(thing=object()))
    with pytest.raises(ValueError, match="built from objects"):
        specification(Block(mnesis.create_memory("gru", dim=4)))


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'copy'"):
        TaskSpecification("kopy", {}).build("here")
