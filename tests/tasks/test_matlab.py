"""Numbers in MATLAB files are those that scipy reads."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mnesis.tasks.files.matlab import read_cells, read_matrix

io = pytest.importorskip("scipy.io")
KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_of_every_type(tmp_path, compressed) -> None:
    values = {f"matrix_of_{kind}": np.arange(-3 if kind[0] != "u" else 0, 9).astype(kind)[None] for kind in KINDS}
    values |= {"one": np.float64(7), "square": np.arange(12.0).reshape(3, 4), "cube": np.arange(24.0).reshape(2, 3, 4)}
    values |= {"yes": np.array([[True, False]]), "none": np.zeros((0, 5))}
    io.savemat(tmp_path / "a.mat", values, do_compression=compressed)
    for name, expected in io.loadmat(tmp_path / "a.mat").items():
        if not name.startswith("__"):
            found = read_matrix(tmp_path / "a.mat", name)
            assert found.shape == expected.shape
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("compressed", [False, True])
def test_cells_go_column_by_column(tmp_path, compressed) -> None:
    cells = np.empty((2, 3), object)
    for number, place in enumerate(np.ndindex(2, 3)):
        cells[place] = np.full((2, number + 1), number)
    io.savemat(tmp_path / "a.mat", {"cells": cells, "other": np.eye(2)}, do_compression=compressed)
    found = read_cells(tmp_path / "a.mat", "cells")
    assert [matrix.tolist() for matrix in found] == [[[n] * (n + 1)] * 2 for n in (0, 3, 1, 4, 2, 5)]


def test_the_other_byte_order(tmp_path) -> None:
    """As machines of the time wrote it."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    head = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 1))
    name = struct.pack(">HH4s", 1, 1, b"X")  # small enough to stand beside its type
    matrix = element(14, head + name + element(9, struct.pack(">2d", 1.5, -2.5)))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI" + matrix)
    assert read_matrix(tmp_path / "a.mat", "X").tolist() == [[1.5], [-2.5]]
    assert io.loadmat(tmp_path / "a.mat")["X"].tolist() == [[1.5], [-2.5]]
