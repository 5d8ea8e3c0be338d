from __future__ import annotations

import cmath
import math
import wave
import zipfile

import numpy as np
import pytest
import torch

from mnesis.tasks.signals.spoken_digits import SpokenDigits, log_mel, mel_filters
from tests.real_data import real


def draw(task, length: int, batch: int = 30, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


def noise(number: int) -> list[int]:
    return np.random.default_rng(number).integers(-3000, 3000, 2 * number).tolist()


def record(file, samples, *, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(file), "wb") as written:
        written.setparams((channels, 2, rate, 0, "NONE", ""))
        written.writeframes(np.asarray(samples, "<i2").tobytes())


@pytest.fixture
def folder(tmp_path):
    """Two digits by two speakers; every recording is known by its length."""
    (tmp_path / "recordings").mkdir()
    for digit in (3, 8):
        for speaker, name in enumerate(("ann", "bob_2")):
            for take in (0, 4, 5, 9, 10, 11):
                number = 100 * digit + 20 * speaker + take
                record(tmp_path / "recordings" / f"{digit}_{name}_{take}.wav", noise(number))
    (tmp_path / "recordings" / "readme.wav").write_bytes(b"no recording")
    return tmp_path


def takes(task) -> set[tuple[int, int]]:
    """Digit and take, from how long a recording is."""
    numbers = [int(units) // 2 for units in task.units]
    assert [number // 100 for number in numbers] == task.label.tolist()
    return {(number // 100, number % 20) for number in numbers}


def test_takes_make_the_parts(folder) -> None:
    train = SpokenDigits(folder, form="samples")
    for part, expected in ((train, (10, 11)), (train.unseen("valid"), (5, 9)), (train.unseen("test"), (0, 4))):
        assert takes(part) == {(digit, take) for digit in (3, 8) for take in expected}
        assert len(part.label) == 8
        assert (part.vocabulary, part.features, part.chance) == (10, 1, 0.5)


def test_samples_are_those_of_the_files(folder) -> None:
    train = SpokenDigits(folder, form="samples")
    trained = [100 * digit + 20 * speaker + take for digit in (3, 8) for speaker in (0, 1) for take in (10, 11)]
    values = [value for number in trained for value in noise(number)]
    mean, deviation = np.mean(values), np.std(values)
    for part in (train, train.unseen("test")):
        episode = draw(part, 5000)
        assert episode.length is not None
        for row, count in enumerate(episode.length.tolist()):
            number, x = count // 2, episode.inputs[row, :, 0]
            expected = torch.tensor([(value - mean) / deviation for value in noise(number)], dtype=torch.float32)
            torch.testing.assert_close(x[:count], expected, rtol=1e-3, atol=1e-3)
            assert not x[count:].any()
            assert int(episode.targets[row, count - 1]) == number // 100
            assert episode.weight[row].nonzero()[:, 0].tolist() == [count - 1]


def test_a_zip_file_holds_the_same(folder, tmp_path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for file in (folder / "recordings").iterdir():
            written.write(file, f"recordings/{file.name}")
            written.writestr(f"__MACOSX/recordings/._{file.name}", b"nothing")
    one, other, inner = (SpokenDigits(path) for path in (folder, archive, folder / "recordings"))
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.values, inner.values)
    assert torch.equal(one.label, other.label)


def test_bands_are_triangles_in_mel() -> None:
    filters = mel_filters()
    mel = [2595 * math.log10(1 + 4000 * point / 256 / 700) for point in range(257)]
    width = mel[-1] / 41
    for band, column in enumerate(filters.T):
        inside = [point for point, value in enumerate(column.tolist()) if value > 0]
        assert inside, "every band hears something"
        assert inside == [point for point in range(257) if abs(mel[point] / width - (band + 1)) < 1 - 1e-6]
    overlap = filters.sum(1)[[band > width and band < mel[-1] - width for band in mel]]
    torch.testing.assert_close(overlap, torch.ones_like(overlap))


def test_frames_by_hand() -> None:
    """A discrete Fourier transform of one frame, written out."""
    samples = torch.randn(200 + 80 * 3 + 79, generator=torch.Generator().manual_seed(0)) * 0.1
    found = log_mel(samples)
    assert found.shape == (4, 40)
    windowed = [
        value * (0.5 - 0.5 * math.cos(2 * math.pi * place / 200))
        for place, value in enumerate(samples[160:360].tolist())
    ]
    energy = [
        abs(sum(value * cmath.exp(-2j * math.pi * point * place / 512) for place, value in enumerate(windowed))) ** 2
        for point in range(257)
    ]
    filters = mel_filters().tolist()
    for band in (0, 7, 39):
        expected = math.log(sum(energy[point] * filters[point][band] for point in range(257)) + 1e-6)
        assert float(found[2, band]) == pytest.approx(expected, abs=1e-3)
    assert log_mel(torch.zeros(50)).tolist() == [[pytest.approx(math.log(1e-6))] * 40]


@pytest.mark.parametrize("hertz", [250, 1000, 3000])
def test_a_tone_is_loudest_in_its_band(hertz) -> None:
    tone = (2 * math.pi * hertz * torch.arange(2000) / 8000).sin()
    mel = 2595 * math.log10(1 + hertz / 700)
    assert set(log_mel(tone).argmax(1).tolist()) == {round(mel / (2595 * math.log10(1 + 4000 / 700) / 41)) - 1}


def test_frames_have_no_mean(folder) -> None:
    train = SpokenDigits(folder)
    deviation, mean = torch.std_mean(train.values, 0)
    torch.testing.assert_close(mean, torch.zeros(40), atol=1e-4, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(40), atol=1e-4, rtol=0)
    assert abs(float(train.unseen("test").values.mean())) > 1e-3, "others are measured as what is trained on"
    assert train.units.tolist() == [(int(n) - 200) // 80 + 1 for n in SpokenDigits(folder, form="samples").units]


def test_it_is_reproducible(folder) -> None:
    task = SpokenDigits(folder)
    assert torch.equal(draw(task, 9, seed=3).inputs, draw(task, 9, seed=3).inputs)
    assert not torch.equal(draw(task, 9, seed=3).inputs, draw(task, 9, seed=4).inputs)


def test_bad_input(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match="part = 'all' is unknown; choose one of train, valid, test"):
        SpokenDigits(folder, part="all")
    with pytest.raises(ValueError, match="form = 'mfcc' is unknown; choose one of log-mel, samples"):
        SpokenDigits(folder, form="mfcc")
    with pytest.raises(ValueError, match="missing is neither a folder nor a zip file; give one with the recordings"):
        SpokenDigits(tmp_path / "missing")
    few = tmp_path / "few"
    few.mkdir()
    record(few / "3_ann_10.wav", [1, 2, 3])
    with pytest.raises(ValueError, match="few holds no take of the test part; give the set's recordings, all takes"):
        SpokenDigits(few, part="test")
    for name, options in (("rate", {"rate": 16000}), ("stereo", {"channels": 2})):
        (tmp_path / name).mkdir()
        record(tmp_path / name / "3_ann_10.wav", [1, 2, 3, 4], **options)
        with pytest.raises(ValueError, match=r"3_ann_10.wav has .* Hz, . channels and 8 bytes .*; convert it to 8,000"):
            SpokenDigits(tmp_path / name)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "3_ann_10.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"3_ann_10.wav is no WAV file that can be read"):
        SpokenDigits(tmp_path / "torn")


@pytest.fixture(scope="module")
def spoken() -> SpokenDigits:
    return SpokenDigits(real("fsdd", "recordings.zip"))


def test_real_recordings(spoken) -> None:
    parts = [spoken, spoken.unseen("valid"), spoken.unseen("test")]
    assert [part.label.bincount().tolist() for part in parts] == [[30] * 10] * 3
    assert all(part.chance == 0.1 for part in parts)
    assert 20 < float(spoken.units.float().median()) < 60
    episode = draw(parts[2], 1000, batch=300)
    assert episode.inputs.isfinite().all()
    torch.testing.assert_close(spoken.blind(episode), torch.full(episode.weight.shape, math.log2(0.1)))


def test_real_digits_can_be_told_apart(spoken) -> None:
    """A recording is mostly that digit which is nearest in the mean frames of its four quarters."""
    test = spoken.unseen("test")
    known, asked = _quarters(spoken), _quarters(test)
    said = spoken.label[torch.cdist(asked, known).argmin(1)]
    assert float((said == test.label).float().mean()) > 0.7


def _quarters(task) -> torch.Tensor:
    parts = task.values.split(task.units.tolist())
    return torch.stack([torch.cat([quarter.mean(0) for quarter in part.tensor_split(4)]) for part in parts])
