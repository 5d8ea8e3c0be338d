"""A few of what ``make fuzz`` draws for minutes: damaged states and model folders."""

from __future__ import annotations

import itertools

import pytest

from tests.fuzz import in_process, model_folders, states


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(("kind", "count"), [(states, 120), (model_folders, 80)])
def test_damaged_files_are_read_rightly_or_refused_in_one_sentence(tmp_path, kind, count) -> None:
    outcomes = {}
    for index, given in enumerate(itertools.islice(kind.inputs(0), count)):
        folder = tmp_path / str(index)
        folder.mkdir()
        outcomes[given.label] = in_process(given, folder)
    assert {label: said for label, said in outcomes.items() if said[0] not in ("read", "refused")} == {}
    assert {said[0] for said in outcomes.values()} == {"read", "refused"}
