"""What the README shows runs, and what it counts is in the catalog."""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path

import pytest

from mnesis.cli import COMMANDS
from mnesis.core.catalog import list_claims, list_memories, list_tasks

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
DOORS = CODE.findall(README)
GUIDES = [
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    ROOT / "docs" / "quick-start.md",
    ROOT / "docs" / "index.md",
]
SHORTER = {"steps=3000": "steps=4", "every=250": "every=2", "steps=300": "steps=2", "tokens=100k": "tokens=2k"}
"""What guides take minutes for."""
HOST = "hosts/smollm2"
"""A pretrained model that guides speak of."""


@pytest.fixture(autouse=True)
def _commands_are_found(monkeypatch) -> None:
    """A reader has installed mnesis, whose commands stand where those of the Python that runs this are installed."""
    monkeypatch.setenv("PATH", os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))


def _small_host(text: str, folder: Path) -> None:
    if HOST in text:
        pytest.importorskip("transformers", minversion="5.24")
        from .nets.huggingface.models import folder_of

        folder_of("llama", folder / HOST, max_position_embeddings=512)


@pytest.mark.parametrize("code", DOORS, ids=range(len(DOORS)))
def test_a_door_opens(code: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    _small_host(code, tmp_path)
    assert len(code.splitlines()) <= 20
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_can_be_followed(guide: Path, tmp_path, monkeypatch) -> None:
    """Its pieces of code, one after the other, with shorter trainings, and a small model for a large one."""
    monkeypatch.chdir(tmp_path)
    _small_host(guide.read_text(encoding="utf-8"), tmp_path)
    code = "\n".join(CODE.findall(guide.read_text(encoding="utf-8")))
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    exec(compile(code, guide.name, "exec"), {})


def test_what_is_shortened_stands_in_a_guide() -> None:
    code = "\n".join(piece for guide in GUIDES for piece in CODE.findall(guide.read_text(encoding="utf-8")))
    assert [long for long in SHORTER if long not in code] == []


def test_it_is_short_and_counts_what_there_is() -> None:
    assert len(README.splitlines()) < 200
    counts = {"memories": list_memories(), "tasks": list_tasks(), "claims of papers": list_claims()}
    for what, known in counts.items():
        assert f"{len(known)} {what}" in README


def test_its_commands_are_known() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    named = re.findall(r"^mnesis ([a-z-]+)", "\n".join(blocks), re.MULTILINE)
    assert len(named) >= 8
    assert set(named) <= set(COMMANDS)


def test_commands_and_code_train_in_folders_of_their_own() -> None:
    """Somebody who follows the page from top to bottom trains with both."""
    folders = re.findall(r"runs/[a-z]+(?=-)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)))
    for code in map(Path.read_text, [ROOT / "README.md", ROOT / "docs" / "quick-start.md"]):
        trained = re.findall(r"fit\(.*?\"(runs/[a-z]+)-", "\n".join(CODE.findall(code)))
        assert trained
        assert folders
        assert not set(folders) & set(trained)


def test_every_file_has_its_line() -> None:
    described = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path for path in (ROOT / "src" / "mnesis").rglob("*.py") if not path.name.startswith("__")]
    rooms = {"cli", "claims"}  # one file a command or a paper, described as a room
    missing = [path.name for path in modules if not rooms & set(path.parts) and path.name not in described]
    assert not missing
