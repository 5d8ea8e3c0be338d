"""Pictures of one's own from the command line: a folder becomes a model, and exemplars become a sheet and a page."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnesis.core.folders import is_ours
from mnesis.core.shipped import shipped, shipped_folder
from mnesis.core.tensor_header import read_header
from mnesis.generative.pictures import PictureModel, store
from mnesis.nets import build, load, save
from mnesis.tasks.images.glyphs import draw_glyphs
from mnesis.tasks.images.sources import PictureSource
from tests.cli.test_any_task import run
from tests.measure.browser import Browser, installed
from tests.tasks.images.test_folders import folder_of, write

SMALL = ["--options", "widths=[4,4,4]", "latent=2", "match=4", "--threads", "1", "--quiet"]
TINY = [*SMALL, "--budget", "updates=4", "--side", "12"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with drawings, and a model trained on them."""
    place = tmp_path_factory.mktemp("pictures")
    folder_of(place / "drawings", 5, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train("--data", "drawings", *TINY)
    return place


def train(*arguments: str) -> None:
    from mnesis.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["train", "pictures", *arguments])
    assert not stopped.value.code


@pytest.fixture
def here(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_a_folder_becomes_a_model_that_opens_from_its_run(capsys, here) -> None:
    network = load("runs/pictures")
    assert isinstance(network, PictureModel)
    assert network.image == (12, 12)
    config = json.loads(Path("runs/pictures/config.json").read_text())
    assert config["model"] == {"network": "PictureModel", "arguments": config["model"]["arguments"]}
    assert config["config"]["lesson"] == {"classes": 4, "examples": 2, "targets": 2}
    assert config["validation"]["choose"] == "nll"
    before = Path("runs/pictures/model.safetensors").read_bytes()
    code, out, _ = run(capsys, "train", "pictures", "--data", "drawings", *TINY, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["updates"], told["folder"]) == (4, "runs/pictures")
    assert told["pictures"]["validation_classes"] == 1
    assert np.isfinite(told["chosen"]["nats"])
    assert Path("runs/pictures/model.safetensors").read_bytes() == before, "a finished run is read back"


def test_what_is_said_while_it_trains_and_after(capsys, here) -> None:
    arguments = [each for each in TINY if each != "--quiet"]
    code, out, error = run(capsys, "train", "pictures", "--data", "drawings", "--folder", "runs/other", *arguments)
    assert code == 0
    assert "16 pictures of 4 classes to train on, 1 classes held out" in error
    assert "12x12 pixels, ink is what is dark on light paper (the median at the borders is 255 of 255)" in error
    assert "trained: runs/other (4 updates, " in out
    assert re.search(
        r"chosen: the weights of update \d, by which a picture of the 1 classes held out costs [\d.]+ nats", out
    )
    assert "next: mnesis generate runs/other" in out


def test_other_pictures_do_not_go_on_with_a_run(capsys, here) -> None:
    write(here / "drawings" / "sign0" / "0.png", np.full((26, 26), 255, np.uint8))
    code, _, error = run(capsys, "train", "pictures", "--data", "drawings", *TINY)
    assert code == 2
    assert "holds a run of another config (config.digest is " in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_weights(here) -> None:
    arguments = ["train", "pictures", "--data", "drawings", *SMALL, "--side", "12", "--budget", "updates=40"]
    command = [sys.executable, "-m", "mnesis", *arguments]
    subprocess.run([*command, "--folder", "runs/whole"], check=True, capture_output=True)
    command += ["--folder", "runs/cut"]
    told = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while told.poll() is None and not list(Path("runs/cut").glob("checkpoint-*")):
        pass
    told.send_signal(signal.SIGINT)
    out, _ = told.communicate()
    if told.returncode:  # else it was done before the signal came
        assert told.returncode == 128 + signal.SIGINT
        assert "the same command goes on from update" in out
    subprocess.run(command, check=True, capture_output=True)
    one, other = (Path(f"runs/{name}/model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert one == other


def test_grey_pictures_and_arrays_are_trained_on(capsys, here) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 12), dtype=np.uint8)
    np.savez("grey.npz", pixels=pixels, label=np.arange(8) // 2)
    tiny = [*SMALL, "--budget", "updates=1", "--length", "1", "--task-options", "classes=2", "--folder", "runs/grey"]
    code, _, error = run(capsys, "train", "pictures", "--data", "grey.npz", "--pixels", "grey", *tiny)
    assert (code, error) == (0, "")
    assert load("runs/grey").model.likelihood_name == "discretised-logistic"
    code, out, _ = run(
        capsys, "generate", "runs/grey", "--exemplars", "grey.npz", "--bound", "2", "--json", "--show", "drawn"
    )
    assert code == 0
    assert json.loads(out)["held_out"] == 4


def test_collections_are_trained_on_by_name(capsys, here) -> None:
    tiny = [*SMALL, "--budget", "updates=1", "--folder", "runs/digits", "--json"]
    code, out, _ = run(capsys, "train", "pictures", "--collection", "digits", "--side", "12", *tiny)
    assert code == 0
    assert json.loads(out)["pictures"]["side"] == [12, 12]


def test_large_pictures_are_brought_to_a_size_that_is_modelled(capsys, here) -> None:
    for number in range(6):
        write(here / "large" / f"sign{number // 2}" / f"{number}.png", np.eye(70, k=number, dtype=np.uint8) * 255)
    tiny = [*SMALL, "--budget", "updates=1", "--folder", "runs/large"]
    code, out, _ = run(capsys, "train", "pictures", "--data", "large", *tiny, "--json")
    assert (code, json.loads(out)["pictures"]["side"]) == (0, [28, 28])
    about = PictureSource(data="large").shares.train.about
    assert about.startswith("brought from 70x70 to 28x28 pixels (--side says another); ink is what is light on dark")
    code, out, _ = run(capsys, "generate", "runs/large", "--exemplars", "large", "--bound", "2", "--json", "--quiet")
    assert (code, json.loads(out)["folder"]) == (0, "runs/generated/large-large")


def test_exemplars_become_a_sheet_and_a_page(capsys, here) -> None:
    generate = ["generate", "runs/pictures", "--exemplars", "drawings", "--bound", "4", "--samples", "3", "--quiet"]
    code, out, error = run(capsys, *generate)
    assert (code, error) == (0, "")
    assert "3 pictures after each of 5 exemplars (drawings): runs/generated/pictures-drawings/samples.png" in out
    assert "5 drawings held out: the class of " in out
    sheet, page = (Path("runs/generated/pictures-drawings") / name for name in ("samples.png", "page.html"))
    assert is_ours(sheet)
    assert is_ours(page)
    with Image.open(sheet) as image:
        assert image.size == (4 * 14 * 4, 4 * 14 * 5), "four pictures across and five down, with lines around each"
        exemplar = np.asarray(image)[4:52:4, 4:52:4]
    images = draw_glyphs(5, 4, seed=5)
    assert set(np.unique(exemplar)) == {0, 255}
    assert images.classes == 5
    text = page.read_text()
    for words in (
        "expected pixels",
        "(here 4)",
        "with its own class taken out",
        "q(a | x) over the 15 slots",
        "sign0 #1",
        "The bank",
    ):
        assert words in text
    assert text.count('<article class="drawing">') == 5
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text), "it asks the network for nothing"
    code, _, error = run(capsys, *generate)
    assert code == 2
    assert "runs/generated/pictures-drawings/samples.png exists; give another --folder or --overwrite" in error
    assert run(capsys, *generate, "--overwrite", "--show", "drawn")[0] == 0
    assert "drawn pixels" in page.read_text()
    with Image.open(sheet) as image:
        drawn = np.asarray(image)[4:52:4, 60:108:4]
    assert set(np.unique(drawn)) <= {0, 255}


def test_figures_for_scripts_are_those_of_the_model(capsys, here) -> None:
    arguments = ["generate", "runs/pictures", "--exemplars", "drawings", "--bound", "4", "--seed", "3", "--json"]
    code, out, _ = run(capsys, *arguments, "--quiet")
    assert code == 0
    told = json.loads(out)
    assert (told["bank"], told["classes"], told["held_out"], told["bound_samples"]) == (15, 5, 5, 4)
    assert told["right"] == sum(each["said"] == each["class"] for each in told["drawings"])
    for figure in ("nats", "nats_without_its_class"):
        assert told[figure] == pytest.approx(sum(each[figure] for each in told["drawings"]) / 5, abs=1e-3)
    for each in told["drawings"]:
        shares = [slot["share"] for slot in each["best"]]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-3
    again = json.loads(run(capsys, *arguments, "--quiet", "--folder", "again")[1])
    assert again["drawings"] == told["drawings"], "the seed says all"
    few = json.loads(run(capsys, *arguments, "--bank", "1", "--classes", "2", "--folder", "few")[1])
    assert (few["bank"], few["classes"], few["held_out"]) == (2, 2, 2)
    assert "The first 2 of 5 classes are shown." in Path("few/page.html").read_text()


def test_one_picture_and_none_at_all_are_exemplars(capsys, here) -> None:
    common = ["--bound", "2", "--samples", "2", "--json"]
    told = json.loads(run(capsys, "generate", "runs/pictures", "--exemplars", "drawings/sign0/1.png", *common)[1])
    assert (told["bank"], told["held_out"], told["nats"]) == (1, 0, None)
    assert "No class has two drawings" in Path("runs/generated/pictures-1/page.html").read_text()
    told = json.loads(run(capsys, "generate", "runs/pictures", "--folder", "held", *common)[1])
    assert told["exemplars"] == "classes that training held out"
    assert told["classes"] == 1
    shutil.rmtree("drawings")
    code, _, error = run(capsys, "generate", "runs/pictures", "--folder", "other", *common)
    assert code == 2
    assert "the pictures of runs/pictures cannot be read (drawings is not there; " in error
    assert error.rstrip().endswith("give --exemplars FOLDER")


def test_a_model_ships_and_is_shown_characters_made_on_the_spot(capsys, here) -> None:
    assert "omniglot" in shipped("pictures")
    folder = shipped_folder("omniglot", "pictures")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 4 * 2**20
    header = read_header(folder / "model.safetensors", mend="")
    assert {promise.dtype for promise in header.promises.values()} == {"F16"}
    network = load(folder)
    assert isinstance(network, PictureModel)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    code, out, _ = run(capsys, "generate", "omniglot", "--bound", "2", "--samples", "2", "--json", "--quiet")
    assert code == 0
    told = json.loads(out)
    assert told["exemplars"] == "8 made-up characters"
    assert (told["bank"], told["held_out"]) == (40, 8)
    assert told["nats"] < 300, "a coin a pixel costs 469"
    assert json.loads(run(capsys, "show", "omniglot", "--json")[1])[0]["network"] == "PictureModel"
    assert "/work" not in (folder / "config.json").read_text()


def test_a_run_is_stored_as_it_ships(here) -> None:
    store("runs/pictures", "stored")
    kept, run_config = (json.loads(Path(f"{name}/config.json").read_text()) for name in ("stored", "runs/pictures"))
    assert kept == run_config
    whole, half = load("runs/pictures").state_dict(), load("stored").state_dict()
    assert all(torch.allclose(whole[name], half[name], atol=1e-2, rtol=1e-2) for name in whole)
    assert any(not torch.equal(whole[name], half[name]) for name in whole)
    with pytest.raises(ValueError, match=r"stored already holds model\.safetensors"):
        store("runs/pictures", "stored")
    save(build({"memory": "gru", "arguments": {"dim": 4}}), "gru")
    with pytest.raises(ValueError, match="gru holds a GRU, no model of pictures"):
        store("gru", "elsewhere")


TRAIN = ("train", "pictures")
REFUSED = [
    (TRAIN, "--data is missing; give a folder of pictures with a subfolder a class"),
    ((*TRAIN, "--data", "nowhere"), "--data nowhere is not there; give a folder with a subfolder a class"),
    ((*TRAIN, "--data", "drawings", "--memory", "gru"), "--memory is not an option of pictures, whose model takes"),
    ((*TRAIN, "--data", "drawings", "--depth", "3"), "--depth is not an option of pictures"),
    ((*TRAIN, "--data", "drawings", "--recipe", "demo"), "--recipe is an option of babilong alone, and"),
    (("train", "copy", "--memory", "gru", "--side", "12"), "--side is an option of pictures alone, and the task"),
    (("train", "babilong", "--data", "drawings"), "--data is an option of pictures alone, and the task is babilong"),
    ((*TRAIN, "--data", "drawings", "--side", "8"), "--side 8 is not a whole number between 12 and 64"),
    ((*TRAIN, "--data", "drawings", "--threshold", "0"), "--threshold 0 is not"),
    ((*TRAIN, "--data", "drawings", "--paper", "grey"), "--paper has no 'grey'; give auto, light or dark"),
    ((*TRAIN, "--data", "drawings", "--budget", "tokens=1k"), "a budget of tokens is not one of pictures, which count"),
    ((*TRAIN, "--data", "drawings", "--budget", "updates=0"), "a budget of 0 updates trains nothing"),
    ((*TRAIN, "--data", "drawings", "--options", "latnt=3"), "PictureModel has no argument 'latnt'; did you mean 'lat"),
    ((*TRAIN, "--data", "drawings", "--options", "latent=0"), "latent=0 is not a whole number"),
    ((*TRAIN, "--data", "drawings", "--task-options", "classs=3"), "did you mean 'classes'?"),
    ((*TRAIN, "--data", "drawings", "--task-options", "classes=0"), "classes=0 is not"),
    ((*TRAIN, "--data", "drawings", "--task-options", "classes=9"), "classes=9 of 4 that there are; ask for fewer"),
    ((*TRAIN, "--data", "drawings", "--length", "9"), "has 4 pictures, too few for examples=9 and targets=1; ask"),
    ((*TRAIN, "--data", "two"), "the pictures are of 2 classes (sign0, sign1), and training takes 3 or more"),
    ((*TRAIN, "--data", "ones"), "class sign0 has 1 drawing, and training takes two or more of every class"),
    ((*TRAIN, "--collection", "omniglott"), "no collection of pictures is called 'omniglott'; there are mnist"),
    ((*TRAIN, "--collection", "omniglot"), "omniglot is read from files; say which folder holds omniglot/"),
    (("evaluate", "runs/pictures"), "runs/pictures is a model of pictures, which answers no questions; mnesis"),
    (("generate",), "MODEL is missing; give one"),
    (("generate", "omniglt"), "no model of pictures of that name; did you mean 'omniglot'?"),
    (("generate", "gru"), "gru holds a GRU, which draws no pictures; give a run of mnesis train pictures"),
    (("generate", "drawings"), "drawings/config.json"),
    (("generate", "runs/pictures", "--exemplars", "nowhere"), "--exemplars nowhere is not there; give a folder"),
    (("generate", "runs/pictures", "--exemplars", "runs"), "holds no pictures (.png,"),
    (("generate", "runs/pictures", "--samples", "0"), "--samples 0 is not a whole number between 1 and 1000"),
    (("generate", "runs/pictures", "--folder", "notes.txt"), "--folder notes.txt is a file; give the path of a folder"),
    (("generate", "runs/pictures", "--folder", "theirs", "--overwrite"), "was not written by this command"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_bad_input_is_one_sentence_and_leaves_nothing(capsys, here, arguments, sentence) -> None:
    folder_of(here / "two", 2, 3)
    folder_of(here / "ones", 3, 1)
    save(build({"memory": "gru", "arguments": {"dim": 4}}), "gru")
    Path("notes.txt").write_text("mine")
    Path("theirs").mkdir()
    Path("theirs/page.html").write_text("<p>mine</p>")
    before = sorted(here.rglob("*"))
    given = [*arguments, "--folder", "new"] if arguments[:1] == ("train",) else arguments
    code, out, error = run(capsys, *given)
    assert (code, out) == (2, "")
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(here.rglob("*")) == before


@pytest.mark.skipif(not installed(), reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False)])
def test_the_page_fits_and_is_reached_by_keyboard(capsys, here, width, dark) -> None:
    run(capsys, "generate", "runs/pictures", "--exemplars", "drawings", "--bound", "2", "--quiet")
    with Browser(width, dark=dark) as browser:
        browser.open(Path("runs/generated/pictures-drawings/page.html"))
        assert browser.run("return document.documentElement.scrollWidth") == width
        assert browser.console() == []
        assert [each for each in browser.requests() if not each.startswith(("data:", "file:"))] == []
        browser.press("\ue004", 2)  # past the link that skips
        assert browser.run("return document.activeElement.textContent") == "What it draws"
        assert browser.run("return [...document.images].every(image => image.complete && image.naturalWidth > 0)")
