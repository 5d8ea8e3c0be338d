import pytest

from mnesis.measure import write_report

from . import browser
from .conftest import write_run

pytestmark = pytest.mark.skipif(not browser.installed(), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    runs = [
        write_run(folder / "a-run-with-a-rather-long-name-that-could-push-the-page-wide"),
        write_run(folder / "second", questions=2, lengths=(10, 20, 50, 100, 200, 500, 1000), probability=0.01),
    ]
    return [write_report(runs[:1]), write_report(runs, folder / "both.html")]


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1280, True)])
def test_pages_open_offline(pages, width, dark, tmp_path):
    with browser.Browser(width, dark=dark) as view:
        for page in pages:
            view.open(page)
            view.run("document.querySelectorAll('details').forEach(node => node.open = true)")
            assert view.run("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
            assert view.console() == []
            assert view.requests() == [page.resolve().as_uri()]
            headings = view.run("return [...document.querySelectorAll('h2')].map(node => node.textContent)")
            wanted = [
                "How much it still knows, by length",
                "What reading costs",
                "What the words mean",
                "Take the data",
            ]
            assert [heading for heading in headings if heading in wanted] == wanted
            sizes = view.run(
                "return [...document.querySelectorAll('figure svg')].map(node => node.getBoundingClientRect().width)"
            )
            assert len(sizes) >= 4
            assert all(min(width, 600) * 0.8 < size <= width for size in sizes)
            background = view.run("return getComputedStyle(document.body).backgroundColor")
            assert (int(background[4:].split(",")[0]) < 60) == dark


def test_letters_in_charts_are_as_large_as_those_of_notes(pages):
    """On a phone: 10 pixels at least; and names and numbers stay within their picture."""
    with browser.Browser(360) as view:
        for page in pages:
            view.open(page)
            view.run("document.querySelectorAll('details').forEach(node => node.open = true)")
            found = view.run(browser.LETTERS)
            assert len(found) > 20
            assert min(size for _, size, _ in found) >= 9.9
            assert [text for text, _, inside in found if not inside] == []


def test_wide_tables_show_that_they_scroll(pages):
    with browser.Browser(360) as view:
        view.open(pages[1])
        wide = view.run(
            "return [...document.querySelectorAll('.scroll')].filter(node => node.scrollWidth > node.clientWidth)"
            ".map(node => [getComputedStyle(node).backgroundAttachment, getComputedStyle(node.querySelector("
            "'tbody th')).position, getComputedStyle(node.querySelector('thead th')).position])"
        )
        assert wide
        assert all(each == ["local, local, scroll, scroll", "sticky", "sticky"] for each in wide)


def test_the_keyboard_finds_its_way(pages):
    with browser.Browser(1280) as view:
        view.open(pages[0])
        view.press("\ue004")  # Tab
        assert view.run("return document.activeElement.className") == "skip"
        assert view.run("return document.activeElement.getBoundingClientRect().left") >= 0
        assert view.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        view.press("\ue007")  # Enter
        assert view.run("return document.activeElement.id") == "main"
