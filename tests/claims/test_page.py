"""The page of a folder's claims: whole, offline, as wide as the screen."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mnesis.claims.page import write_page
from mnesis.claims.vma.confounders import Confounders
from mnesis.claims.vma.few_shot import FewShot
from mnesis.core.folders import alone
from tests.measure import browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    for claim in (FewShot(), Confounders()):
        claim.run("smoke", folder, progress=False)
    return write_page(folder / "smoke")


def test_a_page_has_every_claim_of_its_folder(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for claim in (FewShot, Confounders):
        assert f'id="{claim.name}"' in text
        assert f"{claim.name}.json</a>" in text
    assert text.count("<svg") == 6  # nats, samples, means, addresses; confounders, exemplars
    assert "not judged" in text
    assert "[bold]" not in text


@pytest.mark.parametrize("verdict", ["holds", "does not hold", "inconclusive", "not judged"])
def test_one_claim_opens_with_its_verdict_and_says_its_title_once(page: Path, tmp_path: Path, verdict: str) -> None:
    whole = json.loads((page.parent / f"{FewShot.name}.json").read_text(encoding="utf-8"))
    (tmp_path / f"{FewShot.name}.json").write_text(json.dumps({**whole, "verdict": verdict}), encoding="utf-8")
    text = write_page(tmp_path).read_text(encoding="utf-8")
    body = re.sub(r'aria-label="[^"]*"', "", text[text.index("<body>") :])
    assert body.count(FewShot.statement) == 1
    mark = {"holds": "✓", "does not hold": "✗", "inconclusive": "?", "not judged": "-"}[verdict]
    badge = f'<span class="badge {verdict.replace(" ", "-")}"><span aria-hidden="true">{mark}</span> {verdict}</span>'
    assert body.index(badge) < body.index(f"<h1>{FewShot.statement}</h1>")
    assert ("too small to judge by" in body) == (verdict == "not judged")


def test_a_folder_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no claim's result"):
        write_page(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not whole JSON"),
        ("[]", "[] is not a mapping"),
        ({"verdict": "maybe"}, "verdict='maybe' is not one of"),
        ({"figures": 5}, "figures=5 is not a mapping"),
        ({"figures": {"points": []}}, "its figures are not"),
        ({"figures": {"points": [{}]}}, "its figures are not"),
    ],
)
def test_damaged_results_are_refused(page: Path, tmp_path: Path, content: str | dict, words: str) -> None:
    whole = json.loads((page.parent / f"{FewShot.name}.json").read_text(encoding="utf-8"))
    text = json.dumps({**whole, **content}) if isinstance(content, dict) else content
    (tmp_path / f"{FewShot.name}.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{FewShot.name}\.json .*; remove it, and run the claim again") as told:
        write_page(tmp_path)
    assert words in str(told.value)


@pytest.mark.parametrize("name", [f"{FewShot.name}.json", f"{FewShot.name}.png"])
def test_nobody_elses_file_is_replaced(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / name).write_text('{"mine": 1}', encoding="utf-8")
    monkeypatch.setattr(FewShot, "measure", None)  # nothing is measured before that is known
    with pytest.raises(ValueError, match=rf"{name} is there and was not written by this command; move it away"):
        FewShot().run("smoke", tmp_path, progress=False)
    assert [path.name for path in (tmp_path / "smoke").iterdir()] == [name]


def test_one_claim_at_a_time_and_nobody_elses_page(page: Path, tmp_path: Path) -> None:
    shutil.copytree(page.parent, tmp_path / "smoke")
    with alone(tmp_path / "smoke"):
        with pytest.raises(ValueError, match="another process is writing in"):
            FewShot().run("smoke", tmp_path, progress=False)
        write_page(tmp_path / "smoke")  # of what stands there
    (tmp_path / "smoke" / "report.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"report\.html is there and was not written by this command"):
        write_page(tmp_path / "smoke")


@pytest.mark.skipif(not browser.installed(), reason="chromium and chromedriver are not installed")
@pytest.mark.parametrize(("width", "dark"), [(360, False), (1280, True)])
def test_it_opens_offline(page: Path, width: int, dark: bool) -> None:
    with browser.Browser(width, dark=dark) as view:
        view.open(page)
        view.run("document.querySelectorAll('details').forEach(node => node.open = true)")
        assert view.run("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert view.console() == []
        asked = [address for address in view.requests() if not address.startswith("data:")]  # pictures inside the page
        assert asked == [page.resolve().as_uri()]
        large, small = (
            view.run(f"return parseFloat(getComputedStyle(document.querySelector('{each}')).fontSize)")
            for each in ("h1", "h2")
        )
        assert large > small
        if width == 360:
            letters = view.run(browser.LETTERS)
            assert letters
            assert min(size for text, size, _ in letters if text) >= 9.9
        view.press("\ue004")  # Tab
        assert view.run("return document.activeElement.className") == "skip"
