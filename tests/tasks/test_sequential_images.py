from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from mnesis.tasks.images.sequential_images import SequentialImages

pytest.importorskip("sklearn")


def draw(task, length: int, batch: int = 30, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def test_pixels_are_those_of_the_pictures() -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    known = {tuple(image.astype(int)): label for image, label in zip(images, labels, strict=True)}
    episode = draw(SequentialImages(), 64)
    assert episode.inputs.shape == (30, 64, 1)
    for x, y in zip(episode.inputs[..., 0], episode.targets, strict=True):
        assert known[tuple((16 * x).round().int().tolist())] == int(y[-1])
    assert episode.weight.sum(0).tolist() == [0] * 63 + [30]


def test_rows_and_orders_are_the_same_pictures() -> None:
    plain, rows, mixed = (
        draw(SequentialImages(), 64),
        draw(SequentialImages(rows=True), 8),
        draw(SequentialImages(permuted=3), 64),
    )
    assert rows.inputs.shape == (30, 8, 8)
    torch.testing.assert_close(rows.inputs.flatten(1), plain.inputs.flatten(1))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(mixed.inputs, plain.inputs[:, order])
    assert not torch.equal(draw(SequentialImages(permuted=4), 64).inputs, mixed.inputs)


def test_noise_stands_behind() -> None:
    episode = draw(SequentialImages(), 264, batch=200)
    assert float(episode.inputs[:, 64:].std()) == pytest.approx(1, abs=0.02)
    assert float(episode.inputs[:, :64].min()) >= 0
    assert torch.all(episode.weight.argmax(1) == 263)


def test_parts_share_no_picture() -> None:
    train = SequentialImages()
    parts = [train, train.unseen("valid"), train.unseen("test")]
    assert [len(part.label) for part in parts] == [1297, 200, 300]
    assert all(0.1 <= part.chance < 0.13 for part in parts)
    seen = [{tuple(row) for row in part.pictures.flatten(1).tolist()} for part in parts]
    assert len(seen[0] & seen[2]) < 3, "some digits are drawn alike"
    permuted = SequentialImages(permuted=3, rows=True).unseen("test")
    assert (permuted.permuted, permuted.rows, permuted.part) == (3, True, "test")


def test_files_as_they_come(tmp_path) -> None:
    """A made-up set in the format of MNIST; the last 10,000 pictures of training are to validate on."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, count in (("train", 10_020), ("t10k", 30)):
        pixels = np.random.default_rng(0).integers(0, 256, (count, 2, 3), np.uint8)
        label = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 2, 3) + pixels.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + label.tobytes())
    task = SequentialImages("mnist", tmp_path)
    assert (len(task.label), len(task.unseen("valid").label), len(task.unseen("test").label)) == (20, 10_000, 30)
    assert draw(task, 6).inputs.shape == (30, 6, 1)


def test_it_is_reproducible() -> None:
    task = SequentialImages()
    assert torch.equal(draw(task, 70, seed=3).inputs, draw(task, 70, seed=3).inputs)
    assert not torch.equal(draw(task, 70, seed=3).inputs, draw(task, 70, seed=4).inputs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="part = 'all' is unknown; choose one of train, valid, test"):
        SequentialImages(part="all")
    with pytest.raises(ValueError, match="length = 63: give 1 row or more, and 64 units or more"):
        draw(SequentialImages(), 63)
    with pytest.raises(ValueError, match="digitz"):
        SequentialImages("digitz")
