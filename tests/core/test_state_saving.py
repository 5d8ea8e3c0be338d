"""What saving a state leaves: all leaves in their order, one file, and the old one where it cannot be done."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import mnesis
from mnesis.core.state import leaves, load_state, save_state, structure

from .state_written import Own


def test_a_path_that_is_not_utf_8_keeps_a_state(tmp_path) -> None:
    path = os.fsencode(tmp_path) + b"/mary\xff.st"
    save_state((torch.arange(3),), os.fsdecode(path))
    assert load_state(os.fsdecode(path))[0].tolist() == [0, 1, 2]
    with open(path, "r+b") as file:
        file.truncate(40)
    with pytest.raises(ValueError, match=r"mary\\xff.st is not a whole"):
        load_state(os.fsdecode(path))


@pytest.mark.usefixtures("without_type_checks")
def test_leaves_come_back_in_their_order_however_many(tmp_path) -> None:
    state = tuple(torch.full((1, 1), float(index)) for index in range(10_050))
    save_state(state, tmp_path / "s")
    assert [float(leaf) for leaf in load_state(tmp_path / "s")] == list(range(10_050))


ODD = {
    "expanded": torch.arange(3.0)[None].expand(4, 3),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "strided": torch.arange(8.0).view(2, 4)[:, ::2],
    "a stride on the last axis": torch.stack([torch.arange(6.0).view(2, 3)] * 2, -1)[..., 0],
    "part of a larger one": torch.arange(60.0).view(10, 6)[3:5, 2:],
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "with a gradient": torch.ones(2, 3, requires_grad=True) * 2,
    "empty": torch.zeros(2, 0, 3),
    "of whole numbers": torch.tensor([2**40, -1]),
    "of flags": torch.tensor([[True, False]]),
    "bfloat16": torch.randn(2, 3).bfloat16(),
    "complex": torch.randn(2, 3, dtype=torch.complex64),
    "double complex": torch.randn(2, 3, dtype=torch.complex128),
    "conjugate": torch.randn(2, 3, dtype=torch.complex64).conj(),
    "double conjugate": torch.randn(2, 3, dtype=torch.complex128).conj(),
    "negative view": torch.randn(2, 3, dtype=torch.complex64).conj().imag,
    "not finite": torch.tensor([[-torch.inf, torch.nan, torch.inf]]),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_leaf_of_any_layout_comes_back_equal(tmp_path, kind) -> None:
    state = (torch.ones(1), (ODD[kind],), Own(ODD[kind]))
    save_state(state, tmp_path / "s")
    again = load_state(tmp_path / "s")
    assert structure(again) == structure(state)
    for ours, theirs in zip(leaves(state), leaves(again), strict=True):
        assert theirs.dtype == ours.dtype
        assert theirs.is_contiguous()
        assert torch.equal(theirs.nan_to_num(1e9), ours.detach().nan_to_num(1e9))


def test_leaves_that_share_memory_are_kept_once_each(tmp_path) -> None:
    whole = torch.randn(2, 6)
    save_state((whole, whole, whole[:, :3]), tmp_path / "s")
    first, second, third = load_state(tmp_path / "s")
    assert torch.equal(first, whole)
    assert torch.equal(second, whole)
    assert torch.equal(third, whole[:, :3])
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize(
    ("state", "about", "sentence"),
    [
        ((torch.ones(1),), {"structure": "null"}, "about has the key 'structure', which the format has for itself"),
        ((torch.ones(1),), {"mnesis_state": "2"}, "about has the key 'mnesis_state'"),
        ((torch.ones(1),), {"units": 5}, "about.units 5 is not text; keep text"),
        ((torch.ones(1, device="meta"),), {}, "on the meta device"),
        ((torch.ones(1).to(torch.float8_e5m2),), {}, "float8_e5m2"),
        ([torch.ones(1)], {}, "a state holds tensors, NamedTuples and tuples, not list"),
        ("state", {}, "a state holds tensors, NamedTuples and tuples, not str"),
        (({"a": torch.ones(1)},), {}, "a state holds tensors, NamedTuples and tuples, not dict"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_a_file_cannot_keep_is_refused_before_one_is_there(tmp_path, state, about, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        save_state(state, tmp_path / "folder" / "s", about=about)
    assert list(tmp_path.iterdir()) == []


def test_a_state_nested_too_deeply_is_refused_on_saving_too(tmp_path) -> None:
    state: Any = torch.ones(1)
    for _ in range(70):
        state = (state,)
    with pytest.raises(ValueError, match="nested deeper than the 64 levels"):
        save_state(state, tmp_path / "s")


def test_a_file_of_other_tools_reads_what_is_written(tmp_path) -> None:
    save_state(Own(torch.arange(4.0)[None]), tmp_path / "s")
    assert load_file(tmp_path / "s")["0000"].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_process_gives(tmp_path, mask, mode) -> None:
    before = os.umask(mask)
    try:
        save_state((torch.ones(1),), tmp_path / "s")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_keeps_its_mode(tmp_path, mode) -> None:
    path = tmp_path / "s"
    save_state((torch.ones(1),), path)
    path.chmod(mode)
    save_state((torch.zeros(1),), path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert load_state(path)[0].tolist() == [0]


def test_a_link_goes_on_to_point_where_it_did(tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    link = tmp_path / "latest"
    link.symlink_to(Path("kept") / "mary")
    save_state((torch.ones(1),), link)
    save_state((torch.zeros(1),), link)
    assert link.is_symlink()
    assert load_state(tmp_path / "kept" / "mary")[0].tolist() == [0]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "latest", "mary"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full",
        ),
        (SafetensorError("I/O error: File too large (os error 27)"), "larger than a file may be"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your quota is used up"),
    ],
)
def test_a_disk_that_fills_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, fault, sentence) -> None:
    path = tmp_path / "s"
    save_state((torch.ones(2),), path)

    def full(*arguments: Any, **options: Any) -> None:
        raise fault

    monkeypatch.setattr("mnesis.core.tensors.save_file", full)
    with pytest.raises(ValueError, match=f"cannot write .*: .*{sentence}.*; make room") as refused:
        save_state((torch.zeros(2),), path)
    assert "\n" not in str(refused.value)
    assert load_state(path)[0].tolist() == [1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot write .*; choose a folder that you may write to"):
        save_state((torch.ones(1),), tmp_path / "file" / "s")


def test_a_pipe_is_not_replaced_by_a_file(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"cannot write .*pipe: something stands there that is no file of data; give"):
        mnesis.save_state(mnesis.create_memory("gru", dim=8)(torch.randn(1, 3, 8))[1], tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
