"""The site as somebody opens it: out of its folder, without a network, on a phone and on a desk, light and dark."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from mnesis.core.catalog import cards, kinds, list_memories
from tests.measure import browser

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("zensical", "mkdocstrings", "math_core")
PHONE, DESK = 360, 1280

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not browser.installed(), reason="chromium and chromedriver are not installed"),
    pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="the packages that make the site are not installed"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Built from a copy, so that a build in the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("src", "website"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "zensical.toml", folder)  # its folder, links followed, is where the site is built
    for module, *arguments in (("website", "build/docs"), ("zensical", "build", "--clean", "--strict")):
        made = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stdout + made.stderr
        assert "end of life" not in made.stdout + made.stderr
    return folder / "build" / "site"


@pytest.fixture(params=[(PHONE, True), (DESK, False)], ids=["phone, dark", "desk, light"], scope="module")
def view(request):
    width, dark = request.param
    with browser.Browser(width, dark=dark) as opened:
        opened.command("Network.enable", {})
        opened.command("Network.setBlockedURLs", {"urls": ["http://*", "https://*", "ws://*", "wss://*"]})
        opened.width, opened.dark = width, dark
        yield opened


def test_every_page_opens_and_fits(site, view) -> None:
    pages = sorted(set(site.rglob("*.html")) - {site / "404.html"})  # which servers show, at any depth
    assert len(pages) > sum(len(cards(kind)) for kind in kinds())
    for page in pages:
        view.open(page)
        assert view.run("return document.documentElement.scrollWidth") <= view.width, page
        assert view.console() == [], page
        elsewhere = [address for address in view.requests() if not address.startswith(("file:", "data:"))]
        assert elsewhere == [], page


def test_the_scheme_is_the_systems(site, view) -> None:
    view.open(site / "index.html")
    background = view.run("return getComputedStyle(document.body).backgroundColor")
    assert (int(background.partition("(")[2].split(",")[0]) < 60) == view.dark


def test_formulas_are_set(site, view) -> None:
    for card in list_memories():
        view.open(site / "memories" / f"{card.name}.html")
        assert view.run("return document.querySelector('h1').firstChild.textContent").strip() == card.name
        lines = view.run(
            "return [...document.querySelectorAll('.formula mtr')].map(line => line.getBoundingClientRect().height)"
        )
        assert len(lines) == len(card.equations), card.name
        assert all(height > 15 for height in lines), card.name
        assert view.run("return document.querySelector('.formula merror')") is None
    view.run("document.fonts.load('1em \"Noto Sans Math\"')")
    assert view.run("return document.fonts.check('1em \"Noto Sans Math\"')")
    assert view.run("return [...document.fonts].some(font => font.family.includes('Noto Sans Math'))")


def test_what_is_wide_scrolls_in_its_own_box(site, view) -> None:
    view.open(site / "results" / "linear.html")
    boxes = view.run(
        "return [...document.querySelectorAll('.md-typeset__scrollwrap')].map(it => [it.scrollWidth, it.clientWidth])"
    )
    assert boxes
    assert all(inside <= view.width for _, inside in boxes)
    assert view.width > PHONE or any(wide > inside for wide, inside in boxes)


def test_search_finds_a_memory(site, view) -> None:
    view.open(site / "guides" / "laws.html")
    view.run("document.querySelector('.md-search__button').click()")
    dialog = "[...document.querySelectorAll('*')].find(node => node.shadowRoot?.querySelector('[role=combobox]'))"
    wait_for(view, f"return !!({dialog})")
    for letter in "gated delta":
        view.press(letter)
    first = f"return ({dialog}).shadowRoot.querySelector('[role=option]')?.href"
    assert "/memories/gated-delta-rule.html" in wait_for(view, first)
    assert view.console() == []


def wait_for(view: browser.Browser, script: str, seconds: float = 30) -> str:
    """What it returns once that is something."""
    until = time.monotonic() + seconds
    while not (found := view.run(script)):
        assert time.monotonic() < until, script
        time.sleep(0.1)
    return found
