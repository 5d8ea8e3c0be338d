"""Nothing that is written or public is missing from the site, and the project has one address in one place."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HIDDEN = {"results/leaderboard/leaderboard.md"}
"""What another page has in another form."""


def leaves(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [leaf for part in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(part)]  # type: ignore[attr-defined]


def test_every_page_is_in_the_navigation() -> None:
    shown = [leaf for leaf in leaves(SITE["nav"]) if not leaf.endswith("/")]
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - HIDDEN
    assert set(shown) == written
    assert len(shown) == len(set(shown))


def referenced() -> set[str]:
    pages = (DOCS / "reference").glob("*.md")
    return {name for page in pages for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.M)}


@pytest.mark.parametrize("room", ["mnesis", "mnesis.learn", "mnesis.nets", "mnesis.measure"])
def test_every_public_name_is_in_the_reference(room) -> None:
    module = import_module(room)
    defined = {name: getattr(module, name) for name in module.__all__}
    where = {f"{thing.__module__}.{thing.__qualname__}" for thing in defined.values()}
    assert len(where) == len(defined)
    named = {canonical(name) for name in referenced()}
    assert sorted(where - named) == []


def canonical(name: str) -> str:
    """Where something is defined that is called so in the reference."""
    module, _, inside = name.rpartition(".")
    thing = getattr(import_module(module), inside)
    assert not isinstance(thing, ModuleType), f"{name} is a module"
    return f"{thing.__module__}.{thing.__qualname__}"


def test_what_the_reference_names_is_there_and_has_a_docstring() -> None:
    assert len(referenced()) > 100
    for name in referenced():
        assert canonical(name)


def test_what_guides_import_is_in_the_reference() -> None:
    named = {canonical(name) for name in referenced()}
    for page in [ROOT / "README.md", *DOCS.glob("*.md"), *(DOCS / "guides").glob("*.md")]:
        for module, names in re.findall(r"^from (mnesis[\w.]*) import (.+)$", page.read_text(encoding="utf-8"), re.M):
            for name in names.split(", "):
                if module == "mnesis.cli" or name.isupper():
                    continue
                assert canonical(f"{module}.{name}") in named, f"{page.name} imports {module}.{name}"


def test_the_address_of_the_project_stands_in_one_place() -> None:
    home = PROJECT["project"]["urls"]["Homepage"]
    assert PROJECT["project"]["urls"] == {"Homepage": home}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout")
    known = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    texts = [path for path in known if path.suffix in (".md", ".toml", ".py", ".cff", "") and path.is_file()]
    assert [path.name for path in texts if home.encode() in path.read_bytes()] == ["pyproject.toml"]


@pytest.fixture
def hatch_build(monkeypatch) -> ModuleType:
    """The build's own file, without the build's own packages."""
    names = "hatchling", "hatchling.metadata", "hatchling.metadata.plugin", "hatchling.metadata.plugin.interface"
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules[names[-1]], "MetadataHookInterface", object, raising=False)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, "hatch_build", raising=False)
    return import_module("hatch_build")


def test_links_of_the_readme_are_absolute_in_a_package(hatch_build) -> None:
    text = (
        "[guide](docs/a.md#b) [up](https://x.org/y) [here](#here) ![chart](docs/c.png) [mail](mailto:a@b.c)\n"
        '<a href="LICENSE"><img src="docs/d.svg"></a> `x[0](y)`\n```python\nmodel[0](x)\n```\n[`code`](src)\n'
    )
    assert hatch_build.with_absolute_links(text, "https://h") == (
        "[guide](https://h/blob/main/docs/a.md#b) [up](https://x.org/y) [here](#here) "
        "![chart](https://h/raw/main/docs/c.png) [mail](mailto:a@b.c)\n"
        '<a href="https://h/blob/main/LICENSE"><img src="https://h/raw/main/docs/d.svg"></a> `x[0](y)`\n'
        "```python\nmodel[0](x)\n```\n[`code`](https://h/blob/main/src)\n"
    )


def test_the_package_shows_the_readme_with_links_that_lead_somewhere(hatch_build) -> None:
    hook = hatch_build.AbsoluteLinks()
    hook.root, metadata = str(ROOT), {"urls": PROJECT["project"]["urls"]}
    hook.update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    prose = re.sub(r"^```.*?^```$", "", metadata["readme"]["text"], flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    assert [target for target in targets if not re.match(r"https?://|#", target)] == []
    home = f"{PROJECT['project']['urls']['Homepage']}/blob/main/"
    own = [target.removeprefix(home).partition("#")[0] for target in targets if target.startswith(home)]
    assert own
    assert [path for path in own if not (ROOT / path).exists()] == []
