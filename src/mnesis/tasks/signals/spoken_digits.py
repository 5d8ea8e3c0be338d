"""Spoken digits to be told apart at their end, as spectra or sample by sample."""

from __future__ import annotations

import io
import re
import wave
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..files.opening import damage, held, shown
from .series import LabelledSequences

RATE = 8000
TAKES = {"test": range(5), "valid": range(5, 10)}
"""All others are trained on."""
WINDOW, STEP, POINTS = 200, 80, 512
"""Of the spectra in samples, 25 ms each 10 ms; zeros fill a window up to the points of its transform, for narrow bands
to have a point or more each."""
BANDS = 40
FLOOR = 1e-6
"""Added to energies before their logarithm is taken; full scale is 1."""
RECORDING_BYTES = 2**22
"""Of a recording in an archive: four minutes."""
FORMS = ("log-mel", "samples")


class SpokenDigits(LabelledSequences):
    """Say at the end of a recording which digit was spoken.

    The Free Spoken Digit Dataset: ten digits by six speakers, 50 takes each at 8 kHz, of which the takes 0 to 4 test as
    the set's authors ask; the takes 5 to 9 validate. A unit is a frame, the logarithms of the energy in 40 mel bands
    of 25 ms each 10 ms, or one sample. Every feature has mean 0 and deviation 1 over what is trained on. One example
    of the digit 7 in frames::

        inputs   [40 bands] [40 bands] ... [40 bands]
        targets      .          .      ...     7

    ``length`` counts units that are read at most; most recordings last 0.3 to 0.6 s and few more than 1 s. Chance is
    the share of the commonest digit, 1/10 where no recording is missing.

    Args:
        path: of the set's folder, of its recordings, or of a zip file with them (``7_jackson_12.wav``: digit, speaker,
            take).
        part: "train", "valid" or "test".
        form: "log-mel" (40 features) or "samples" (1).

    Raises:
        ValueError: an unknown part or form, no recordings of the part, or files that are not 16-bit mono at 8 kHz.
    """

    def __init__(self, path: str | Path, *, part: str = "train", form: str = "log-mel") -> None:
        if part not in ("train", *TAKES):
            raise ValueError(f"part = {part!r} is unknown; choose one of train, valid, test")
        if form not in FORMS:
            raise ValueError(f"form = {form!r} is unknown; choose one of {', '.join(FORMS)}")
        self.path, self.form = path, form
        of_part: dict[str, list[Recording]] = {"train": [], **{name: [] for name in TAKES}}
        for recording in _recordings(Path(path)):
            of_part[next((name for name, takes in TAKES.items() if recording.take in takes), "train")].append(recording)
        for needed in dict.fromkeys(("train", part)):
            if not of_part[needed]:
                raise ValueError(f"{path} holds no take of the {needed} part; give the set's recordings, all takes")
        trained, chosen = ([_features(x.samples, form) for x in of_part[name]] for name in ("train", part))
        deviation, mean = torch.std_mean(torch.cat(trained), 0)
        label = torch.tensor([recording.digit for recording in of_part[part]])
        scale = 1 / deviation.clamp(min=1e-4)  # a band in which all are silent does not deviate
        super().__init__([(x - mean) * scale for x in chosen], label, 10, part)

    def unseen(self, part: Literal["valid", "test"]) -> SpokenDigits:
        return SpokenDigits(self.path, part=part, form=self.form)


class Recording(NamedTuple):
    """One digit, spoken once."""

    digit: int
    speaker: str
    take: int
    samples: Float[Tensor, " T"]


def log_mel(samples: Float[Tensor, " T"]) -> Float[Tensor, "frames bands"]:
    """Logarithms of the energy in mel bands; what is shorter than a window is filled up with silence."""
    samples = F.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = samples.unfold(0, WINDOW, STEP) * torch.hann_window(WINDOW)
    energy = torch.fft.rfft(frames, POINTS).abs().square()
    return (energy @ mel_filters() + FLOOR).log()


@cache
def mel_filters() -> Float[Tensor, "points bands"]:
    """Triangles from the centre of one band to that of the next but one; centres are equally far apart in mel.

    A frequency of f Hz is 2595 log10(1 + f / 700) mel.
    """
    frequency = torch.linspace(0, RATE / 2, POINTS // 2 + 1)
    mel = torch.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    low, centre, high = edge[:-2], edge[1:-1], edge[2:]
    rising, falling = (frequency[:, None] - low) / (centre - low), (high - frequency[:, None]) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def _features(samples: Float[Tensor, " T"], form: str) -> Float[Tensor, "units features"]:
    return samples[:, None] if form == "samples" else log_mel(samples)


@cache
def _recordings(path: Path) -> tuple[Recording, ...]:
    """All of them, by digit, speaker and take."""
    found = []
    with held(path, "the recordings", suffix=".wav") as holder:
        for name in holder.names():
            if named := re.fullmatch(r"([0-9])_(.+)_([0-9]{1,6})\.wav", name.split("/")[-1]):
                samples = _samples(f"{shown(path)}: {shown(name)}", holder.read(name, RECORDING_BYTES))
                found.append(Recording(int(named[1]), named[2], int(named[3]), samples))
    return tuple(sorted(found, key=lambda recording: recording[:3]))


def _samples(name: str, content: bytes) -> Float[Tensor, " T"]:
    """Between -1 and 1."""
    with damage(f"{name} is no WAV file that can be read", "get it anew"), wave.open(io.BytesIO(content)) as file:
        form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        promised = file.getnframes()
        samples = file.readframes(promised)
    if form != (RATE, 1, 2) or not samples:
        raise ValueError(
            f"{name} has {form[0]:,} Hz, {form[1]} channels and {len(samples):,} bytes in samples of {form[2]}; "
            f"convert it to {RATE:,} Hz, 1 channel and 2 bytes a sample"
        )
    if len(samples) != 2 * promised:
        raise ValueError(f"{name} promises {promised:,} samples and holds {len(samples) / 2:,}; get it anew")
    return torch.from_numpy(np.frombuffer(samples, "<i2").astype(np.float32) / 32768)
