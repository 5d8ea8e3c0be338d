"""The example that each page of a memory or a task prints can be run as it stands there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mnesis
from mnesis.tasks.language.background import ProseBackground
from mnesis.tasks.language.tokenizer import ByteTokenizer
from tests.real_data import real
from website.catalog import memory_pages, task_pages

REFUSALS = {
    "series": r"there is no GunPoint_TRAIN.ts \(or .arff, .tsv, .txt\) in .*; give the folder that holds it",
    "words": "lacks the text to train on, such as train.txt; put it there",
    "spoken-digits": "holds no take of the train part; give the set's recordings",
    "polyphonic-music": "JSB_Chorales.mat is no file; give the path of JSB_Chorales.mat or one of its like",
}
"""What tasks on files say where there are none."""


@cache
def pages(kind: str) -> dict[str, str]:
    return memory_pages() if kind == "memories" else task_pages()


def example(kind: str, name: str) -> str:
    """The block of a page; what the reader is to fill in is named as in ``filled``."""
    (code,) = re.findall(r"```python\n(.*?)```", pages(kind)[f"{name}.md"], re.DOTALL)
    return re.sub(r"(\w+)=(\.\.\.|\"\.\.\.\")", r'\1=filled["\1"]', code)


def filled(folder: Path) -> dict[str, object]:
    tokenizer = ByteTokenizer()
    return {
        "name": "GunPoint",
        "folder": folder,
        "path": folder,
        "file": folder / "JSB_Chorales.mat",
        "tokenizer": tokenizer,
        "background": ProseBackground(tokenizer),
    }


@pytest.mark.parametrize("name", [card.name for card in mnesis.list_tasks()])
def test_tasks_are_made_as_their_pages_say(name, tmp_path) -> None:
    known = {"filled": filled(tmp_path)}
    if name in REFUSALS:
        with pytest.raises(ValueError, match=REFUSALS[name]):
            exec(example("tasks", name), known)
        return
    exec(example("tasks", name), known)
    assert isinstance(known["task"], mnesis.Task)


@pytest.mark.parametrize("name", [card.name for card in mnesis.list_memories()])
def test_memories_are_made_as_their_pages_say(name) -> None:
    known: dict[str, Any] = {}
    exec(example("memories", name), known)
    assert known["y"].shape == (2, 100, 256)


def test_the_series_page_reads_real_series() -> None:
    known = {"filled": {"name": "GunPoint", "folder": real("ucr-uea", "ts")}}
    exec(example("tasks", "series"), known)
    assert (known["task"].vocabulary, known["task"].name) == (2, "GunPoint")


def test_no_name_of_the_catalog_hides_an_option(tmp_path) -> None:
    """Options may be called as the catalog's own arguments are."""
    for make in (mnesis.create_task, mnesis.create_memory):
        with pytest.raises(ValueError, match=r"has no option 'kind'"):
            make("copy" if make is mnesis.create_task else "gru", kind="x")
    with pytest.raises(ValueError, match=r"gru has no option 'name'"):
        mnesis.create_memory("gru", name="x")
    with pytest.raises(ValueError, match=r"GunPoint_TRAIN"):
        mnesis.create_task("series", name="GunPoint", folder=tmp_path)
