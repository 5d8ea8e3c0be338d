import base64
import csv
import json
import re
from html.parser import HTMLParser

import pytest

from mnesis.measure import write_report
from mnesis.measure.pages.runs import describe_finding, load_run

from .conftest import write_run


class Page(HTMLParser):
    """Tags with their attributes, ids, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("report") / "first")


@pytest.fixture(scope="module")
def page(folder):
    return Page(write_report([folder]).read_text())


def test_files(folder, page):
    assert {file.name for file in (folder / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("accuracy", "cost", "depth", "training") for kind in ("svg", "png")
    }


def test_landmarks_and_keyboard(page):
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("header")) == 1
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.ids) == len(set(page.ids))
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in page.ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in page.ids


def test_tables_are_described(page):
    assert len(page.all("table")) == len(page.all("caption")) >= 4
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))


def test_nothing_is_fetched(page):
    for tag, attributes in page.tags:
        assert tag not in ("script", "img", "iframe", "object")
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "default-src 'none'" in page.all("meta")[2]["content"]


def test_the_page_leads_with_what_was_found(page):
    text = " ".join("".join(page.words).split())
    assert "After 1k units it answers 100% (76 to 100%) of only 12 questions rightly" in text
    assert "31.2 times the length it was trained on" in text
    assert "mnesis train --memory <gru>" in text
    assert "mnesis evaluate runs/first" in text
    assert "first?" in text
    assert "memory.memorymnesis.nets:LanguageModel" in text
    assert "<wbr>" not in text


def test_data_can_be_taken(folder, page):
    links = {a["download"]: a["href"] for a in page.all("a") if "download" in a}
    assert set(links) == {"lengths.csv", "results.json", "config.json", "metrics.jsonl", "evaluation.jsonl"}
    content = {name: base64.b64decode(address.partition(",")[2]).decode() for name, address in links.items()}
    assert json.loads(content["results.json"]) == json.loads((folder / "results.json").read_text())
    rows = list(csv.DictReader(content["lengths.csv"].splitlines()))
    assert [row["length"] for row in rows] == ["10", "100", "1000"]
    assert float(rows[0]["accuracy"]) == 1


def test_side_by_side(folder, tmp_path):
    other, new = write_run(tmp_path / "second", probability=0.01), write_run(tmp_path / "new", evaluated=False)
    assert write_report([folder, other]) == folder.parent / "first-and-second.html"
    path = write_report([folder, other, new], tmp_path / "all.html", labels=["one", "two", "three & more"])
    page = Page(path.read_text())
    text = " ".join("".join(page.words).split())
    assert "Questions answered rightly, a column a run" in text
    for table in ("comparison", "stages-table", "cost-table", "alike"):
        assert page.ids.count(table) == 1, "one table for all runs"
    assert "show no memory" in text
    assert "three & more" in text
    assert "not evaluated yet" in text
    assert len(page.ids) == len(set(page.ids))
    assert (tmp_path / "all-figures" / "accuracy.svg").is_file()


def test_equal_names_are_told_apart(folder, tmp_path):
    other = write_run(tmp_path / "first")
    page = write_report([folder, other], tmp_path / "both.html").read_text()
    assert str(folder) in page
    assert str(other) in page


def test_a_run_without_an_evaluation(tmp_path):
    text = write_report([write_run(tmp_path / "new", evaluated=False)]).read_text()
    assert "This run is not evaluated yet; it is not trained to its end." in text
    (tmp_path / "new" / "model.safetensors").touch()
    text = write_report([tmp_path / "new"]).read_text()
    assert f"This run is not evaluated yet; mnesis evaluate {tmp_path / 'new'} measures what it holds." in text
    assert "How it learned" in text
    assert "How much it still knows" not in text


def test_half_written_runs(tmp_path):
    folder = write_run(tmp_path / "torn")
    for name in ("results.json", "config.json", "metrics.jsonl"):
        content = (folder / name).read_text()
        (folder / name).write_text(content[: len(content) // 2])
    text = write_report([folder]).read_text()
    for sentence in (
        "The evaluation is not finished; what follows is what it has found so far.",
        f"{folder / 'results.json'} is not whole JSON (",
        f"{folder / 'config.json'} is not whole JSON (",
        "; it is left out.",
        "metrics.jsonl has 1 line that cannot be read (a run killed while writing).",
        "How much it still knows",
    ):
        assert sentence in text


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report([tmp_path])
    with pytest.raises(ValueError, match="at least one"):
        write_report([])
    with pytest.raises(ValueError, match="2 labels for 1 runs"):
        write_report([tmp_path], labels=["a", "b"])


def test_what_models_say_is_text(tmp_path):
    folder = write_run(tmp_path / "sly")
    results = json.loads((folder / "results.json").read_text())
    results["samples"][0]["output"] = "<script>alert(1)</script>"
    (folder / "results.json").write_text(json.dumps(results))
    assert "script" not in re.sub(r"base64,[^\"]*", "", write_report([folder]).read_text()).replace(
        "&lt;script", ""
    ).replace("/script&gt;", "")


def row(length, share, chance=0.25, control=0.25):
    return {
        "length": length,
        "accuracy": {"mean": share, "interval": [share - 0.05, share + 0.05]},
        "chance": chance,
        "control_accuracy": {"mean": control},
        "above_chance": (share - chance) / (1 - chance),
    }


@pytest.mark.parametrize(
    ("rows", "start", "end"),
    [
        ([row(10, 0.95), row(1000, 0.93)], "After 1k units it answers 93% (88 to 98%)", "25%."),
        (
            [row(10, 0.95), row(1000, 0.5)],
            "After 10 units it answers 95%",
            "At 1k units this falls to 50% (45 to 55%).",
        ),
        ([row(10, 0.25), row(1000, 0.28)], "At 10 to 1k units its answers show no memory: 28%", "25%."),
        ([row(10, 0.4), row(1000, 0.9)], "It answers best after 1k units (90% (85 to 95%) right)", "25%."),
        ([row(10, 0.9, control=0.88)], "At 10 units its answers show no memory", "88%."),
        (
            [{**row(10, 0.9, chance=0.87), "questions": 4}],
            "At 10 units questions are too few to show a memory: 90% (85 to 95%) of only 4 questions are right",
            "25%.",
        ),
    ],
)
def test_findings(rows, start, end):
    sentence = describe_finding(rows, None)
    assert sentence.startswith(start)
    assert sentence.endswith(end)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 32),  # from metrics.jsonl
        ({"recipe": {"stages": [{"length": 8}, {"length": [16, 64]}]}}, 64),
        ({"recipe": {"stages": [{"length": 8, "start": "carried"}]}}, None),
        ({"recipe": {"stages": [{"length": 8, "start": "carried"}]}, "config": {"trained_length": 4096}}, 4096),
        ({"trained_length": 128}, 128),
    ],
)
def test_trained_length(tmp_path, config, expected):
    folder = write_run(tmp_path / "run", evaluated=False)
    (folder / "config.json").write_text(json.dumps(config))
    assert load_run(folder).trained_length == expected


def test_stages(tmp_path):
    stages = load_run(write_run(tmp_path / "run", evaluated=False)).stages
    assert [(stage["stage"], stage["first"], stage["length"], stage["update"]) for stage in stages] == [
        (0, 0, 8, 9),
        (1, 640, 16, 19),
        (2, 1280, 32, 29),
    ]
