"""Files of pictures as they come, broken ones among them; episodes without overlap; glyphs that can be told apart."""

from __future__ import annotations

import gzip
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnesis.tasks.images.few_shot import few_shot
from mnesis.tasks.images.files import read_amat, read_chardata, read_digits, read_idx, read_omniglot
from mnesis.tasks.images.glyphs import draw_glyphs
from mnesis.tasks.images.image_set import ImageSet
from mnesis.tasks.images.splits import split_45_5
from tests.real_data import real


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def drawing(white: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(white).convert("1").save(file, "png")
    return file.getvalue()


def omniglot(path: Path, drawings: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in drawings.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read(tmp_path, zipped) -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name, array in (("images", pixels), ("labels", np.array([7, 1], np.uint8))):
        data = idx(array)
        (tmp_path / name).write_bytes(gzip.compress(data) if zipped else data)
    images = read_digits(tmp_path / "images", tmp_path / "labels")
    assert torch.equal(images.pixels, torch.from_numpy(pixels))
    assert images.label.tolist() == [7, 1]
    assert images.classes == 10
    assert [len(members) for members in images.members] == [0, 1, 0, 0, 0, 0, 0, 1, 0, 0]


def test_bad_idx_files_are_one_sentence(tmp_path) -> None:
    path = tmp_path / "file"
    for data, message in (
        (b"hello there", "is no idx file of bytes"),
        (b"", "it begins with nothing"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], "promises 6 bytes of 2x3 and holds 5"),
        (gzip.compress(idx(np.zeros((2, 3), np.uint8)))[:-4], "is not whole"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            read_idx(path)
    with pytest.raises(ValueError, match="none is no file; give the path of one"):
        read_idx(tmp_path / "none")


def test_amat_text_is_read_and_checked(tmp_path) -> None:
    path = tmp_path / "x.amat"
    path.write_text("0 1 1 0\n1 0 0 1\n")
    images = read_amat(path, side=2)
    assert images.pixels.tolist() == [[[0, 1], [1, 0]], [[1, 0], [0, 1]]]
    for text, message in (
        ("0 1 1\n", "line 1, has 3 numbers, not 4 pixels; say side="),
        ("0 1 1 0.5\n", "holds numbers other than 0 and 1"),
        ("0 1 1 zero\n", "line 1, is no row of numbers .*'zero'.*, nor is this a MATLAB file; give one"),
        ("0 1 1 0\n\n0 1\n", "line 3, has 2 numbers, not 4 pixels"),
        ("\n", "holds no row of numbers"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_amat(path, side=2)


def test_drawings_are_inverted_and_pooled(tmp_path) -> None:
    white = np.full((105, 105), 255, np.uint8)
    white[0, 3] = white[40, 41] = white[104, 50] = 0  # the last one stands in the row that is dropped
    path = omniglot(
        tmp_path / "a.zip",
        {"x/Greek/character02/0001_01.png": drawing(white), "x/Greek/character01/0000_01.png": drawing(0 * white)},
    )
    images = read_omniglot(path)
    assert images.pixels.shape == (2, 26, 26)
    assert images.pixels[images.label == 1][0].nonzero().tolist() == [[0, 0], [10, 10]]
    assert images.pixels[images.label == 0].all()
    assert images.groups == ("Greek", "Greek")


def test_bad_zips_are_one_sentence(tmp_path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    with pytest.raises(ValueError, match=r"a\.zip is neither a folder nor a zip file; give one with Omniglot's images"):
        read_omniglot(tmp_path / "a.zip")
    whole = omniglot(tmp_path / "whole.zip", {"readme.txt": b"much text"}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"a\.zip is no whole zip .*; get the file again"):
        read_omniglot(tmp_path / "a.zip")
    for name, data, message in (
        ("readme.txt", b"", "holds no ALPHABET"),
        ("x/Greek/character01/1.png", b"broken", "1.png is broken"),
        ("x/Greek/character01/1.png", drawing(np.zeros((28, 28), np.uint8)), "is 28x28, not 105x105"),
    ):
        with pytest.raises(ValueError, match=message):
            read_omniglot(omniglot(tmp_path / "b.zip", {name: data}))


def test_real_digits() -> None:
    train = read_digits(real("mnist", "train-images-idx3-ubyte.gz"), real("mnist", "train-labels-idx1-ubyte.gz"))
    assert len(train) == 60_000
    assert min(map(len, train.members)) == 5421
    drawn = train.where(torch.arange(60_000) < 2000).binarised(torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) == {0, 1}
    assert abs(float(drawn.float().mean() - train.pixels[:2000].float().mean() / 255)) < 0.002


def test_real_binarised_digits_agree_in_both_forms() -> None:
    pytest.importorskip("scipy")
    text = read_amat(real("binarized-mnist", "binarized_mnist_test.amat.gz"))
    matlab = read_amat(real("binarized-mnist", "matlab", "binarized_mnist_test.amat"))
    assert text.pixels.shape == (10_000, 28, 28)
    assert torch.equal(text.pixels, matlab.pixels)


def test_real_omniglot() -> None:
    background = read_omniglot(real("omniglot", "images_background.zip"))
    assert (len(background), background.classes, len(set(background.groups))) == (19_280, 964, 30)
    assert {len(members) for members in background.members} == {20}
    assert abs(float(background.pixels.float().mean()) - 0.1340) < 5e-4
    greek = background.of_groups({"Greek"})
    assert (len(greek), greek.classes) == (480, 24)
    with pytest.raises(ValueError, match="no group 'Klingon'"):
        background.of_groups({"Klingon"})


@pytest.mark.slow
def test_real_omniglot_is_split_by_alphabet() -> None:
    both = read_omniglot(real("omniglot", "images_background.zip"), real("omniglot", "images_evaluation.zip"))
    assert (both.classes, len(set(both.groups))) == (1623, 50)
    split = split_45_5(both)
    assert [part.classes for part in split] == [1623 - 144 - 137, 137, 144]
    assert [len(part) for part in split] == [20 * part.classes for part in split]
    assert not set(split.train.groups) & {*split.validation.groups, *split.test.groups}
    with pytest.raises(ValueError, match="there is no group"):
        split_45_5(split.train)


def test_real_chardata_stands_upright() -> None:
    """The stand-in for chardata.mat was made from the drawings: halved, both must show the same characters."""
    pytest.importorskip("scipy")
    path = real("omniglot", "chardata_derived_small.mat")
    images = read_chardata(path)
    assert (len(images), images.classes, images.pixels.shape[1:]) == (3856, 964, (28, 28))
    assert len(read_chardata(path, test=True)) == 554
    background = read_omniglot(real("omniglot", "images_background.zip"))

    def standardised(pixels: torch.Tensor) -> torch.Tensor:
        pooled = torch.nn.functional.adaptive_avg_pool2d(pixels.float()[:, None], 13).flatten(1)
        return torch.nn.functional.normalize(pooled - pooled.mean(1, keepdim=True))

    few, large = images.pixels[::97], standardised(background.pixels)
    upright, turned = ((standardised(pixels) @ large.T).max(1).values.median() for pixels in (few, few.mT))
    assert upright > turned + 0.05


def test_glyphs_are_the_same_for_a_seed_and_tell_their_class() -> None:
    glyphs = draw_glyphs(30, 6, seed=1)
    assert torch.equal(glyphs.pixels, draw_glyphs(30, 6, seed=1).pixels)
    assert torch.equal(glyphs.pixels[:60], draw_glyphs(10, 6, seed=1).pixels)
    assert not torch.equal(glyphs.pixels, draw_glyphs(30, 6, seed=2).pixels)
    assert 0.08 < glyphs.pixels.float().mean() < 0.2
    assert len(set(glyphs.groups)) == 2
    blurred = torch.nn.functional.avg_pool2d(glyphs.pixels.float()[:, None], 7, 2, 3).flatten(1)
    distance = torch.cdist(blurred, blurred).fill_diagonal_(torch.inf)
    nearest = glyphs.label[distance.argmin(1)]
    share = (nearest == glyphs.label).float().mean()
    assert 0.5 < share < 1  # far above one in thirty, and not trivial


def test_an_episode_keeps_targets_out_of_the_bank() -> None:
    count = torch.arange(12 * 10)
    pixels = torch.stack([count // 16, count % 16], 1)[:, None].to(torch.uint8)
    images = ImageSet(pixels, torch.arange(12).repeat_interleave(10), tuple("abcdefghijkl"), binary=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        episode = few_shot(images, generator, classes=3, examples=4, targets=2)
        whole = torch.cat([episode.targets, episode.bank]).flatten(1)
        assert len(whole.unique(dim=0)) == 3 * 6
        number = lambda pictures: pictures[:, 0, 0].long() * 16 + pictures[:, 0, 1]  # noqa: E731
        for shown, own in ((episode.targets, episode.target_class), (episode.bank, episode.bank_class)):
            real_class = number(shown) // 10
            assert len(set(zip(real_class.tolist(), own.tolist(), strict=True))) == 3
    only = few_shot(images, generator, classes=2, examples=1, targets=1, among=torch.tensor([4, 9]))
    assert set((number(only.targets) // 10).tolist()) == {4, 9}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 5}, "classes=5 of 4 that there are"),
        ({"examples": 4, "targets": 3}, "has 6 pictures, too few for examples=4 and targets=3"),
        ({"targets": 0}, "targets=0: an episode needs 1 or more"),
    ],
)
def test_episodes_that_cannot_be_drawn(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        few_shot(draw_glyphs(4, 6), torch.Generator(), **{"classes": 2, "examples": 2, "targets": 2, **options})


def test_pictures_are_drawn_from_a_file_sorted_by_class() -> None:
    """The same ones for a seed, and of all classes."""
    label = torch.arange(10).repeat_interleave(100)
    pixels = torch.zeros(1000, 2, 2, dtype=torch.uint8)
    images = ImageSet(pixels, label, tuple("abcdefghij"), binary=True)
    drawn = images.drawn(200)
    assert len(drawn) == 200
    assert drawn.label.bincount(minlength=10).min() > 5
    assert torch.equal(drawn.label, images.drawn(200).label)
    assert not torch.equal(drawn.label, images.drawn(200, seed=1).label)
    assert torch.equal(images.drawn(5000).label.sort().values, label)
    with pytest.raises(ValueError, match="count=0 draws no picture"):
        images.drawn(0)


def test_image_sets_check_their_parts() -> None:
    pixels = torch.zeros(2, 3, 3, dtype=torch.uint8)
    with pytest.raises(ValueError, match="2 pictures have 3 labels"):
        ImageSet(pixels, torch.zeros(3, dtype=torch.long), ("a",), binary=True)
    with pytest.raises(ValueError, match="labels reach 1 but there are 1 classes"):
        ImageSet(pixels, torch.tensor([0, 1]), ("a",), binary=True)
    with pytest.raises(ValueError, match="these reach 9; binarise them"):
        ImageSet(pixels + 9, torch.zeros(2, dtype=torch.long), ("a",), binary=True)
