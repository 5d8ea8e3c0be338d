"""Tasks of series and sound."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "polyphonic-music", "tasks.signals.polyphonic_music:PolyphonicMusic", "language modelling",
        "the next key of a piano roll, or the end of its frame",
        papers=("boulanger2012polyphonic", "chung2014empirical", "bai2018tcn"),
    ),
    Card(
        "memory-capacity", "tasks.signals.memory_capacity:MemoryCapacity", "signals",
        "say the inputs of the last units again, all at every unit",
        papers=("jaeger2001memory", "ballarin2025capacity"), lengths=64,
    ),
    Card(
        "mackey-glass", "tasks.signals.time_series:MackeyGlass", "signals",
        "foretell a chaotic signal that feeds back on itself after a delay",
        papers=("mackey1977oscillation",), lengths=128,
    ),
    Card(
        "narma", "tasks.signals.time_series:NARMA", "signals",
        "compute a nonlinear moving average of random inputs, with feedback",
        papers=("atiya2000algorithms",), lengths=128,
    ),
    Card(
        "polynomial-memory", "tasks.signals.polynomial_memory:PolynomialMemory", "signals",
        "answer an impulse with a response that fades as a power of time",
        papers=("wang2023stablessm",), lengths=128,
    ),
    Card(
        "running-maximum", "tasks.signals.running_maximum:RunningMaximum", "signals",
        "say the largest value so far of a smooth curve",
        papers=("orvieto2023universality",), lengths=64,
    ),
    Card(
        "piecewise-stationary", "tasks.signals.piecewise_stationary:PiecewiseStationary", "prediction",
        "say the next bit of a coin whose bias jumps at unknown times",
        papers=("veness2013ptw", "genewein2023memory"), lengths=(16, 128),
    ),
    Card(
        "timescale-shift", "tasks.signals.timescale:TimescaleShift", "classification",
        "tell which waves a curve is made of, at sampling rates that training did not have",
        papers=("gu2020hippo",), lengths=100,
    ),
    Card(
        "scene-needle", "tasks.signals.scene_needle:SceneNeedle", "retrieval",
        "say the value of a needle among the frames of scenes, and which scene stood at a place",
        papers=("wang2024videollamb", "song2023moviechat"), example={"prototypes": 64}, lengths=(2, 8),
    ),
    Card(
        "series", "tasks.signals.series:Series", "classification",
        "tell the class of a recorded series once it has been read", papers=("dau2019ucr", "bagnall2018uea"),
    ),
    Card(
        "spoken-digits", "tasks.signals.spoken_digits:SpokenDigits", "classification",
        "tell which digit was spoken, from spectra or samples", papers=("jackson2018fsdd",),
    ),
)  # fmt: skip
