"""The page of a comparison: whole, offline, sorted and filtered in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

from mnesis.cli import main
from mnesis.compare.cell import Cell
from mnesis.compare.leaderboard import leaderboard, markdown
from mnesis.compare.page import write_page
from mnesis.compare.pictures import by_distance, pareto

from ..measure import browser

SETTING: dict[str, Any] = {
    "task": "multi-query-recall", "length": [2, 16], "tests": [16, 32], "budget": {"kind": "tokens", "amount": 5000},
    "task_options": {"vocabulary": 128, "random_fillers": False}, "match": {"kind": "parameters", "amount": 100_000},
    "dim": 64, "depth": 2, "convolution": None, "batch": 32, "rates": [1e-3, 3e-3], "seeds": 2, "sequences": 100,
}  # fmt: skip


def cell(memory: str, bits: float, state: int, speed: float, task: str = "multi-query-recall", **more: Any) -> Cell:
    def score(length: int, seed: int) -> dict[str, Any]:
        right = min(1.0, max(0.0, (bits + 0.1 * seed) / 6 * 16 / length))
        return {
            "length": length, "answers": 100, "sequences": 10, "accuracy": right, "accuracy_interval": [right, right],
            "bits": bits + 0.1 * seed, "bits_interval": None, "control": 0.02, "control_bits": -1.0, "chance": 0.016,
            "above_chance": right, "state_bytes": state, "items": length, "held": length * bits,
            "interference": [50, 0.5, 1.0, 0.25] if memory == "gla" else None,
            "distances": [[8, 40, 1.0, bits], [16, 40, 0.5, bits / 2]],
        }  # fmt: skip

    trainings = [
        {
            "seed": seed,
            "folder": f"seed-{seed}",
            "units": 5000,
            "seconds": 5000 / speed,
            "scores": [score(length, seed) for length in (16, 32)],
        }
        for seed in (1, 2)
    ]
    return {
        "asked": {"memory": memory, "options": {"heads": 2} if memory == "gla" else {}, "setting": SETTING,
                  "revisions": {"gla": 2} if memory == "gla" else {}},
        "task": task, "memory": memory, "status": "done", "dim": 64, "hidden": 250, "options": {}, "steps": 40,
        "parameters": 99_000, "multiply_adds": 1e5, "units_per_second": float(speed),
        "rate": 3e-3, "search_seconds": 7.0, "trainings": trainings,
        "search": [{"rate": 1e-3, "bits": bits - 1, "folder": "search"}, {"rate": 3e-3, "bits": None, "folder": "s"}],
        "sees": None, "inside": [], **more,
    }  # fmt: skip


def cells() -> list[Cell]:
    unfit = {"asked": {"memory": "rmt", "options": {}, "setting": SETTING}, "task": "multi-query-recall"}
    return [
        cell("gru", 1.0, 2048, 9000),
        cell("gla", 4.0, 16_000, 5000),
        cell("window", 3.0, 64_000, 7000, sees=12),
        cell("armt", 5.0, 70_000, 6000, sees=512, inside=[16, 32]),
        {**unfit, "memory": "rmt", "status": "unfit", "reason": "has <more> parameters"},
        cell("gru", 0.5, 2048, 9000, task="copy"),
        cell("gru", -0.5, 2048, 9000, task="parity"),
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write_page(tmp_path_factory.mktemp("compared"), cells())


def test_it_says_what_made_every_figure(page) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("has &lt;more&gt; parameters") == 2, "below the table too"
    best = dict(re.findall(r"<tr><th scope=\"row\"><a href=\"#([a-z-]+)\">.*?</th><td>(.*?)</td>", text))
    assert ">gla</a>" in best["multi-query-recall"]
    assert "armt" not in best["multi-query-recall"], "it read what stood in its segment"
    assert best["parity"] == "none holds anything"
    assert (
        "512 units stand verbatim in the memory: at 16, 32 that was the whole sequence, or all that is asked of it (†)."
        in text
    )
    assert "† all that is asked stood verbatim in the memory, which wins nothing: armt (512 units)" in text
    assert ">Held bits<" in text
    assert (
        text.index("<h1>Which memory?</h1>")
        < text.index("What holds most, task by task")
        < text.index("Which memory for")
    )
    assert text.count("bound anew 50% are right and 25% say what held before; of the others 100%") == 1
    assert text.count("half are recalled, above chance: 22.8 (over seeds 22.8 to 23.4)") == 1
    assert "half are recalled, above chance: less than any that was tested." in text
    assert text.count("Units after which bits have halved: more than 16.") == 5
    assert text.count("Units after which") == 5, "nothing where nothing is held"
    assert text.count("multi-query-recall/gla/seed-2") == 1
    for memory, task in (("gla", "multi-query-recall"), ("gru", "copy")):
        assert f'id="{task}--{memory}"' in text
        assert f'href="#{task}--{memory}"' in text
    assert not re.findall(r"https?://(?!www\.w3\.org)", text)


def test_halves_are_known_where_curves_are() -> None:
    (gla,) = (line for line in leaderboard(cells()) if line.memory == "gla")
    assert gla.half_items is not None
    for found, right in zip(gla.half_items, (4.1, 4.1, 4.2), strict=True):
        first, second = (((right / 6 * 16 / length) - 0.016) / 0.984 for length in (16, 32))
        assert found.at == pytest.approx(16 * 2 ** ((first - 0.5) / (first - second)))
    other = cell("gla", 4.0, 16_000, 5000)
    for training in other["trainings"]:
        training["scores"][1]["items"] = 16
        training["scores"][0]["distances"] = []
    (line,) = leaderboard([other])
    assert line.half_items is None, "of one number of items there is no curve"
    assert line.half_life is None


def test_its_commands_can_be_run(page, capsys) -> None:
    """The command line takes them; its budget is too small to train."""
    text = page.read_text(encoding="utf-8")
    (found,) = (line for line in re.findall(r"<pre>(.*?)</pre>", text) if "--memories gla" in line)
    words = shlex.split(found.replace("&#39;", "'").replace("&#34;", '"'))
    words[words.index("--budget") + 1] = "tokens=1"
    with pytest.raises(SystemExit) as end:
        main([*words[1:], "--folder", str(page.parent / "again"), "--quiet"])
    assert end.value.code == 2
    assert "does not suffice for one update of 32 rows" in " ".join(capsys.readouterr().err.split())


def test_the_front() -> None:
    """Only what no other beats in both stands on the line."""
    lines = [line for line in leaderboard(cells()) if line.task == "multi-query-recall"]
    axes = pareto(lines, lambda line: line.state_bytes, "bytes").axes[0]
    assert [text.get_text() for text in axes.texts] == ["gla", "gru", "armt †", "window"], "the front first"
    assert list(axes.lines[0].get_ydata()) == pytest.approx([1.15, 4.15]), "armt holds more, and wins nothing"
    axes = pareto(lines, lambda line: line.units_per_second, "speed", more=True).axes[0]
    assert [text.get_text() for text in axes.texts][:3] == ["gla", "window", "gru"]
    tied = leaderboard([cell("gru", 1.0, 2048, 9000), cell("lstm", 1.0001, 2560, 9000)])
    axes = pareto(tied, lambda line: line.state_bytes, "bytes").axes[0]
    assert len(axes.lines[0].get_ydata()) == 1, "no more for what no range tells apart"
    crowd = leaderboard([cell(f"{'delta' * 3}-{i}", 4 + i / 1000, 1000 + i, 5000) for i in range(40)])
    figure = pareto(crowd, lambda line: line.state_bytes, "bytes")
    (axes,) = figure.axes
    for text in axes.texts:
        text.get_window_extent()  # places them
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines that lead to them
    assert 1 < len(boxes) < 40, "as many as there is room for"
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes), "none is cut"
    said = {text.get_text() for text in axes.texts}
    told = next(text.get_text() for text in figure.legends[0].get_texts() if text.get_text().startswith("no room for"))
    for line in crowd:
        assert (line.memory in said) != (line.memory in re.split(r"[\s,]+", told)), "named in one of two places"
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    own = {"gla": cells()[1]}
    own["gla"]["trainings"][0]["scores"][0]["distances"] = []
    figure = by_distance(own, [line for line in lines if line.memory == "gla"])
    assert figure is not None
    for training in own["gla"]["trainings"]:
        for score in training["scores"]:
            score["distances"] = []
    assert by_distance(own, [line for line in lines if line.memory == "gla"]) is None


def test_nothing_is_below_zero_by_rounding(tmp_path) -> None:
    """A memory at chance is a hair above or below it, by chance: both are written 0.00."""
    for hair in (-0.0001, 0.0001):
        found = [cell("gru", hair - 0.15, 2048, 9000)]
        assert "| 0.00 (-0.05 to 0.05) |" in markdown(leaderboard(found))
        page = write_page(tmp_path, found).read_text()
        assert "<td>0.00</td>" in page
        assert ">0.00<small>-0.05 to 0.05</small>" in page


MEMORIES = "return [...document.querySelectorAll('#multi-query-recall ~ .scroll .sorted th')].map(h => h.innerText)"
CHOSEN = "return [...document.querySelectorAll('#chosen tr')].filter(r => !r.hidden).map(r => r.cells[0].innerText)"


def typed(name: str, value: str) -> str:
    return (
        f"const field = document.forms[0].elements['{name}']; field.value = '{value}'; "
        "field.dispatchEvent(new Event('input', {bubbles: true}))"
    )


@pytest.mark.skipif(not browser.installed(), reason="chromium and chromedriver are not installed")
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
def test_in_a_browser(page, width, dark) -> None:
    with browser.Browser(width, dark=dark) as chrome:
        chrome.open(page)
        assert chrome.run("return document.documentElement.scrollWidth") <= width
        assert chrome.run(MEMORIES)[:5] == ["gla", "window", "gru", "armt †", "rmt"]
        size = "return parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
        assert chrome.run(size.format("h1")) > chrome.run(size.format("h2"))
        hints = "return [...document.querySelectorAll('.hint')].length"
        assert (chrome.run(hints) > 0) is (width == 360), "what scrolls sideways says so"
        if width == 360:
            region = "document.querySelector('#multi-query-recall ~ .scroll')"
            chrome.run(f"{region}.scrollLeft = 200")
            left = chrome.run(f"return {region}.querySelector('tbody th').getBoundingClientRect().left")
            assert left == chrome.run(f"return {region}.getBoundingClientRect().left"), "names stay"
        state = "document.querySelectorAll('#multi-query-recall ~ .scroll th button')[4]"
        chrome.run(f"{state}.focus()")
        chrome.press("\ue007")  # enter: the largest state first
        assert chrome.run(MEMORIES)[:5] == ["armt †", "window", "gla", "gru", "rmt"]
        chrome.press("\ue007")
        assert chrome.run(MEMORIES)[:5] == ["gru", "gla", "window", "armt †", "rmt"], "what has no figure stays last"
        assert chrome.run(f"return {state}.closest('th').ariaSort") == "ascending"
        assert chrome.run(CHOSEN) == ["gla", "window", "gru"]
        chrome.run(typed("state", "20000"))
        assert chrome.run(CHOSEN) == ["gla", "gru"]
        chrome.run("document.forms[0].elements['parallel'].click()")
        assert chrome.run(CHOSEN) == ["gla"]
        chrome.run(typed("speed", "6000"))
        assert chrome.run(CHOSEN) == []
        assert "None remains" in chrome.run("return document.getElementById('chosen-count').textContent")
        chrome.run("document.querySelector('.heat a').click()")
        assert chrome.run("return document.querySelectorAll('details[open]').length") == 1
        assert chrome.console() == []
        assert [url for url in chrome.requests() if not url.startswith(("file:", "data:"))] == []


def test_a_folder_is_drawn_anew_without_training(tmp_path, capsys) -> None:
    """Cells of earlier revisions too, as stale; results stand as CSV, and replace nobody else's."""
    for number, found in enumerate([cell("gla", 4.0, 16_000, 5000), cell("gru", 1.0, 2048, 9000)]):
        own = tmp_path / "multi-query-recall" / str(number)
        own.mkdir(parents=True)
        del found["asked"]["revisions"]
        (own / "cell.json").write_text(json.dumps(found), encoding="utf-8")
    inner = tmp_path / "state=16k" / "multi-query-recall" / "gru"
    inner.mkdir(parents=True)
    (inner / "cell.json").write_text(json.dumps(cell("gru", 1.0, 2048, 9000)), encoding="utf-8")
    results = tmp_path / "results.csv"
    for folder in (tmp_path / "state=16k", tmp_path):
        with pytest.raises(SystemExit) as end:
            main(["compare", "--redraw", "--folder", str(folder), "--csv", str(results)])
        assert end.value.code == 0
    text = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    assert "‡ gla wins nothing: made with revision 1 of gla, which is at 2" in text
    assert 'href="state=16k/leaderboard.html"' in text
    assert "gru holds most: 1.15 bits an answer" in text, "there and here"
    with results.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2, "memories, seeds, lengths"
    assert {(row["memory"], row["seed"], row["length"]) for row in rows} == {
        (memory, seed, length) for memory in ("gla", "gru") for seed in "12" for length in ("16", "32")
    }
    assert [row["bits"] for row in rows if row["memory"] == "gru"] == ["1.1", "1.1", "1.2", "1.2"]
    results.write_text("mine\n", encoding="utf-8")
    for words, sentence in (
        (["--csv", str(results)], "results.csv is there and was not written by this command"),
        (["copy"], "leave copy out"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["compare", "--redraw", "--folder", str(tmp_path), *words])
        assert end.value.code == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
    assert results.read_text(encoding="utf-8") == "mine\n"
