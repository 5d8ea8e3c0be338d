from __future__ import annotations

import math

import pytest
import torch

from mnesis.tasks.signals.series import Series
from tests.real_data import real

TS = """#Made up.
@problemName Made
@timeStamps false
@univariate true
@classLabel true up down
@data
"""
ARFF = "%Made up.\n@relation 'Made'\n@attribute att0 numeric\n@attribute target {up,down}\n@data\n"


def draw(task, length: int, batch: int = 30, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def write(folder, train: str, test: str = "", *, suffix: str = ".ts", name: str = "Made"):
    for division, text in (("TRAIN", train), ("TEST", test)):
        if text:
            (folder / f"{name}_{division}{suffix}").write_text(text, encoding="utf-8")


def series(task) -> list[tuple[list[float], str]]:
    """Every series of one channel, with the name of its class."""
    parts = task.values[:, 0].split(task.units.tolist())
    return [
        ([round(value, 4) for value in part.tolist()], task.classes[label])
        for part, label in zip(parts, task.label.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".ts", TS + "1,2,4:up\n3.5,-1,NaN,NaN:down\n\n0,?,1:up\n"),
        (".arff", ARFF + "1,2,4,up\n3.5,-1,?,?,down\n0,?,1,up\n"),
        (".tsv", "2\t1\t2\t4\n1\t3.5\t-1\tNaN\tNaN\n2\t0\tNaN\t1\n"),
        (".txt", "  2.0000000e+00  1.0 2.0 4.0\n 1.0000000e+00,3.5,-1,NaN,NaN\n2.0,0,NaN,1\n"),
    ],
    ids=[".ts", ".arff", ".tsv", ".txt"],
)
def test_all_formats_say_the_same(tmp_path, suffix, text) -> None:
    """Values that lack inside are between their neighbours, and those that lack at the end are no units."""
    write(tmp_path, text, suffix=suffix)
    names = ("down", "up") if suffix in (".ts", ".arff") else ("1", "2")
    task = Series("Made", tmp_path, normalised=False)
    assert task.classes == names
    assert series(task) == [([1, 2, 4], names[1]), ([3.5, -1], names[0]), ([0, 0.5, 1], names[1])]
    assert task.chance == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".ts", TS + "1,2:3,4:5,6:up\n7,8,9:1,1,1:2,2,2:down\n"),
        (".arff", ARFF + "'1,2\\n3,4\\n5,6',up\n\"7,8,9\\n1,1,1\\n2,2,2\",down\n"),
    ],
)
def test_several_channels(tmp_path, suffix, text) -> None:
    folder = tmp_path / "Made"
    folder.mkdir()
    write(folder, text, suffix=suffix)
    task = Series("Made", tmp_path, normalised=False)
    episode = draw(task, 9)
    assert (task.features, task.vocabulary) == (3, 2)
    expected = {1: [[1, 3, 5], [2, 4, 6]], 0: [[7, 1, 2], [8, 1, 2], [9, 1, 2]]}
    assert episode.length is not None
    assert episode.inputs.shape == (30, 3, 3), "as long as the longest"
    for x, y, weight, length in zip(episode.inputs, episode.targets, episode.weight, episode.length, strict=True):
        count = int(length)
        assert x[:count].tolist() == expected[int(y[count - 1])]
        assert not x[count:].any()
        assert weight.tolist() == [float(place == count - 1) for place in range(3)]
    assert set(episode.length.tolist()) == {2, 3}


def test_the_first_units_of_longer_series(tmp_path) -> None:
    write(tmp_path, TS + "1,2,4,8:up\n5:down\n")
    episode = draw(Series("Made", tmp_path, normalised=False), 2)
    assert episode.length is not None
    assert {tuple(row) for row in episode.inputs[..., 0].tolist()} == {(1.0, 2.0), (5.0, 0.0)}
    assert torch.equal(episode.weight.argmax(1), episode.length - 1)


def test_normalised_as_the_archive_does(tmp_path) -> None:
    write(tmp_path, TS + "1,2,4,8:up\n3,3,3:down\n7:up\n")
    mean, deviation = 3.75, math.sqrt(sum((x - 3.75) ** 2 for x in (1, 2, 4, 8)) / 3)
    wave, constant, single = (values for values, _ in series(Series("Made", tmp_path)))
    assert wave == pytest.approx([(x - mean) / deviation for x in (1, 2, 4, 8)], abs=1e-4)
    assert (constant, single) == ([0, 0, 0], [0])


def test_several_channels_stay_as_measured(tmp_path) -> None:
    write(tmp_path, TS + "1,3:10,30:up\n")
    assert Series("Made", tmp_path).values.tolist() == [[1, 10], [3, 30]]
    half = math.sqrt(0.5)
    torch.testing.assert_close(
        Series("Made", tmp_path, normalised=True).values, torch.tensor([[-half, -half], [half, half]])
    )


def test_parts_share_no_series(tmp_path) -> None:
    rows = [(number, "up" if number < 20 else "down") for number in range(33)]
    write(tmp_path, TS + "".join(f"{number},0:{label}\n" for number, label in rows), TS + "99,0:up\n98,0:down\n")
    train = Series("Made", tmp_path, normalised=False)
    valid, test = train.unseen("valid"), train.unseen("test")
    seen, held = ({(int(values[0]), label) for values, label in series(task)} for task in (train, valid))
    assert seen | held == set(rows)
    assert not seen & held
    assert [sum(label == name for _, label in held) for name in ("up", "down")] == [4, 2], "a fifth of each class"
    assert torch.equal(train.unseen("valid").values, valid.values)
    assert series(test) == [([99, 0], "up"), ([98, 0], "down")]
    assert (test.part, test.normalised) == ("test", False)


def test_blind_knows_how_often_classes_come(tmp_path) -> None:
    write(tmp_path, TS + "1,2:up\n3,4:up\n5,6:up\n7,8:down\n")
    task = Series("Made", tmp_path)
    episode = draw(task, 2, batch=400)
    blind, last = task.blind(episode)[:, -1], episode.targets[:, -1]
    torch.testing.assert_close(blind, torch.where(last == 1, 0.75, 0.25).log2())
    assert float((last == 1).float().mean()) == pytest.approx(0.75, abs=0.06)


def test_it_is_reproducible(tmp_path) -> None:
    write(tmp_path, TS + "".join(f"{number},0:up\n" for number in range(30)))
    task = Series("Made", tmp_path, normalised=False)
    assert torch.equal(draw(task, 2, seed=3).inputs, draw(task, 2, seed=3).inputs)
    assert not torch.equal(draw(task, 2, seed=3).inputs, draw(task, 2, seed=4).inputs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@targetLabel true\n@data\n1,2:0.5\n", "has no classes to tell apart; give a set for classification"),
        ("@timeStamps true\n@classLabel true 1\n@data\n", "has a time beside every value; give a set without"),
        ("@classLabel true 1\n1,2:1\n", "has no line @data, after which series stand; give a whole file"),
        (TS + "1,x:up\n", "Made_TRAIN.ts, line 7: could not convert string to float: 'x'; give a file as the archive"),
        (TS + "1,2:3:up\n", r"line 7: channels have \[2, 1\] values; give a file as"),
        (TS + "1,2:?,?:up\n", "line 7: a channel has no value; give a file as"),
        (TS + "1,2:up\n1,2:3,4:up\n", r"has series of \[1, 2\] channels; give a file where all have as many"),
    ],
)
def test_broken_files(tmp_path, text, message) -> None:
    write(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        Series("Made", tmp_path)


def test_bad_input(tmp_path) -> None:
    write(tmp_path, TS + "1,2:up\n3,4:down\n", TS + "1,2:left\n")
    with pytest.raises(ValueError, match="part = 'all' is unknown; choose one of train, valid, test"):
        Series("Made", tmp_path, part="all")
    with pytest.raises(ValueError, match=r"there is no Other_TRAIN.ts \(or .arff, .tsv, .txt\) in .*; give the folder"):
        Series("Other", tmp_path)
    task = Series("Made", tmp_path)
    with pytest.raises(ValueError, match="holds the class 'left', which Made_TRAIN lacks; give files of one set"):
        task.unseen("test")
    with pytest.raises(ValueError, match="has fewer than 5 series of every class, none to validate on; give more"):
        task.unseen("valid")
    with pytest.raises(ValueError, match="batch = 1, length = 0: both count something; give 1 or more"):
        draw(task, 0, batch=1)


@pytest.mark.parametrize(
    ("form", "name", "counts", "classes", "channels", "lengths"),
    [
        ("ts", "GunPoint", (50, 150), 2, 1, (150, 150)),
        ("ts", "ArrowHead", (36, 175), 3, 1, (251, 251)),
        ("ts", "BasicMotions", (40, 40), 4, 6, (100, 100)),
        ("ts", "JapaneseVowels", (270, 370), 9, 12, (7, 29)),
        ("ts", "PickupGestureWiimoteZ", (50, 50), 10, 1, (29, 361)),
        ("tsv", "ECG200", (100, 100), 2, 1, (96, 96)),
        ("tsv", "Chinatown", (20, 343), 2, 1, (24, 24)),
    ],
)
def test_real_sets(form, name, counts, classes, channels, lengths) -> None:
    folder = real("ucr-uea", form)
    train = Series(name, folder)
    valid, test = train.unseen("valid"), train.unseen("test")
    assert (len(train.label) + len(valid.label), len(test.label)) == counts
    assert (train.vocabulary, train.features) == (classes, channels)
    units = torch.cat([part.units for part in (train, valid, test)])
    assert (int(units.min()), int(units.max())) == lengths
    assert set(valid.label.tolist()) == set(range(classes))
    assert draw(test, 400).inputs.isfinite().all()


@pytest.mark.parametrize("name", ["GunPoint", "ArrowHead", "BasicMotions"])
def test_real_formats_agree(name) -> None:
    """What .arff and .ts files of the archive say, and, of one channel, the .tsv files."""
    forms = ["ts", "arff"] if name == "BasicMotions" else ["ts", "arff", "tsv"]
    first, *others = [Series(name, real("ucr-uea", form), normalised=False) for form in forms]
    for other in others:
        assert torch.equal(other.label, first.label)
        torch.testing.assert_close(other.values, first.values)


def test_real_files_of_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"CardanoSentiment_TRAIN.ts has no classes to tell apart"):
        Series("CardanoSentiment", real("ucr-uea", "ts"))


def test_real_series_come_normalised() -> None:
    raw, task = (Series("GunPoint", real("ucr-uea", "ts"), normalised=normalised) for normalised in (False, True))
    torch.testing.assert_close(raw.values, task.values, atol=1e-5, rtol=1e-5)
