import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest

from mnesis.measure.pages import figures
from mnesis.measure.pages.report import draw
from mnesis.measure.pages.runs import load_run

from .conftest import write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return [load_run(write_run(folder / name, probability=p)) for name, p in (("sure", 0.9), ("lost", 0.01))]


def texts(markup: str) -> list[str]:
    return [
        "".join(node.itertext()).strip() for node in ElementTree.fromstring(markup).iter() if node.tag[-4:] == "text"
    ]


def test_every_figure_of_one_run(runs, tmp_path):
    drawn = draw(runs[:1])
    assert set(drawn) == {"accuracy", "cost", "depth", "training"}
    for name, figure in drawn.items():
        figures.save(figure, tmp_path / name, "A title $x$, which is longer than a line of a picture has room for")
        root = ElementTree.parse(tmp_path / f"{name}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert {"A title $x$, which is longer than a line of", "a picture has room for"} <= set(
            texts((tmp_path / f"{name}.svg").read_text())
        )
        assert (tmp_path / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert plt.get_fignums() == []  # nothing was drawn through pyplot


def test_several_runs_share_a_figure(runs):
    drawn = draw(runs)
    assert set(drawn) == {"accuracy", "cost", "depth-1", "depth-2", "training"}
    said = texts(figures.svg(drawn["accuracy"], "accuracy"))
    for label in (
        "sure",
        "lost",
        "sure, without what it read",
        "best constant answer",
        "trained to here",
        "10",
        "100",
        "1k",
    ):
        assert label in said


def test_curves_of_several_runs_share_a_chart(runs):
    said = texts(figures.svg(figures.training_curves(runs), "training"))
    assert {"sure", "lost", "accuracy", "loss", "units seen"} <= set(said)


def test_a_label_is_no_formula(runs):
    label = r"a$\frac$ <b>_c"
    drawn = draw([replace(run, label=label + name) for run, name in zip(runs, "xy", strict=True)])
    for name in ("accuracy", "cost"):
        assert any(label + "x" in text for text in texts(figures.svg(drawn[name], name)))


def test_the_heat_map_says_its_numbers(runs):
    said = texts(figures.svg(figures.accuracy_by_depth(runs[0]), "depth"))
    assert said.count("100%") == 3
    assert said.count("of 12") == 3


def test_colours_follow_the_reader(runs):
    markup = figures.svg(figures.accuracy_by_length(runs), "accuracy")
    declared = set(re.findall(r"--([\w-]+):", figures.palette(False)))
    assert declared == set(re.findall(r"--([\w-]+):", figures.palette(True)))
    assert {"ink", "soft", "paper", "series-0", "series-1"} <= set(re.findall(r"var\(--([\w-]+),", markup)) <= declared
    assert not re.findall(r"(?<!, )#[0-9a-f]{6}\b", markup)


def test_drawing_is_deterministic(runs):
    first, second = (figures.svg(figures.cost_by_length(runs), "cost") for _ in range(2))
    assert first == second


def test_long_training_is_thinned(runs):
    run = load_run(runs[0].folder)
    run.metrics = [run.metrics[0] | {"units": n} for n in range(20_000)]
    assert len(figures.svg(figures.training_curves([run]), "training")) < 60_000
