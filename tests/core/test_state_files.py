"""What a state file may hold: a structure and its tensors, and nothing damaged."""

from __future__ import annotations

import json
import os
import struct

import pytest
import torch

from mnesis.core.state import load_state, save_state

from .state_written import written

GRU = "mnesis.memories.recurrent.gru:GRUState"
SHAPELESS = {
    "no structure": (None, "holds no mnesis state"),
    "half a list": ("[", "is not whole JSON"),
    "a number": ("5", "5 in its structure"),
    "an empty list": ("[]", r"\[\] in its structure"),
    "an empty mapping": ("{}", "{} in its structure"),
    "a class that is a number": ("[5, null, null]", r"\[5, None, None\] in its structure"),
    "a text": ('"x"', "'x' in its structure"),
    "true": ("[true]", r"\[True\] in its structure"),
    "nesting of 100,000": ("[" * 100_000, "nested deeper than the 64 levels"),
    "nesting of 900": ('["",' * 900 + "null" + "]" * 900, "nested 900 levels|nested deeper"),
    "nesting of 65 whole": ('["",' * 65 + "null" + "]" * 65, "nested 65 levels|nested deeper"),
    "no parts": (f'["{GRU}"]', "0 parts of a GRUState, which is made of 1"),
    "a part too many": (f'["{GRU}", null, null]', "2 parts of a GRUState, which is made of 1"),
    "fewer tensors": ('["", null, null]', r"fewer tensors than its structure names \(1 and 2\)"),
    "more tensors": ('[""]', r"more tensors than its structure names \(1 and 0\)"),
    "NaN": ("NaN", "is no JSON number"),
    "a number without end": ("1" * 6000, "is not whole JSON"),
}


@pytest.mark.parametrize("case", SHAPELESS)
def test_a_structure_that_is_none_gets_one_sentence_with_the_file(tmp_path, case) -> None:
    tree, sentence = SHAPELESS[case]
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_state(written(tmp_path / "state.st", tree))
    assert "\n" not in str(refusal.value)
    assert "state.st" in str(refusal.value)


@pytest.mark.parametrize("version", ["abc", "-5", "0", "", "1.0", "²", "1" * 5000])
def test_a_format_that_is_no_number_is_refused(tmp_path, version) -> None:
    with pytest.raises(ValueError, match=r"state.st has state format .*, which is no number from 1 on"):
        load_state(written(tmp_path / "state.st", [GRU, None], mnesis_state=version))


@pytest.mark.parametrize(
    "tensors",
    [{"0000": torch.ones(1), "1": torch.ones(1), "x": torch.ones(1)}, {"1": torch.ones(1)}, {"-1": torch.ones(1)}],
)
def test_tensors_without_numbers_are_refused(tmp_path, tensors) -> None:
    tree = ["", *[None] * len(tensors)]
    with pytest.raises(ValueError, match="not numbered from 0 on"):
        load_state(written(tmp_path / "s", tree, tensors))


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_whole_numbers_in_a_state_of_floating_point_are_refused(tmp_path, dtype) -> None:
    with pytest.raises(ValueError, match=f"holds {str(dtype)[6:]} as hidden of a GRUState, which never does"):
        load_state(written(tmp_path / "s", [GRU, None], {"0": torch.ones(2, 4).to(dtype)}))


def test_narrow_floats_that_no_state_has_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="F8_E5M2"):
        load_state(written(tmp_path / "s", [GRU, None], {"0": torch.ones(2, 4).to(torch.float8_e5m2)}))


def with_header(path, header: bytes, data: bytes = b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def entry(shape: list[int], end: int, dtype: str = "F32") -> bytes:
    return json.dumps({"0": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}).encode()


@pytest.mark.parametrize(
    ("header", "data", "sentence"),
    [
        (b"{", b"", "a header of 1 bytes"),
        (b"{}", b"rest", "0 bytes of tensors are promised and 4 are there"),
        (b"[" * 5000, b"", "nested deeper|whole JSON"),
        (b"\xff\xfe{}", b"", "not UTF-8"),
        (b"[1, 2]", b"", r"\[1, 2\] is not a mapping"),
        (b'{"__metadata__": {"a": 1}}', b"", "__metadata__.a 1 is not text"),
        (b'{"__metadata__": 5}', b"", "5 is not a mapping"),
        (b'{"0": 5}', b"", "0 5 is not a mapping"),
        (entry([1], 4, "F99"), b"0000", "F99"),
        (entry([-1], 4), b"0000", "-1 is not a whole number of at least 0"),
        (entry([2], 4), b"0000", "of 8 bytes stands at 0 to 4"),
        (entry([1], 8), b"00000000", "of 4 bytes stands at 0 to 8"),
        (entry([10**30], 4), b"0000", "has the shape"),
        (entry([0, 2**62], 0), b"", "has the shape"),
        (entry([1] * 200, 4), b"0000", "has the shape"),
        (entry([2], 2, "BOOL"), b"\x01\x07", "neither true nor false"),
    ],
)
def test_a_damaged_header_gets_one_sentence_with_the_file(tmp_path, header, data, sentence) -> None:
    path = with_header(tmp_path / "state.st", header, data)
    if header[:1] == b"{" and header.endswith(b"}") and b"__metadata__" not in header:
        described = json.dumps({"mnesis_state": "1", "structure": "null"}).encode()
        path = with_header(
            path, b'{"__metadata__": ' + described + (b", " if header != b"{}" else b"") + header[1:], data
        )
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_state(path)
    assert "\n" not in str(refusal.value)
    assert "state.st" in str(refusal.value)


@pytest.mark.parametrize("length", [0, 2**62, 2**64 - 1, 10**9, 100])
def test_a_header_longer_than_the_file_is_not_read(tmp_path, length) -> None:
    (tmp_path / "s").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(ValueError, match=r"a header of .* bytes in a file of 10"):
        load_state(tmp_path / "s")


def test_a_header_of_many_megabytes_is_not_read(tmp_path) -> None:
    with open(tmp_path / "s", "wb") as file:
        file.write(struct.pack("<Q", 2**30))
        file.truncate(2**31)  # takes no room
    with pytest.raises(ValueError, match="where ours have at most"):
        load_state(tmp_path / "s")


def test_places_that_are_no_files_get_one_sentence(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, sentence in [(tmp_path, "is a folder and no file"), (tmp_path / "pipe", "is a device or pipe"),
                            ("/dev/zero", "is a device or pipe")]:  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            load_state(place)
    with pytest.raises(FileNotFoundError, match="no state file at"):
        load_state(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="no state file at"):
        load_state(tmp_path / "file" / "below")
    with pytest.raises(ValueError, match=r"cannot write .*: Is a directory; give another path"):
        save_state((torch.ones(1),), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]
