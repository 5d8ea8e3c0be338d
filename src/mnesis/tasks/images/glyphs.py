"""Characters of scripts that do not exist, drawn on the spot: what stands in for Omniglot where there are no files.

A class is a program of two to four strokes, each a quadratic curve between points of a coarse grid. A drawing runs the
program with a hand of its own: every point trembles, and the whole is scaled, sheared, turned and moved a little.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from .image_set import ImageSet

SIDE = 26
"""Pixels, as Omniglot's pooled pictures."""
_GRID = 4
"""Points a side that strokes begin and end on."""
_STEPS = 20
"""Samples along a curve."""
_TREMBLE = 0.035
_TURN = 0.12
_SCALE = 0.10
_SHIFT = 0.04
_INK = 0.042
"""Half the width of a stroke, in parts of the side."""


def draw_glyphs(classes: int, drawings: int = 20, seed: int = 0) -> ImageSet:
    """Binary pictures of made-up characters, the same for the same seed; an alphabet has twenty characters.

    Raises:
        ValueError: no classes or no drawings.
    """
    for name, value in (("classes", classes), ("drawings", drawings)):
        if value < 1:
            raise ValueError(f"{name}={value} draws nothing; give 1 or more")
    pixels = []
    for index in range(classes):
        numbers = np.random.default_rng([seed, index])
        program = _program(numbers)
        pixels.append(np.stack([_ink(_hand(program, numbers)) for _ in range(drawings)]))
    label = torch.arange(classes).repeat_interleave(drawings)
    groups = tuple(f"script {index // 20}" for index in range(classes))
    return ImageSet(torch.from_numpy(np.concatenate(pixels)), label, groups, binary=True)


def _program(numbers: np.random.Generator) -> Float[np.ndarray, "S 3 2"]:
    """Begin, bend and end of every stroke, in the unit square."""
    strokes = int(numbers.integers(2, 5))
    points = numbers.permutation(_GRID * _GRID)[: 2 * strokes]
    ends = np.stack([points % _GRID, points // _GRID], 1).reshape(strokes, 2, 2) / (_GRID - 1)
    # Half of the strokes begin where another one ended, as in handwriting.
    for index in range(1, strokes):
        if numbers.random() < 0.5:
            ends[index, 0] = ends[index - 1, 1]
    middle = ends.mean(1)
    across = (ends[:, 1] - ends[:, 0])[:, ::-1] * (1, -1)
    bend = middle + across * numbers.uniform(-0.6, 0.6, (strokes, 1))
    return np.stack([ends[:, 0], bend, ends[:, 1]], 1)


def _hand(program: Float[np.ndarray, "S 3 2"], numbers: np.random.Generator) -> Float[np.ndarray, "S 3 2"]:
    points = program - 0.5 + numbers.normal(0, _TREMBLE, program.shape)
    turn, shear = numbers.normal(0, _TURN, 2)
    scale = np.exp(numbers.normal(0, _SCALE, 2))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, shear], [0, 1]] * scale
    return 0.72 * points @ matrix.T + 0.5 + numbers.normal(0, _SHIFT, 2)


def _ink(strokes: Float[np.ndarray, "S 3 2"]) -> np.ndarray:
    """A pixel is ink where a curve passes within half a stroke's width of its centre."""
    t = np.linspace(0, 1, _STEPS)[:, None, None]
    begin, bend, end = strokes.transpose(1, 0, 2)
    curve = ((1 - t) ** 2 * begin + 2 * t * (1 - t) * bend + t**2 * end).reshape(-1, 2)
    centre = (np.arange(SIDE) + 0.5) / SIDE
    across = (curve[:, :1] - centre) ** 2
    down = (curve[:, 1:] - centre) ** 2
    nearest = (down[:, :, None] + across[:, None, :]).min(0)
    return (nearest < _INK**2).astype(np.uint8)
