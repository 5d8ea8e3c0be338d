from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from mnesis.tasks.signals.polyphonic_music import PolyphonicMusic
from tests.real_data import real

io = pytest.importorskip("scipy.io")


def draw(task, length: int, batch: int = 60, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def roll(*frames) -> np.ndarray:
    piece = np.zeros((len(frames), 88), np.uint8)
    for frame, keys in enumerate(frames):
        piece[frame, list(keys)] = 1
    return piece


def save(file, **pieces) -> None:
    cells = {name: np.empty((1, len(rolls)), object) for name, rolls in pieces.items()}
    for name, rolls in pieces.items():
        cells[name][0, :] = rolls
    io.savemat(file, cells)


@pytest.fixture
def file(tmp_path):
    """Three pieces to train on; keys say which."""
    train = [
        roll((10, 20, 87), (), (11,), (), ()),
        roll((30,), (31, 32)),
        roll(*[(40 + frame, 60) for frame in range(20)]),
    ]
    save(tmp_path / "Made.mat", traindata=train, validdata=[roll((1,), (2,))], testdata=[roll((0, 3))])
    return tmp_path / "Made.mat"


WHOLE = [[10, 20, 87, 88, 88, 11, 88, 88, 88], [30, 88, 31, 32, 88]]
LONG = [token for frame in range(20) for token in (40 + frame, 60, 88)]


def test_pieces_are_spelled_key_by_key(file) -> None:
    episode = draw(PolyphonicMusic(file), 1000)
    assert episode.length is not None
    assert episode.inputs.shape == (60, len(LONG)), "as long as the longest"
    seen = set()
    for x, y, weight, count in zip(*(part.tolist() for part in episode[:3]), episode.length.tolist(), strict=True):
        assert y[:count] in [*WHOLE, LONG]
        assert x[:count] == [88, *y[: count - 1]]
        assert weight == [1.0] * count + [0.0] * (len(LONG) - count)
        seen.add(tuple(y[:count]))
    assert len(seen) == 3


def test_long_pieces_begin_at_any_frame(file) -> None:
    episode = draw(PolyphonicMusic(file), 9, batch=3000)
    assert episode.length is not None
    begun = Counter()
    for x, y, count in zip(episode.inputs.tolist(), episode.targets.tolist(), episode.length.tolist(), strict=True):
        assert x[0] == 88
        if y[0] in (10, 30):
            assert y[:count] in WHOLE, "the short ones from their first frame on"
            begun[y[0]] += 1
        else:
            frame = y[0] - 40
            assert y == LONG[3 * frame : 3 * frame + 9], "and as many tokens as are asked for"
            begun[40] += 1
            begun["frame", frame] += 1
    assert {key[1] for key in begun if isinstance(key, tuple)} == set(range(18))
    for key, count in begun.items():
        expected = 1000 / 18 if isinstance(key, tuple) else 1000
        assert abs(count - expected) < 4.5 * math.sqrt(expected)


def test_parts(file) -> None:
    train = PolyphonicMusic(file)
    valid, test = train.unseen("valid"), train.unseen("test")
    assert draw(valid, 50, batch=1).targets.tolist() == [[1, 88, 2, 88]]
    assert draw(test, 50, batch=1).targets.tolist() == [[0, 3, 88]]
    assert (train.vocabulary, train.features, valid.part, test.part) == (89, 0, "valid", "test")


def test_blind_knows_how_often_keys_sound(file) -> None:
    task = PolyphonicMusic(file)
    counts = Counter([token for piece in (*WHOLE, LONG) for token in piece])
    assert task.chance == counts[88] / sum(counts.values())
    episode = draw(task, 12)
    asked = episode.weight > 0
    expected = [math.log2(counts[token] / sum(counts.values())) for token in episode.targets[asked].tolist()]
    torch.testing.assert_close(task.blind(episode)[asked], torch.tensor(expected))


def test_it_is_reproducible(file) -> None:
    task = PolyphonicMusic(file)
    assert torch.equal(draw(task, 9, seed=3).inputs, draw(task, 9, seed=3).inputs)
    assert not torch.equal(draw(task, 9, seed=3).inputs, draw(task, 9, seed=4).inputs)


def test_bad_input(file, tmp_path) -> None:
    with pytest.raises(ValueError, match="part = 'all' is unknown; choose one of train, valid, test"):
        PolyphonicMusic(file, part="all")
    with pytest.raises(ValueError, match=r"none.mat is no file; give the path of JSB_Chorales.mat or one of its like"):
        PolyphonicMusic(tmp_path / "none.mat")
    with pytest.raises(ValueError, match="batch = 0, length = 5: both count something; give 1 or more"):
        draw(PolyphonicMusic(file), 5, batch=0)
    (tmp_path / "text.mat").write_text("no music\n" * 40, encoding="utf-8")
    with pytest.raises(ValueError, match=r"text.mat is no MATLAB file of level 5; save it with -v6 or -v7"):
        PolyphonicMusic(tmp_path / "text.mat")
    save(tmp_path / "part.mat", traindata=[roll((1,))])
    with pytest.raises(
        ValueError, match=r"part.mat has no variable testdata \(its variables: traindata\); give a file of this format"
    ):
        PolyphonicMusic(tmp_path / "part.mat", part="test")
    for number, piece in enumerate((roll((1,))[:, :80], 2 * roll((1,)), np.zeros((0, 88)))):
        broken = tmp_path / f"broken{number}.mat"
        save(broken, traindata=[roll((1,)), piece])
        with pytest.raises(ValueError, match=r"broken..mat, traindata 2 is no roll of 0 and 1 for 88 keys; give a fi"):
            PolyphonicMusic(broken)


@pytest.mark.parametrize(
    ("name", "counts", "longest"),
    [
        ("JSB_Chorales", (229, 76, 77), 787),
        ("Nottingham", (694, 173, 170), 9360),
        ("MuseData", (524, 135, 124), 22404),
        ("Piano_midi", (87, 12, 25), 16537),
    ],
)
def test_real_music(name, counts, longest) -> None:
    train = PolyphonicMusic(real("poly-music", f"{name}.mat"))
    parts = [train, train.unseen("valid"), train.unseen("test")]
    assert tuple(len(part.first) for part in parts) == counts
    tokens = [part.stop.diff(prepend=torch.zeros(1, dtype=torch.long)) for part in parts]
    assert max(int(part.max()) for part in tokens) == longest
    assert 0.19 < train.chance < 0.26
    episode = draw(train, 200)
    for row in episode.targets.tolist():
        for before, after in pairwise(row):
            assert after > before or before == 88 or after == 0, "keys rise within a frame"


def test_real_pieces_are_read_whole() -> None:
    """As many frames as the file has, and the same keys."""
    file = real("poly-music", "JSB_Chorales.mat")
    test, rolls = PolyphonicMusic(file, part="test"), io.loadmat(file)["testdata"][0]
    assert int((test.tokens == 88).sum()) == sum(len(piece) for piece in rolls)
    episode = draw(test, 1000, batch=20)
    assert episode.length is not None
    for row, count in zip(episode.targets.tolist(), episode.length.tolist(), strict=True):
        frames, keys = [], []
        for token in row[:count]:
            if token == 88:
                frames.append(tuple(keys))
                keys = []
            else:
                keys.append(token)
        assert any(np.array_equal(roll(*frames), piece) for piece in rolls)
