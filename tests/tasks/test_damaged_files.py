"""Damaged data files of every format: what is read makes sense, or one sentence says why it is not."""

from __future__ import annotations

import warnings
from itertools import islice

import pytest

from tests.fuzz import in_process
from tests.fuzz.data_files import Format, formats, inputs, write_whole


@pytest.mark.parametrize("each", formats(), ids=lambda each: each.name)
def test_whole_files_are_read(each: Format, tmp_path) -> None:
    assert each.read(write_whole(each, tmp_path))


@pytest.mark.parametrize("seed", range(5))
def test_damaged_files_are_one_sentence(seed: int, tmp_path) -> None:
    read, refused = 0, 0
    for number, given in enumerate(islice(inputs(seed), 4 * len(formats()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kind, said = in_process(given, folder)
        assert kind in ("read", "refused"), f"{given.label}: {said}"
        if kind == "refused":
            assert "; " in said, f"{given.label}: {said} (without a mend)"
            assert len(said) < 1500, f"{given.label}: {said[:100]}"
        read, refused = read + (kind == "read"), refused + (kind == "refused")
    assert read > 20, "some damage harms nothing"
    assert refused > 60
