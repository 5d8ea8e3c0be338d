"""The page of a folder's claims: whole, offline, as wide as the screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnesis.claims.page import write_page
from mnesis.claims.vma.confounders import Confounders
from mnesis.claims.vma.few_shot import FewShot
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
    assert text.count("<svg") == 5  # nats, samples, addresses; confounders, exemplars
    assert "not judged" in text
    assert "[bold]" not in text


def test_a_folder_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no claim's result"):
        write_page(tmp_path)


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
        view.press("\ue004")  # Tab
        assert view.run("return document.activeElement.className") == "skip"
